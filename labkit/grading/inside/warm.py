"""The warm process: imports what is slow once, then forks a confined process for each answer.

It runs inside the outer sandbox, holds nothing secret, and never reads what a student's process
writes. For each request on its control socket it forks a *keeper*, which enters namespaces of its
own and forks the process that runs the student's code: number 1 of its own process namespace,
where neither the keeper nor the warm process exists. The keeper kills it when told to, or when
whoever started the grader is gone.

    python -I -S warm.py '{"control": 3, "paths": [...], ...}'

Where a submission imports what takes long, a *template* is forked first in the same way. It imports
that once, and then takes the place of the warm process for this submission.

In a container of its own, which confines it already, it forks nothing: without a control socket it
answers requests from standard input itself.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

LONGEST_GREETING = 150_000
LONGEST_ORDER = 10_000
MANY = 4096
"""Threads and open files of a template, which forks all processes of a submission."""


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
    _serve_forks(socket.socket(fileno=settings["control"]), settings)


def _serve_forks(control: socket.socket, settings: dict[str, Any]) -> None:
    """Fork what is asked for: a process that runs cells, or a template with more imports."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.sendall("\n".join(["warm", *sys.modules])[:LONGEST_GREETING].encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, 3)
        if not message:
            return
        if os.fork() == 0:
            os.close(control.detach())
            *given, leash = descriptors
            order, *modules = message.decode().split("\n")
            if order == "fork":
                _keep(given, leash, settings, partial(_confine_and_serve, given, leash, settings))
            _keep(given, leash, settings, partial(_import_and_fork, given, modules, settings))
        for descriptor in descriptors:
            os.close(descriptor)


def _import_all(modules: list[str]) -> None:
    import torch

    # Nothing parallel before the fork: the threads of a pool do not survive it.
    torch.set_num_threads(1)
    importlib.import_module("IPython.core.inputtransformer2")
    importlib.import_module("labkit.grading.inside.answers")
    importlib.import_module("labkit.grading.inside.isolate")
    for name in modules:
        # The cell that wants it says what is wrong with it, with the line.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)
    # What is shared until it is written to: a garbage collection would touch, and copy, it all.
    gc.collect()
    gc.freeze()


def _keep(
    given: list[int], leash: int, settings: dict[str, Any], work: Callable[[], NoReturn]
) -> NoReturn:
    """Fork a process that does `work`, wait for its end or for an order to kill it, report, exit.

    The process is number 1 of a namespace of its own: with it ends what it has forked.
    """
    from labkit.grading.inside import isolate

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report = "failed"
    try:
        if settings["isolate"]:
            isolate.enter_namespaces()
        child = os.fork()
        if child == 0:
            work()
        for descriptor in given:
            os.close(descriptor)
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


def _import_and_fork(given: list[int], modules: list[str], settings: dict[str, Any]) -> NoReturn:
    """Import what one submission imports, and fork its processes: no code of a student runs here.

    Confined by namespaces all the same: an installed package may do anything when it is imported.
    """
    from labkit.grading.inside import isolate

    try:
        os.setsid()
        limits = isolate.Limits(**settings["limits"])
        isolate.set_limits(replace(limits, memory=4 * limits.memory, threads=MANY, files=MANY))
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        _import_all(modules)
        if threading.active_count() == 1:  # the threads of others do not survive a fork
            _serve_forks(socket.socket(fileno=given[0]), settings)
    finally:
        os._exit(0)


def _confine_and_serve(given: list[int], leash: int, settings: dict[str, Any]) -> NoReturn:
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
        _keep_only(*given)
        if settings["isolate"]:
            isolate.filter_system_calls()
            sys.path.append(isolate.SCRATCH)  # what `%%writefile` writes can be imported
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
