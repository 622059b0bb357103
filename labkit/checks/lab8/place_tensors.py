"""Exercise 8.8: a place in the arena for each tensor."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

import labkit.checks.lab8.place_tensors_slips as slips
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab8.live_ranges import BRANCHES, DEEP, RESIDUAL, drawn, live_ranges
from labkit.checks.rules import Codes

Taken = slips.Taken


def place_tensors(sizes: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Return the offset of each tensor: the largest first, each at the lowest free place."""
    return _placed(sizes, first, last)


def _by_size(sizes: Tensor) -> list[int]:
    return sorted(range(len(sizes)), key=lambda i: (-int(sizes[i]), i))


def _lowest(size: int, taken: Taken) -> int:
    offset = 0
    for start, end in sorted(taken):
        if start < offset + size:
            offset = max(offset, end)
    return offset


def _placed(
    sizes: Tensor,
    first: Tensor,
    last: Tensor,
    *,
    order: Callable[[Tensor], Sequence[int]] = _by_size,
    lowest: Callable[[int, Taken], int] = _lowest,
    meets: Callable[[int, int, int, int], bool] = lambda a, b, c, d: a <= d and c <= b,
    given: Callable[[Tensor, list[int]], Tensor] = lambda offsets, order: offsets,
) -> Tensor:
    """Place tensors; ``meets`` gets first and last step of one and of the other."""
    n, start, end = sizes.tolist(), first.tolist(), last.tolist()
    offsets: dict[int, int] = {}
    placing = list(order(sizes))
    for i in placing:
        taken = [
            (offsets[j], offsets[j] + n[j])
            for j in offsets
            if meets(start[i], end[i], start[j], end[j])
        ]
        offsets[i] = lowest(n[i], taken)
    return given(torch.tensor([offsets[i] for i in range(len(n))]), placing)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, inputs: tuple, low: int, high: int) -> Case:
        return Case(label, (whole(rng, low, high, len(inputs) + 1), *live_ranges(inputs)))

    gap = torch.tensor([9, 6, 5, 4, 7]) + whole(rng, 0, 3, 1)
    lives = torch.tensor([0, 0, 0, 2, 3]), torch.tensor([3, 0, 2, 3, 3])
    # The last of these meets all others, of which the first reaches above the two that share bytes.
    high = torch.tensor([20, 8, 6, 4]) + whole(rng, 0, 3, 1)
    apart = torch.tensor([0, 3, 3, 1]), torch.tensor([1, 3, 4, 4])
    # All but the last are stacked; it meets those between which gaps of 30, 39, 17 and 29 are left.
    stacked = torch.tensor([30, 29, 20, 19, 18, 17, 16, 15, 14, 13, 9]) + whole(rng, 0, 3, 1)
    dies = torch.tensor([1, 3, 1, 1, 3, 1, 3, 1, 1, 3, 3])
    holes = torch.tensor([0] * 10 + [2]), dies
    equal = torch.full((len(RESIDUAL) + 1,), 12), *live_ranges(RESIDUAL)
    return [
        case("a residual", RESIDUAL, 10, 60),
        Case("a gap that is large enough", (gap, *lives)),
        Case("a place that reaches above the next one", (high, *apart)),
        Case("several gaps that are large enough", (stacked, *holes)),
        Case("tensors of one size", equal),
        case("branches", BRANCHES, 5, 60),
        case("a long way round", DEEP, 5, 60),
        case("twelve steps", drawn(rng, 12), 1, 90),
        case("twenty steps", drawn(rng, 20), 100, 4000),
    ]


def _placed_by_lives(
    sizes: Tensor, first: Tensor, last: Tensor, order: Callable[[int, int, int], tuple[int, ...]]
) -> Tensor:
    """Place tensors in an order that follows from size, first and last step, and the number."""
    lives = list(zip(sizes.tolist(), first.tolist(), last.tolist(), strict=True))
    ranked = sorted(range(len(lives)), key=lambda i: order(*lives[i]))
    return _placed(sizes, first, last, order=lambda sizes: ranked)


