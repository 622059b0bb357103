"""What all tests share: no test writes a progress file into the project."""

import os
import tempfile

from hypothesis import settings

# Set before any notebook kernel starts, since kernels inherit the environment.
_FOLDER = tempfile.TemporaryDirectory(prefix="labkit-progress-")
os.environ["LABKIT_PROGRESS"] = _FOLDER.name
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples at every run in CI, so that a red build is the change's own fault; everywhere
# else hypothesis goes on looking.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
