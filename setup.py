"""What pyproject.toml cannot say; all else is there."""

from setuptools import Distribution, setup

# An editable install asks for `has_data`, which no distribution has, and so leaves out the data
# files: without this line `pip install -e .` would not install etc/ipython.
Distribution.has_data = Distribution.has_data_files
setup()