PLACE_TENSORS = Exercise(
    id="8.8",
    title="A place in the arena",
    points=3,
    reference=place_tensors,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "Two tensors may share bytes unless they are live in the same step: that is so if "
        "first[a] <= last[b] and first[b] <= last[a]. Place the largest tensor first, it is the "
        "hardest to fit in.",
        "For the next tensor, list the places (start, end) of those already placed that are live "
        "together with it, sorted by start. Go through them: if the tensor does not fit before "
        "this one, its offset is at least this one's end.",
        "order = sorted(range(len(sizes)), key=lambda i: (-int(sizes[i]), i)). For each i: offset "
        "= 0; for start, end in sorted(taken): if start < offset + size: offset = max(offset, "
        "end).",
    ),
    misconceptions=(
        Misconception(
            "places tensors as they are made",
            partial(_placed, order=lambda sizes: range(len(sizes))),
            "Small tensors that come first leave gaps too small for large ones: begin with the "
            "largest.",
        ),
        Misconception(
            "places the smallest first",
            partial(
                _placed,
                order=lambda sizes: sorted(range(len(sizes)), key=lambda i: (int(sizes[i]), i)),
            ),
            "The largest tensor first: it is the hardest to fit in.",
        ),
        Misconception(
            "gives every tensor bytes of its own",
            partial(_placed, meets=lambda a, b, c, d: True),
            "Tensors that are never live in the same step may share bytes: only those that meet "
            "stand in each other's way.",
        ),
        Misconception(
            "lets tensors share bytes in the step where one dies",
            partial(
                _placed,
                meets=lambda a, b, c, d: a <= d and c <= b and a < d and c < b,
            ),
            "In the step that reads a tensor last its result is written already: a step counts "
            "for both.",
        ),
        Misconception(
            "stacks tensors on top of all others",
            partial(_placed, lowest=slips.on_top),
            "There may be a gap below: take the lowest place that is large enough.",
        ),
        Misconception(
            "takes a gap that is too small",
            partial(_placed, lowest=slips.too_low),
            "Then two live tensors overlap: the whole tensor must fit in, start < offset + size "
            "is a collision.",
        ),
        Misconception(
            "takes the tightest gap instead of the lowest",
            partial(_placed, lowest=slips.tightest),
            "Best fit is another rule, and TensorFlow's planner has it. Here the lowest free place "
            "is taken, even if one above fits more tightly: stop at the first.",
        ),
        Misconception(
            "takes the widest gap instead of the lowest",
            partial(_placed, lowest=slips.widest),
            "The lowest free place is taken, however wide the gap is: stop at the first.",
        ),
        Misconception(
            "takes the highest gap instead of the lowest",
            partial(_placed, lowest=slips.highest),
            "Several gaps may be large enough: stop at the first from below.",
        ),
        Misconception(
            "looks for a gap at the bottom only",
            partial(_placed, lowest=slips.at_0_or_on_top),
            "There may be a gap between any two places: go through them from below.",
        ),
        *(
            Misconception(
                "places tensors at multiples of some bytes",
                partial(_placed, lowest=partial(slips.in_multiples, of=of)),
                "Libraries align tensors, TensorFlow Lite Micro to 16 bytes. Here the lowest free "
                "byte is asked for, whatever it is a multiple of.",
            )
            for of in (16, 8, 4, 64)
        ),
        *(
            Misconception(
                "places tensors in the order of their lives",
                partial(_placed_by_lives, order=order),
                "The largest tensor first, however long it lives: it is the hardest to fit in.",
            )
            for order in (
                lambda size, start, end: (start - end, -size),
                lambda size, start, end: (start, -size),
                lambda size, start, end: (end, -size),
                lambda size, start, end: (-size * (end - start + 1),),
            )
        ),
        Misconception(
            "places the later of equal sizes first",
            partial(
                _placed,
                order=lambda sizes: sorted(range(len(sizes)), key=lambda i: (-int(sizes[i]), -i)),
            ),
            "Of equal sizes the tensor with the lower number comes first.",
        ),
        Misconception(
            "puts every tensor at 0",
            lambda sizes, first, last: torch.zeros_like(sizes),
            "Tensors that are live in the same step must not overlap.",
        ),
        Misconception(
            "forgets that an earlier place may reach higher",
            partial(_placed, lowest=slips.last_end),
            "Places may lie within one another's heights: go up only, offset = max(offset, end).",
        ),
        Misconception(
            "does not sort the places",
            partial(_placed, lowest=slips.as_placed),
            "Go through the places from below: sorted by their offset, not in the order in which "
            "they were given.",
        ),
        Misconception(
            "does not sort the places",
            partial(_placed, lowest=slips.over_each),
            "Go through the places from below: sorted by their offset, not in the order in which "
            "they were given.",
        ),
        Misconception(
            "returns where tensors end",
            lambda sizes, first, last: place_tensors(sizes, first, last) + sizes,
            "An offset is where a tensor begins.",
        ),
        Misconception(
            "takes tensors that only begin within one another's lives for those that meet",
            partial(_placed, meets=lambda a, b, c, d: c <= a <= d),
            "Two lives meet as well where the other one begins later: first[a] <= last[b] and "
            "first[b] <= last[a].",
        ),
        Misconception(
            "takes tensors that only begin within one another's lives for those that meet",
            partial(_placed, meets=lambda a, b, c, d: a <= c <= b),
            "Two lives meet as well where the other one begins earlier: first[a] <= last[b] and "
            "first[b] <= last[a].",
        ),
        Misconception(
            "takes only lives within one another for those that meet",
            partial(_placed, meets=lambda a, b, c, d: (a <= c and d <= b) or (c <= a and b <= d)),
            "Two lives meet as well where one begins in the other and ends after it: first[a] <= "
            "last[b] and first[b] <= last[a].",
        ),
        Misconception(
            "needs one byte more than there is",
            partial(_placed, lowest=slips.one_free),
            "A gap that is just large enough is taken: a place collides where start < offset + "
            "size.",
        ),
        Misconception(
            "looks at the beginning of a place alone",
            partial(_placed, lowest=slips.past_each),
            "A place that ends below the offset is in nobody's way: go on only where it reaches "
            "above it.",
        ),
        Misconception(
            "returns the offsets in the order of placing",
            partial(_placed, given=lambda offsets, order: offsets[order]),
            "Offset i belongs to tensor i, whenever it was placed.",
        ),
        Misconception(
            "gives every tensor bytes of its own",
            lambda sizes, first, last: sizes.cumsum(0) - sizes,
            "Tensors that are never live in the same step may share bytes: only those that meet "
            "stand in each other's way.",
        ),
    ),
    minutes=(8, 13),
)
