"""A temporary folder that does not outlive its process for long, not even one that was killed.

Its process holds a lock in it. Whoever makes the next folder removes those whose lock is free: a
killed process has let go of it.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "labkit-sandbox-"
LOCK = "lock"


class ScratchFolder:
    """A new folder in the system's temporary one.

    Attributes
    ----------
    path : Path
        Where it is.
    """

    def __init__(self) -> None:
        _remove_left_behind()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        made = self.path / f".{LOCK}"
        self._lock = made.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Under its name only once it is held: without it, the folder is left alone.
        made.rename(self.path / LOCK)

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _remove_left_behind() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            # Not what others put there under this name.
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, being made, or gone by now
