"""Slips in the search for a free place, for exercise 8.8."""

Taken = list[tuple[int, int]]


def on_top(size: int, taken: Taken) -> int:
    """Go on top of all that is in the way."""
    return max((end for _, end in taken), default=0)


def too_low(size: int, taken: Taken) -> int:
    """Take the first gap, however small."""
    offset = 0
    for start, end in sorted(taken):
        if start <= offset:
            offset = max(offset, end)
    return offset


def last_end(size: int, taken: Taken) -> int:
    """Go to the end of the last one in the way, even if an earlier one reaches higher."""
    offset = 0
    for start, end in sorted(taken):
        if offset + size <= start:
            break
        offset = end
    return offset


def one_free(size: int, taken: Taken) -> int:
    """Leave a byte free before the next place."""
    offset = 0
    for start, end in sorted(taken):
        if start <= offset + size:
            offset = max(offset, end)
    return offset


def past_each(size: int, taken: Taken) -> int:
    """Move past every place that begins below, even one that ends below the offset already."""
    offset = 0
    for start, end in sorted(taken):
        if start < offset + size:
            offset += end - start
    return offset


def over_each(size: int, taken: Taken) -> int:
    """Go through the places in the order in which they were given, to the end."""
    offset = 0
    for start, end in taken:
        if start < offset + size and offset < end:
            offset = end
    return offset


def _gaps(size: int, taken: Taken) -> list[tuple[int, int]]:
    """Return length and offset of each gap below others that is large enough."""
    gaps, free = [], 0
    for start, end in sorted(taken):
        if size <= start - free:
            gaps.append((start - free, free))
        free = max(free, end)
    return gaps


def tightest(size: int, taken: Taken) -> int:
    """Take the gap that is filled best."""
    gaps = _gaps(size, taken)
    return min(gaps)[1] if gaps else on_top(size, taken)


def widest(size: int, taken: Taken) -> int:
    """Take the gap with most bytes."""
    gaps = _gaps(size, taken)
    return max(gaps)[1] if gaps else on_top(size, taken)


def highest(size: int, taken: Taken) -> int:
    """Take the last gap, not the first."""
    gaps = _gaps(size, taken)
    return gaps[-1][1] if gaps else on_top(size, taken)


def at_0_or_on_top(size: int, taken: Taken) -> int:
    """Look below the lowest place, and in no gap above it."""
    return 0 if all(start >= size for start, _ in taken) else on_top(size, taken)


def in_multiples(size: int, taken: Taken, of: int) -> int:
    """Return the lowest free place among multiples of a number."""
    offset = 0
    for start, end in sorted(taken):
        if start < offset + size:
            offset = max(offset, -(-end // of) * of)
    return offset


def as_placed(size: int, taken: Taken) -> int:
    """Go through the places in the order in which they were given."""
    offset = 0
    for start, end in taken:
        if offset + size <= start:
            break
        offset = max(offset, end)
    return offset
