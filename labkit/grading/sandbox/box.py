"""The sandbox seen from outside: a warm process, from which confined ones are forked.

One outer sandbox (`labkit.grading.sandbox.bubblewrap`) holds a process that has imported what is
slow; every answer runs in a fork of it, confined once more (`labkit.grading.inside`). With Docker
there is no warm process: every answer runs in a container of its own.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import labkit.grading.sandbox.bubblewrap as bubblewrap
import labkit.grading.sandbox.docker as docker
from labkit.grading.inside.isolate import Limits
from labkit.grading.sandbox.bubblewrap import COURSE, command_line, environment, site_folders
from labkit.grading.sandbox.forks import READY_SECONDS, Forks, Template, forked, greeting
from labkit.grading.sandbox.process import KILL_SECONDS, Process, SandboxError
from labkit.grading.sandbox.scratch import ScratchFolder

NOBODY = 65534
START_SECONDS = 120.0
MOST_MODULES = 100

Kind = Literal["bubblewrap", "docker", "none"]


def problem(kind: Kind) -> str:
    """Return why this kind of sandbox cannot be used on this machine, or an empty string."""
    if kind == "none":
        return ""
    return bubblewrap.problem() if kind == "bubblewrap" else docker.problem()


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
        "bubblewrap", "docker", or "none": a plain process with limits, which protects nothing.
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
        self._folder = ScratchFolder()
        self._loaded: frozenset[str] = frozenset()

    def __enter__(self) -> "Sandbox":
        with self._lock:
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._stop()
        self._folder.remove()

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
                process.wait_ready(START_SECONDS if self.kind == "docker" else READY_SECONDS)
                break
            except SandboxError:
                process.close()
                if attempt > 0:
                    raise
        try:
            yield process
        finally:
            process.close()

    @contextlib.contextmanager
    def prepared(self, modules: Sequence[str]) -> Iterator[Forks]:
        """Have `modules` imported once for all the processes that are forked in the ``with`` block.

        Those that are not installed, or cannot be imported so, are left to who imports them.
        """
        known = {"labkit", *sys.stdlib_module_names}
        wanted = [n for n in modules if n not in self._loaded and n.split(".")[0] not in known]
        template = None
        if wanted and self.kind != "docker":
            template = Template.start(self.process, self.send, wanted[:MOST_MODULES])
        try:
            yield template or self
        finally:
            if template is not None:
                template.close()

    def send(self, order: bytes, given: Sequence[int]) -> None:
        """Send an order to the warm process.

        Raises
        ------
        SandboxError
            If there is none.
        """
        with self._lock:
            if self._control is None:
                raise SandboxError("the sandbox is not started.")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # If it is dead nobody answers, and the caller starts it again.
                socket.send_fds(self._control, [order], given)

    def _fork(self, again: bool) -> Process:
        if self.kind == "docker":
            return docker.start(self._course, self.limits, self.modules)
        with self._lock:
            if again and self._warm is not None and self._warm.poll() is not None:
                self._stop()
                self._start()
        return forked(self.send)

    def _start(self) -> None:
        confined = self.kind == "bubblewrap"
        root = self._folder.path
        self._course = copy_files(self.files, root / "course")
        if self.kind == "docker":
            root.chmod(0o755)  # nobody has to read the course through it
            return
        course = COURSE if confined else str(self._course)
        (root / "scratch").mkdir(exist_ok=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {
            "control": theirs.fileno(),
            "paths": [course, *site_folders()],
            "modules": list(self.modules),
            "user": NOBODY if confined and os.getuid() == 0 else None,
            "isolate": confined,
            "scratch": str(root / "scratch"),
            "limits": asdict(self.limits),
        }
        script = f"{course}/labkit/grading/inside/warm.py"
        program = [sys.executable, "-I", "-S", script, json.dumps(settings)]
        command = [*command_line(self._course, self.hidden), *program] if confined else program
        with open(root / "log", "wb") as log:
            self._warm = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[theirs.fileno()],
                env=environment(str(root / "scratch")),
                cwd="/",
            )
        theirs.close()
        ours.settimeout(START_SECONDS)
        self._control = ours
        self._loaded = greeting(ours)
        if not self._loaded:
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
        log = self._folder.path / "log"
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no answer from the process in it."


def copy_files(files: Mapping[str, Path], root: Path) -> Path:
    """Write `files` into a folder, readable for all, and return it."""
    root.mkdir(exist_ok=True)
    for name, source in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root
