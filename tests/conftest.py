"""What all tests share: no test writes a progress file into the project."""

import os
import tempfile

# Set before any notebook kernel starts, since kernels inherit the environment.
_FOLDER = tempfile.TemporaryDirectory(prefix="labkit-progress-")
os.environ["LABKIT_PROGRESS"] = _FOLDER.name
os.environ.setdefault("MPLBACKEND", "agg")
