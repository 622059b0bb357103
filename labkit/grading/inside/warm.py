"""The warm process: imports what is slow once, then forks a confined process for each answer.

It runs inside the outer sandbox, holds nothing secret, and never reads what a student's process
writes. For each request on its control socket it forks a *keeper*, which enters namespaces of its
own and forks the process that runs the student's code: number 1 of its own process namespace,
where neither the keeper nor the warm process exists. The keeper kills it when told to, or when
whoever started the grader is gone.

    python -I -S warm.py '{"control": 3, "paths": [...], ...}'

In a container of its own, which confines it already, it forks nothing: without a control socket it
answers requests from standard input itself.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn


def main(settings: dict[str, Any]) -> None:
    """Serve fork requests until the control socket is closed."""
    sys.path[:0] = settings["paths"]
    if "control" not in settings:
        _import_all(settings["modules"])
        _serve_alone(settings)
    if settings["user"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["user"]] * 3)
        os.setresuid(*[settings["user"]] * 3)
    _import_all(settings["modules"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control = socket.socket(fileno=settings["control"])
    control.sendall(b"warm")
    while True:
        message, descriptors = _receive(control)
        if not message:
            return
        if os.fork() == 0:
            control.detach()
            os.close(settings["control"])
            _keep(descriptors, settings)
        for descriptor in descriptors:
            os.close(descriptor)


def _import_all(modules: list[str]) -> None:
    import torch

    # Nothing parallel before the fork: the threads of a pool do not survive it.
    torch.set_num_threads(1)
    importlib.import_module("labkit.grading.inside.answers")
    importlib.import_module("labkit.grading.inside.isolate")
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            # The cell that wants it says so, with the line.
            continue
    # What is shared until it is written to: a garbage collection would touch, and copy, it all.
    gc.collect()
    gc.freeze()


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(control, 1, 3)
    return message, descriptors


def _keep(descriptors: list[int], settings: dict[str, Any]) -> NoReturn:
    """Fork the confined process, wait for its end or for an order to kill it, report, exit."""
    from labkit.grading.inside import isolate

    requests, replies, leash = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report = "failed"
    try:
        if settings["isolate"]:
            isolate.enter_namespaces()
        child = os.fork()
        if child == 0:
            _confine_and_serve(requests, replies, leash, settings)
        os.close(requests)
        os.close(replies)
        ended = os.pidfd_open(child)
        watch = select.poll()
        watch.register(ended, select.POLLIN)
        watch.register(leash, select.POLLIN | select.POLLHUP)
        if any(descriptor == leash for descriptor, _ in watch.poll()):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        report = f"ended {os.waitstatus_to_exitcode(status)}"
    except OSError as error:
        report = f"failed {error}"
    try:
        os.write(leash, report.encode())
    except OSError:
        # The grader has let go of its end: nobody is left to tell.
        os._exit(1)
    os._exit(0)


def _confine_and_serve(
    requests: int, replies: int, leash: int, settings: dict[str, Any]
) -> NoReturn:
    from labkit.grading.inside import answers, isolate

    status = 1
    try:
        # A signal to one's process group would pass through the wall between namespaces.
        os.setsid()
        limits = isolate.Limits(**settings["limits"])
        isolate.set_limits(limits)
        if settings["isolate"]:
            isolate.cover_folders(limits.scratch)
            isolate.drop_capabilities()
        else:
            os.chdir(settings["scratch"])
        _keep_only(requests, replies)
        if settings["isolate"]:
            isolate.filter_system_calls()
        answers.serve(3, 4)
        status = 0
    except OSError as error:
        os.write(leash, f"failed {error}".encode())
    finally:
        os._exit(status)


def _serve_alone(settings: dict[str, Any]) -> NoReturn:
    from labkit.grading.inside import answers, isolate

    isolate.set_limits(isolate.Limits(**settings["limits"]))
    isolate.drop_capabilities()
    _keep_only(sys.stdin.fileno(), sys.stdout.fileno())
    isolate.filter_system_calls()
    answers.serve(3, 4)
    os._exit(0)


def _keep_only(requests: int, replies: int) -> None:
    """Leave /dev/null as 0, 1 and 2, requests as 3, replies as 4, and nothing else open."""
    null = os.open(os.devnull, os.O_RDWR)
    # First out of the way of the numbers that they are to have.
    kept = [os.dup2(d, 40 + i) for i, d in enumerate((null, null, null, requests, replies))]
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number, inheritable=False)
    os.closerange(5, 65536)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
