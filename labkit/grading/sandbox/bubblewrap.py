"""The outer sandbox: which folders bubblewrap shows, and what it takes away.

Only what is bound here exists inside: the system's programs and libraries, this Python with its
installed packages, and the course's own files. Everything is read-only but one scratch folder.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from labkit.grading.inside.isolate import SCRATCH

COURSE = "/course"
# Where a system keeps its programs and libraries.
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")
SCRATCH_BYTES = 1 << 26
PACKAGE = Path(__file__).resolve().parents[2]


def problem() -> str:
    """Return why bubblewrap cannot be used on this machine, or an empty string."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap)"
    check = ["--unshare-all", "--ro-bind", "/", "/", "true"]
    tried = subprocess.run(["bwrap", *check], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def command_line(course: Path, hidden: Sequence[Path]) -> list[str]:
    """Return the bwrap command line up to the program that it runs; `course` goes to /course."""
    command = ["bwrap", "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--hostname", "sandbox"]
    if os.getuid() == 0:
        # The warm process becomes nobody once the tree is built: a limit on processes does not
        # bind root, and nobody may not be able to reach an interpreter below root's home.
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]
    for name, value in environment(SCRATCH).items():
        command += ["--setenv", name, value]
    bound = _bind_system(command)
    command += ["--proc", "/proc", "--dev", "/dev"]
    empty: list[Path] = []
    unseen = [*(Path(site) / "labkit" for site in site_folders()), PACKAGE, *hidden]
    for folder in sorted({path.resolve() for path in unseen}):
        shows = folder.is_dir() and any(folder.is_relative_to(root) for root in bound)
        if shows and not any(folder.is_relative_to(outer) for outer in empty):
            command += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
            empty.append(folder)
    command += ["--ro-bind", str(course), COURSE]
    command += ["--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", SCRATCH]
    return [*command, "--remount-ro", "/", "--chdir", SCRATCH, "--"]


def _bind_system(command: list[str]) -> list[Path]:
    """Add the system's programs and this Python to `command`; return the folders it shows."""
    bound: list[Path] = []
    prefixes = [sys.base_prefix, sys.prefix, *site_folders()]
    for path in map(Path, [*SYSTEM, *prefixes]):
        if path.is_symlink() and str(path) in SYSTEM:
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.exists() and not any(path.is_relative_to(root) for root in bound):
            closed = _entries(path) != [path]
            for parent in [*reversed(path.parents[:-1]), *([path] if closed else [])]:
                # Left to itself bwrap makes parents that only their owner may enter.
                command += ["--perms", "0755", "--dir", str(parent)]
            for entry in _entries(path):
                command += ["--ro-bind", str(entry), str(entry)]
            bound.append(path)
    return [root.resolve() for root in bound]


def _entries(path: Path) -> list[Path]:
    """Return `path`, or what lies in it where only its owner may enter, as in ``mktemp -d``."""
    if path.is_dir() and not path.stat().st_mode & 0o001:
        return sorted(path.iterdir())
    return [path]


def site_folders() -> list[str]:
    """Return where the packages are that answers may import."""
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    paths += [str(Path(module.__file__ or "").parents[1]) for module in (torch, np)]
    return list(dict.fromkeys(paths))


def environment(home: str) -> dict[str, str]:
    """Return the whole environment of what runs inside; nothing of the grader's own is in it."""
    return {
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "USER": "student",
    }
