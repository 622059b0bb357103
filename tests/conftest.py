"""What all tests share: no test writes a progress file into the project."""

import os
import tempfile

# Set before any notebook kernel starts, since kernels inherit the environment.
os.environ["LABKIT_PROGRESS"] = tempfile.mkdtemp(prefix="labkit-progress-")
os.environ.setdefault("MPLBACKEND", "agg")
