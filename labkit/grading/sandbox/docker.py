"""The sandbox where bubblewrap cannot be had: a Docker container for each confined process.

Slower, since each container imports torch anew, and as tight: no network, nothing writable but a
scratch folder, no capability, limits on memory, processes, files and output, another user than
root; inside, the same system calls are filtered.
"""

import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

from labkit.grading.inside.isolate import SCRATCH, Limits
from labkit.grading.sandbox.process import Process

IMAGE = "labkit-grader"
COURSE = "/course"
NOBODY = 65534
PACKAGES = ("torch", "numpy", "tqdm", "safetensors", "ipython")
MEMORY_OF_TORCH = 1 << 30  # bytes, on top of what an answer may take
DOCKER_FAILED = 125
ALL_CONTAINERS = 4096  # threads


def problem() -> str:
    """Return why Docker cannot be used on this machine, or an empty string."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    tried = subprocess.run(
        ["docker", "image", "inspect", IMAGE], capture_output=True, text=True, check=False
    )
    if tried.returncode == 0:
        return ""
    reason = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"{reason}; if the image is missing, make it with: {recipe()}"


def recipe() -> str:
    """Return the command that makes the image, with the versions of this installation."""
    wanted = " ".join(f"{name}=={metadata.version(name).split('+')[0]}" for name in PACKAGES)
    lines = f"FROM python:3.11-slim\\nRUN pip install --no-cache-dir {wanted}\\n"
    return f"printf '{lines}' | docker build -t {IMAGE} -"


def command_line(course: Path, limits: Limits, name: str) -> list[str]:
    """Return the docker command line up to the program that it runs; `course` goes to /course."""
    memory = limits.memory + MEMORY_OF_TORCH
    files = f"{limits.files}:{limits.files}"
    size = f"{limits.scratch}:{limits.scratch}"
    command = ["docker", "run", "--rm", "--interactive", "--init=false", "--name", name]
    command += ["--network", "none", "--ipc", "none", "--hostname", "sandbox"]
    command += ["--read-only", "--tmpfs", f"{SCRATCH}:rw,noexec,nosuid,nodev,size={limits.scratch}"]
    command += ["--mount", f"type=bind,source={course},target={COURSE},readonly"]
    command += ["--user", f"{NOBODY}:{NOBODY}", "--cap-drop", "ALL"]
    command += ["--security-opt", "no-new-privileges"]
    command += ["--memory", str(memory), "--memory-swap", str(memory)]
    command += ["--pids-limit", str(limits.threads), "--cpus", "1"]
    command += ["--ulimit", f"nofile={files}", "--ulimit", f"fsize={size}", "--ulimit", "core=0"]
    command += ["--log-driver", "none", "--workdir", SCRATCH]
    for key, value in (("HOME", SCRATCH), ("TMPDIR", SCRATCH), ("OMP_NUM_THREADS", "1")):
        command += ["--env", f"{key}={value}"]
    return [*command, IMAGE]


def start(course: Path, limits: Limits, modules: Sequence[str]) -> Process:
    """Start a container, and a thread that ends it when its leash is let go."""
    name = f"labkit-{secrets.token_hex(8)}"
    # Docker counts the threads of a container; the system would count those of all together.
    inside = asdict(replace(limits, threads=ALL_CONTAINERS))
    settings = {"paths": [COURSE], "modules": list(modules), "limits": inside}
    script = f"{COURSE}/labkit/grading/inside/warm.py"
    program = ["python", "-I", script, json.dumps(settings)]
    inside_requests, requests = os.pipe()
    replies, inside_replies = os.pipe()
    leash, keepers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_blocking(requests, False)
    try:
        container = subprocess.Popen(
            [*command_line(course, limits, name), *program],
            stdin=inside_requests,
            stdout=inside_replies,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(inside_requests)
        os.close(inside_replies)
    threading.Thread(target=_keep, args=(container, keepers_end, name), daemon=True).start()
    return Process(requests, replies, leash)


def _keep(container: subprocess.Popen, leash: socket.socket, name: str) -> None:
    """Wait for the container's end or for an order to kill it, and report."""
    ended = os.pidfd_open(container.pid)
    watch = select.poll()
    watch.register(ended, select.POLLIN)
    watch.register(leash, select.POLLIN | select.POLLHUP)
    if any(descriptor == leash.fileno() for descriptor, _ in watch.poll()):
        subprocess.run(["docker", "kill", name], capture_output=True, check=False)
    code = container.wait()
    os.close(ended)
    report = f"ended {128 - code if code > 128 else code}"
    try:
        leash.send(b"failed docker" if code == DOCKER_FAILED else report.encode())
    except OSError:
        # The grader has let go of its end: nobody is left to tell.
        return
    finally:
        leash.close()
