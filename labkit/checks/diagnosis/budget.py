"""How long the searches of one card may compute, all of them together."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 0.8
"""Of processor time, beyond the calls of the answer itself."""

EVERY = 4
"""How often it is asked before it looks at the clock: on some systems that takes longer than a
guess."""


class Budget:
    """The processor time that is left for guesses.

    The most plausible ones are tried first, so that what is cut off on a slow machine, or behind
    calls that take long, is what hardly ever fits.
    """

    def __init__(self) -> None:
        self._seconds = SECONDS
        self._start = time.process_time()
        self._asked, self._spent = 0, 0.0

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._seconds - (time.process_time() - self._start))

    def over(self, share: float = 1.0, now: bool = False) -> bool:
        """Whether that share of it is spent; `now` looks at the clock each time."""
        self._asked += 1
        if now or self._asked % EVERY == 0:
            self._spent = time.process_time() - self._start
        return self._spent > share * self._seconds


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep the collector of garbage away: in a large process one pass takes as long as a search.

    What a search leaves behind in its second is little.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
