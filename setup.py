"""What pyproject.toml cannot say; all else is there."""

from setuptools import Distribution, find_packages, setup

# An editable install asks for `has_data`, which no distribution has, and so leaves out the data
# files: without this line `pip install -e .` would not install etc/ipython.
Distribution.has_data = Distribution.has_data_files

# The students' notebooks travel inside the package, so that `pip install` and `labkit start` are a
# way to take the course.
setup(
    packages=[*find_packages(include=["labkit", "labkit.*"]), "labkit.labs"],
    package_dir={"labkit.labs": "labs"},
)
