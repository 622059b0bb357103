"""Running another grader on hostile submissions without harm to this machine.

Shut in by bubblewrap: no network but loopback, nothing writable but the course's folder, a limit
on time, memory and the size of a file. Within, the grader works as it does for an instructor who
has no container for it: its environment, its packages and its course can be reached.
"""

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CANARY = "canary-4f1d"
HOME = "/home/instructor"
# A folder of packages that the instructor may write to, as in a virtual environment of their own.
PACKAGES = "packages"
TRACE, PORT = f"{HOME}/trace", 4711
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/passwd", "/etc/group", "/etc/hosts"),
    *("/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
)
DRIVER = """
import json, os, pathlib, resource, signal, socket, subprocess, sys, threading, time
commands, seconds, port = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
listener = socket.create_server(("127.0.0.1", port))
connections = []
def accept():
    while True:
        connections.append(listener.accept())
threading.Thread(target=accept, daemon=True).start()
ended = []
with open("log", "wb") as log:
    for command in commands:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            process.wait(seconds)
            ended.append(True)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            ended.append(False)
time.sleep(1)
own = (1, 2, os.getpid())
left = [p.name for p in pathlib.Path("/proc").glob("[0-9]*") if int(p.name) not in own]
aftermath = dict(ended=ended, connections=len(connections), left=len(left))
pathlib.Path("aftermath.json").write_text(json.dumps(aftermath))
"""


@dataclass(frozen=True)
class Aftermath:
    """What there is to see after a run.

    Attributes
    ----------
    ended : list of bool
        For each command, whether it came to its end by itself; empty if all was killed.
    outside : bool
        Whether a file, a connection or a process of an attack's own is there.
    """

    ended: list[bool]
    outside: bool


def run(python: str, course: Path, commands: list[list[str]], seconds: int) -> Aftermath:
    """Run commands one after another in a course's folder.

    Parameters
    ----------
    python : str
        The interpreter that the commands use.
    course : Path
        What they may write to, and nothing else.
    commands : list of list of str
        Program and arguments.
    seconds : int
        How long each may take.
    """
    line = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent"]
    line += ["--new-session", "--clearenv", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in SYSTEM:
        line += ["--ro-bind-try", path, path]
    for path in _folders(python):
        line += ["--ro-bind", path, path]
    line += ["--bind", str(course), HOME, "--chdir", HOME]
    (course / PACKAGES).mkdir(exist_ok=True)
    variables = {
        **{"HOME": HOME, "PATH": f"{Path(python).parent}:/usr/bin:/bin", "LABKIT_CANARY": CANARY},
        **{"PYTHONPATH": f"{HOME}/{PACKAGES}", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"},
    }
    for name, value in variables.items():
        line += ["--setenv", name, value]
    line += [python, "-c", DRIVER, json.dumps([commands, seconds, PORT])]
    with contextlib.suppress(subprocess.TimeoutExpired):
        limit = seconds * (len(commands) + 1)
        subprocess.run(line, capture_output=True, timeout=limit, check=False)
    if not (course / "log").exists():
        raise RuntimeError(f"bubblewrap did not start {' '.join(line)}")
    # Without it, the attack has stopped everything, this look at it included.
    killed = {"ended": [], "connections": 0, "left": 0}
    found = parsed(course / "aftermath.json") or killed
    outside = (course / "trace").exists() or found["connections"] > 0 or found["left"] > 0
    return Aftermath(found["ended"], outside)


def parsed(path: Path) -> Any:
    """Return what a file holds as JSON; None if there is no such file, or it is not JSON."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError:
        return None


def output(line: list[str], folder: Path | None = None) -> str:
    """Run a trusted command and return what it prints; raises if it fails."""
    # nbgrader calls a program that was installed beside it.
    environment = {**os.environ, "PATH": f"{Path(line[0]).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise RuntimeError(f"{' '.join(line[:4])} failed:\n{said}")
    return done.stdout


def _folders(python: str) -> list[str]:
    """Return what this Python needs to see of its own, outermost first."""
    code = "import sys; print(sys.prefix, sys.base_prefix, *filter(None, sys.path), sep='\\n')"
    found = {path for path in output([python, "-c", code]).splitlines() if Path(path).is_dir()}
    return sorted(path for path in found if not path.startswith("/usr/"))
