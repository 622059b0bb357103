"""Talking to one confined process, which runs a student's code and may send anything."""

import contextlib
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from labkit.grading.wire import LARGEST, LENGTH, WireError, decode, encode

READY_SECONDS = 30.0
KILL_SECONDS = 10.0

Reason = Literal["timeout", "memory", "crash"]


class SandboxError(RuntimeError):
    """The sandbox itself does not work; nobody's answer is to blame."""


class Died(Exception):
    """A confined process ended, or was ended, before it replied."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Asked(Protocol):
    """A process that answers requests."""

    def ask(self, request: object, seconds: float) -> Any:
        """Send `request` and return the decoded reply; raises `Died` if there is none."""


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
            return decode(self._read(size, deadline), tensors=False)
        except WireError:
            raise Died("crash", "What came back could not be read.") from None

    def wait_ready(self, seconds: float) -> None:
        """Wait until the process is confined.

        Raises
        ------
        SandboxError
            If it could not be.
        """
        try:
            ready = decode(self._read(len(encode("ready")) + LENGTH.size, _in(seconds))[8:])
        except (Died, WireError) as error:
            raise SandboxError(f"a process could not be confined: {error}") from None
        if ready != "ready":
            raise SandboxError("a confined process did not start as expected.")

    def close(self) -> None:
        """Kill the process, if it still runs, and wait until it is gone."""
        with contextlib.suppress(OSError):
            self.leash.shutdown(socket.SHUT_WR)
        self._report(KILL_SECONDS)
        self.abandon()

    def abandon(self) -> None:
        """Close our ends; a process at the other ends is killed by its keeper."""
        for descriptor in (self.requests, self.replies):
            os.close(descriptor)
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
        # Not a list of parts, which could be bytes one by one.
        found = bytearray()
        while len(found) < count:
            self._wait(self.replies, select.POLLIN, deadline)
            part = os.read(self.replies, min(count - len(found), 1 << 20))
            if not part:
                raise self._death()
            found += part
        return bytes(found)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Died("timeout", "Your code ran too long and was stopped.")

    def _death(self) -> Died:
        report = self._report(KILL_SECONDS)
        if report is None:
            # Alive, and silent by its own doing: the keeper, which it cannot reach, is there.
            return Died("crash", "Your code closed the channel that its results are sent through.")
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
        # No exit code: with one, an answer could tell its student of a secret input.
        how = f"by signal {-code}" if code < 0 else "by an exit"
        return Died("crash", f"Your code ended the whole process, {how}.")

    def _report(self, seconds: float) -> str | None:
        """Return what the keeper reports; nothing if it is gone, None if it has nothing to say."""
        self.leash.settimeout(seconds)
        try:
            return self.leash.recv(4096).decode("utf-8", "replace")
        except TimeoutError:
            return None
        except OSError:
            return ""


def _in(seconds: float) -> float:
    return time.monotonic() + seconds
