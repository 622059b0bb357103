"""The sandbox seen from outside: starting it, forking confined processes, talking to them.

One outer sandbox (bubblewrap: no network, a read-only system, nothing of the course but the files
listed here) holds a warm process; every answer runs in a fork of it, confined once more
(`labkit.grading.inside`). What a confined process sends is a claim by a student's code.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from labkit.grading.inside.isolate import SCRATCH, Limits
from labkit.grading.wire import LARGEST, LENGTH, WireError, decode, encode

COURSE = "/course"
NOBODY = 65534
START_SECONDS = 120.0
READY_SECONDS = 30.0
KILL_SECONDS = 10.0
# Where a system keeps its programs and libraries.
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")

Kind = Literal["bubblewrap", "none"]
Reason = Literal["timeout", "memory", "crash"]


class SandboxError(RuntimeError):
    """The sandbox itself does not work; nobody's answer is to blame."""


class Died(Exception):
    """A confined process ended, or was ended, before it replied."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Process:
    """One confined process: ask it, then close it."""

    requests: int
    replies: int
    leash: socket.socket

    def ask(self, request: object, seconds: float) -> Any:
        """Send `request` and return the decoded reply.

        Raises
        ------
        Died
            If the process ends, is too slow, or replies with something that is no value.
        SandboxError
            If the sandbox is gone.
        """
        deadline = time.monotonic() + seconds
        data = encode(request)
        try:
            self._write(LENGTH.pack(len(data)) + data, deadline)
            size = LENGTH.unpack(self._read(LENGTH.size, deadline))[0]
            if size > LARGEST:
                raise Died("crash", f"The result takes {size} bytes; at most {LARGEST} are read.")
            return decode(self._read(size, deadline))
        except WireError:
            raise Died("crash", "What came back could not be read.") from None

    def wait_ready(self) -> None:
        """Wait until the process is confined.

        Raises
        ------
        SandboxError
            If it could not be.
        """
        try:
            ready = decode(self._read(len(encode("ready")) + LENGTH.size, _in(READY_SECONDS))[8:])
        except (Died, WireError) as error:
            raise SandboxError(f"a process could not be confined: {error}") from None
        if ready != "ready":
            raise SandboxError("a confined process did not start as expected.")

    def close(self) -> None:
        """Kill the process, if it still runs, and wait until it is gone."""
        for descriptor in (self.requests, self.replies):
            os.close(descriptor)
        with contextlib.suppress(OSError):
            self.leash.shutdown(socket.SHUT_WR)
        self._report(KILL_SECONDS)
        self.leash.close()

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.requests, select.POLLOUT, deadline)
            try:
                view = view[os.write(self.requests, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._death() from None

    def _read(self, count: int, deadline: float) -> bytes:
        parts = []
        while count:
            self._wait(self.replies, select.POLLIN, deadline)
            part = os.read(self.replies, min(count, 1 << 20))
            if not part:
                raise self._death()
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Died("timeout", "Your code ran too long and was stopped.")

    def _death(self) -> Died:
        report = self._report(READY_SECONDS)
        if not report.startswith("ended "):
            # The keeper cannot be reached from inside: if it is gone, the sandbox is.
            raise SandboxError(f"a confined process was lost: {report or 'no report'}")
        code = int(report.removeprefix("ended "))
        if code == -9:
            return Died(
                "memory", "The system stopped your code: most likely it took too much memory."
            )
        if code == -24:
            return Died("timeout", "Your code used too much processor time and was stopped.")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Died("crash", f"Your code ended the whole process ({how}).")

    def _report(self, seconds: float) -> str:
        self.leash.settimeout(seconds)
        try:
            return self.leash.recv(4096).decode("utf-8", "replace")
        except OSError:
            return ""


@dataclass
class Sandbox:
    """A warm process in an outer sandbox, from which confined processes are forked.

    Parameters
    ----------
    files : mapping
        What the course puts into the sandbox: the path below /course, and the file it comes from.
    modules : sequence of str
        What to import before the first fork, so that no answer waits for it.
    hidden : sequence of Path
        Folders that must not be seen even where they lie inside an installed package's tree.
    kind : str
        "bubblewrap", or "none": a plain process with limits, which protects nothing.
    limits : Limits
        For each confined process.
    """

    files: Mapping[str, Path]
    modules: Sequence[str] = ()
    hidden: Sequence[Path] = ()
    kind: Kind = "bubblewrap"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._warm: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="labkit-")

    def __enter__(self) -> "Sandbox":
        with self._lock:
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._stop()
        self._folder.cleanup()

    @contextlib.contextmanager
    def process(self) -> Iterator[Process]:
        """Fork a confined process; it is gone at the end of the ``with`` block.

        Raises
        ------
        SandboxError
            If the sandbox does not work, also after a new start.
        """
        for attempt in range(2):
            process = self._fork(again=attempt > 0)
            try:
                process.wait_ready()
                break
            except SandboxError:
                process.close()
                if attempt > 0:
                    raise
        try:
            yield process
        finally:
            process.close()

    def _fork(self, again: bool) -> Process:
        inside_requests, requests = os.pipe()
        replies, inside_replies = os.pipe()
        leash, inside_leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.set_blocking(requests, False)
        given = [inside_requests, inside_replies, inside_leash.fileno()]
        with self._lock:
            if again and self._warm is not None and self._warm.poll() is not None:
                self._stop()
                self._start()
            control = self._control
            if control is None:
                raise SandboxError("the sandbox is not started.")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # If it is dead nobody answers, and the caller starts it again.
                socket.send_fds(control, [b"F"], given)
        os.close(inside_requests)
        os.close(inside_replies)
        inside_leash.close()
        return Process(requests, replies, leash)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        confined = self.kind == "bubblewrap"
        root = Path(self._folder.name)
        tree = _copy(self.files, root / "course")
        course = COURSE if confined else str(tree)
        (root / "scratch").mkdir(exist_ok=True)
        settings = {
            "control": theirs.fileno(),
            "paths": [course, *_site_folders()],
            "modules": list(self.modules),
            "user": NOBODY if confined and os.getuid() == 0 else None,
            "isolate": confined,
            "scratch": str(root / "scratch"),
            "limits": asdict(self.limits),
        }
        script = f"{course}/labkit/grading/inside/warm.py"
        program = [sys.executable, "-I", "-S", script, json.dumps(settings)]
        command = [*bubblewrap(tree, self.hidden), *program] if confined else program
        with open(root / "log", "wb") as log:
            self._warm = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[theirs.fileno()],
                env=_environment(str(root / "scratch")),
                cwd="/",
            )
        theirs.close()
        ours.settimeout(START_SECONDS)
        self._control = ours
        try:
            greeting = ours.recv(16)
        except OSError:
            greeting = b""
        if greeting != b"warm":
            reason = self._complaint()
            self._stop()
            raise SandboxError(f"the sandbox did not start: {reason}")

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._warm is not None:
            try:
                self._warm.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                self._warm.kill()
                self._warm.wait()
            self._warm = None

    def _complaint(self) -> str:
        log = Path(self._folder.name) / "log"
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no answer from the process in it."


def problem() -> str:
    """Return why bubblewrap cannot be used on this machine, or an empty string."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap)"
    check = ["--unshare-all", "--ro-bind", "/", "/", "true"]
    tried = subprocess.run(["bwrap", *check], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def bubblewrap(course: Path, hidden: Sequence[Path]) -> list[str]:
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
    for name, value in _environment(SCRATCH).items():
        command += ["--setenv", name, value]
    bound = _bind_system(command)
    command += ["--proc", "/proc", "--dev", "/dev"]
    for folder in [Path(site) / "labkit" for site in _site_folders()] + list(hidden):
        folder = folder.resolve()
        if folder.is_dir() and any(folder.is_relative_to(root) for root in bound):
            command += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    command += ["--ro-bind", str(course), COURSE]
    command += ["--perms", "1777", "--size", str(1 << 26), "--tmpfs", SCRATCH]
    return [*command, "--remount-ro", "/", "--chdir", SCRATCH, "--"]


def _bind_system(command: list[str]) -> list[Path]:
    """Add the system's programs and this Python to `command`; return the folders it shows."""
    bound: list[Path] = []
    prefixes = [sys.base_prefix, sys.prefix, *_site_folders()]
    for path in map(Path, [*SYSTEM, *prefixes]):
        if path.is_symlink() and str(path) in SYSTEM:
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.exists() and not any(path.is_relative_to(root) for root in bound):
            for parent in reversed(path.parents[:-1]):
                # Left to itself bwrap makes parents that only their owner may enter.
                command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", str(path), str(path)]
            bound.append(path)
    return [root.resolve() for root in bound]


def _site_folders() -> list[str]:
    """Return where the packages are that answers may import."""
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    paths += [str(Path(module.__file__ or "").parents[1]) for module in (torch, np)]
    return list(dict.fromkeys(paths))


def _environment(home: str) -> dict[str, str]:
    return {
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "USER": "student",
    }


def _copy(files: Mapping[str, Path], root: Path) -> Path:
    root.mkdir(exist_ok=True)
    for name, source in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def _in(seconds: float) -> float:
    return time.monotonic() + seconds
