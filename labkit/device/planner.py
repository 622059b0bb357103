"""Where each tensor lies: one arena, in which tensors that are never needed together share bytes.

A tensor is live from the step that makes it to the last step that reads it. Two tensors that are
live in one step must not overlap; all others may.

Source of the greedy rule: Pisarchyk and Lee, "Efficient memory management for deep neural net
inference", 2020, arXiv:2001.03288, greedy by size for offsets; TensorFlow Lite Micro's
``GreedyMemoryPlanner`` places tensors in the same order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from labkit.validation import whole_number

__all__ = [
    "Arena",
    "Lifetime",
    "live_bytes",
    "peak_bytes",
    "plan_arena",
    "smallest_arena",
    "tight_arena",
]

MOST_SEARCHED = 10
MOVES = 20


@dataclass(frozen=True)
class Lifetime:
    """A tensor, how large it is, and when it is needed.

    Attributes
    ----------
    name : str
    size : int
        Bytes, 1 or more.
    first, last : int
        The step that makes it (0 for the network's input) and the last that reads it.
    inside : str or None
        The tensor whose bytes it takes over, since the step that makes it may write in place.
    """

    name: str
    size: int
    first: int
    last: int
    inside: str | None = None

    def __post_init__(self) -> None:
        size, first, last = (
            whole_number(getattr(self, key), f"{key} of {self.name!r}")
            for key in ("size", "first", "last")
        )
        if size < 1 or not 0 <= first <= last:
            raise ValueError(
                f"tensor {self.name!r} has size {size} and is live from step {first} to {last}; "
                "expected at least one byte, and a first step before the last."
            )

    def meets(self, other: "Lifetime") -> bool:
        """Tell whether there is a step in which both are live."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """A place for each tensor.

    Attributes
    ----------
    size : int
        Bytes of the arena.
    offsets : dict of str to int
        Where each tensor begins.
    lifetimes : tuple of Lifetime
        What was placed.
    """

    size: int
    offsets: dict[str, int]
    lifetimes: tuple[Lifetime, ...]


def live_bytes(lifetimes: Sequence[Lifetime]) -> list[int]:
    """Return how many bytes are live in each step: the sum of the sizes of all live tensors.

    What is written in place counts once, with the larger of the two sizes.
    """
    blocks = _blocks(lifetimes)
    steps = 1 + max(block.last for block in blocks)
    return [sum(b.size for b in blocks if b.first <= step <= b.last) for step in range(steps)]


def peak_bytes(lifetimes: Sequence[Lifetime]) -> int:
    """Return the largest of `live_bytes`: no arena is smaller."""
    return max(live_bytes(lifetimes))


def plan_arena(lifetimes: Sequence[Lifetime], alignment: int = 1) -> Arena:
    """Place tensors greedily by size: the largest first, each at the lowest place that is free.

    Parameters
    ----------
    lifetimes : sequence of Lifetime
        Tensors of different names.
    alignment : int
        Every offset is a multiple of it: 1 for tensors of bytes.

    Returns
    -------
    Arena
        Of equal sizes, the one that is made first is placed first.

    Raises
    ------
    TypeError, ValueError
        If there are none, two have one name, one lies inside a tensor that is not there or is not
        live when it is made, or the alignment is no whole number of 1 or more.
    """
    blocks = _blocks(lifetimes, alignment)
    return _arena(lifetimes, _placed(sorted(blocks, key=_by_size)))


def tight_arena(lifetimes: Sequence[Lifetime], alignment: int = 1) -> Arena:
    """Place tensors greedily in many orders, and return the smallest arena that comes out.

    Largest first is a good order, but a tensor that lives for long may end up in the middle, with
    gaps around it. So whatever lies on top is placed first the next time, and so on, `MOVES` times;
    and all of it again from another order, in which tensors that are needed last come first.

    Arguments and errors as `plan_arena`.
    """
    blocks = _blocks(lifetimes, alignment)
    tried = (placed for key in (_by_size, _by_end) for placed in _moved(sorted(blocks, key=key)))
    return _arena(lifetimes, min(tried, key=_end))


def _moved(order: list[Lifetime]) -> Iterator[dict[Lifetime, int]]:
    """Place blocks in an order, and again with the topmost one moved to its front."""
    for _ in range(1 + MOVES):
        placed = _placed(order)
        yield placed
        top = max(order, key=lambda block: placed[block] + block.size)
        order = [top, *(block for block in order if block is not top)]


def smallest_arena(lifetimes: Sequence[Lifetime], alignment: int = 1) -> Arena:
    """Return the smallest arena there is, by trying every order: the oracle of `plan_arena`.

    Take a best arena, and place its tensors again, the lowest first, each at the lowest place that
    is free: none comes to lie higher than it was. So some order gives the smallest size.

    Parameters
    ----------
    lifetimes, alignment
        As `plan_arena`.

    Raises
    ------
    ValueError
        If there are more than ten tensors: the orders are too many.
    """
    blocks = _blocks(lifetimes, alignment)
    if len(blocks) > MOST_SEARCHED:
        raise ValueError(
            f"there are {len(blocks)} tensors; expected at most {MOST_SEARCHED}, since all orders "
            "are tried. plan_arena takes any number."
        )
    start = _placed(sorted(blocks, key=_by_size))
    return _arena(lifetimes, _searched(blocks, {}, 0, start))


def _by_size(block: Lifetime) -> tuple[int, int]:
    return -block.size, block.first


def _by_end(block: Lifetime) -> tuple[int, int]:
    return -block.last, -block.size


def _placed(order: Sequence[Lifetime]) -> dict[Lifetime, int]:
    """Place blocks in this order, each at the lowest place that is free."""
    placed: dict[Lifetime, int] = {}
    for block in order:
        placed[block] = _lowest(block, placed)
    return placed


def _lowest(block: Lifetime, placed: dict[Lifetime, int]) -> int:
    offset = 0
    for other, start in sorted(placed.items(), key=lambda item: item[1]):
        if block.meets(other) and start < offset + block.size:
            offset = max(offset, start + other.size)
    return offset


def _searched(
    left: list[Lifetime], placed: dict[Lifetime, int], lowest: int, best: dict[Lifetime, int]
) -> dict[Lifetime, int]:
    """Place what is left in every order in which offsets do not fall; keep the smallest."""
    if not left:
        return placed
    for i, block in enumerate(left):
        offset = _lowest(block, placed)
        if lowest <= offset and offset + block.size < _end(best):
            rest = left[:i] + left[i + 1 :]
            best = _searched(rest, placed | {block: offset}, offset, best)
    return best


def _end(placed: dict[Lifetime, int]) -> int:
    return max(start + block.size for block, start in placed.items())


def _arena(lifetimes: Sequence[Lifetime], placed: dict[Lifetime, int]) -> Arena:
    start_of = {block.name: start for block, start in placed.items()}
    for tensor in lifetimes:
        if tensor.inside is not None:
            start_of[tensor.name] = start_of[tensor.inside]
    return Arena(_end(placed), {t.name: start_of[t.name] for t in lifetimes}, tuple(lifetimes))


def _blocks(lifetimes: Sequence[Lifetime], alignment: int = 1) -> list[Lifetime]:
    """Join each tensor with those that take over its bytes, and round sizes up."""
    alignment = whole_number(alignment, "alignment")
    if alignment < 1 or not lifetimes:
        raise ValueError(
            f"there are {len(lifetimes)} tensors, aligned to {alignment}; expected at least one "
            "of each."
        )
    blocks: dict[str, Lifetime] = {}
    block_of: dict[str, str] = {}
    for tensor in lifetimes:
        if tensor.name in block_of:
            raise ValueError(f"two tensors are called {tensor.name!r}; expected different names.")
        name = tensor.name if tensor.inside is None else block_of.get(tensor.inside, "")
        block = blocks.get(name, tensor)
        if not name or not block.meets(tensor):
            raise ValueError(
                f"tensor {tensor.name!r} lies inside {tensor.inside!r}; expected a tensor before "
                "it that is still live."
            )
        block_of[tensor.name] = name
        blocks[name] = replace(
            block,
            size=-(-max(block.size, tensor.size) // alignment) * alignment,
            first=min(block.first, tensor.first),
            last=max(block.last, tensor.last),
        )
    return list(blocks.values())
