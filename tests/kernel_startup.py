"""PYTHONSTARTUP of the kernels that nbval starts: before each cell, `shared_results` looks in.

It leaves no name in the notebook, which is to fail if it uses one that it did not make.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from shared_results import share

sys.path.pop(0)
get_ipython().events.register("pre_run_cell", share)  # noqa: F821
del Path, share, sys
