"""Confined processes are forked: from the warm process, or from a template of one submission."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from labkit.grading.sandbox.process import READY_SECONDS, Asked, Process, SandboxError

IMPORT_SECONDS = 60.0
LONGEST_GREETING = 1 << 18

Send = Callable[[bytes, Sequence[int]], None]
"""Sends an order, and descriptors with it, to a process that forks."""
Fork = Callable[[], AbstractContextManager[Process]]


class Forks(Protocol):
    """Where processes come from."""

    def process(self) -> AbstractContextManager[Asked]:
        """Fork a process; it is gone at the end of the ``with`` block."""


class Template:
    """A fork of the warm process that has imported more, for one submission.

    Parameters
    ----------
    process : callable
        Forks one elsewhere, if it is gone.
    control, leash : socket
        To it, and to its keeper.
    """

    def __init__(self, process: Fork, control: socket.socket, leash: socket.socket) -> None:
        self._elsewhere = process
        self._control = control
        self._leash = leash

    @classmethod
    def start(cls, process: Fork, send: Send, modules: Sequence[str]) -> "Template | None":
        """Fork a template; None if it cannot import `modules`, or not in time."""
        control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        leash, inside_leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inside, inside_leash:
            order = "\n".join(["template", *modules]).encode()
            send(order, [inside.fileno(), inside_leash.fileno()])
        control.settimeout(IMPORT_SECONDS)
        template = cls(process, control, leash)
        if greeting(control):
            return template
        template.close()
        return None

    @contextlib.contextmanager
    def process(self) -> Iterator[Process]:
        """Fork a confined process, as `Sandbox.process`."""
        process = forked(self._send)
        try:
            process.wait_ready(READY_SECONDS)
        except SandboxError:
            process.close()
            with self._elsewhere() as other:
                yield other
            return
        try:
            yield process
        finally:
            process.close()

    def close(self) -> None:
        """End it, and all that it has forked."""
        self._control.close()
        with contextlib.suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)
        self._leash.close()

    def _send(self, order: bytes, given: Sequence[int]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._control, [order], given)


def forked(send: Send) -> Process:
    """Return a process that was forked by whoever gets what `send` sends."""
    inside_requests, requests = os.pipe()
    replies, inside_replies = os.pipe()
    leash, inside_leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_blocking(requests, False)
    process = Process(requests, replies, leash)
    try:
        send(b"fork", [inside_requests, inside_replies, inside_leash.fileno()])
    except BaseException:
        process.abandon()
        raise
    finally:
        os.close(inside_requests)
        os.close(inside_replies)
        inside_leash.close()
    return process


def greeting(control: socket.socket) -> frozenset[str]:
    """Return the modules that a warm process says it has imported; none if it does not answer."""
    try:
        first, *loaded = control.recv(LONGEST_GREETING).decode("utf-8", "replace").split("\n")
    except OSError:
        return frozenset()
    return frozenset({first, *loaded}) if first == "warm" else frozenset()
