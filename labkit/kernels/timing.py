"""Which of two ways is the quicker one on this machine."""

import time
from collections.abc import Callable


def quicker(
    one: Callable[[], object], other: Callable[[], object], times_as_long: float = 1.0
) -> bool:
    """Tell whether one takes less than so many times as long as the other.

    The shortest of seven times of each counts, measured in turn, so that other work on the machine
    decides nothing.
    """
    best = [float("inf"), float("inf")]
    for _ in range(7):
        for i, run in enumerate((one, other)):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
    return best[0] < times_as_long * best[1]
