"""Exercise 4.10: which networks are worth a look."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Rule


def pareto_front(sizes: Tensor, accuracies: Tensor) -> Tensor:
    """Return which networks no other one beats: bool, one for each."""
    return ~_beaten(sizes, accuracies).any(1)


def _beaten(sizes: Tensor, accuracies: Tensor) -> Tensor:
    """Return a matrix: whether network i (row) is beaten by network j (column)."""
    as_small = sizes <= sizes[:, None]
    as_good = accuracies >= accuracies[:, None]
    better = (sizes < sizes[:, None]) | (accuracies > accuracies[:, None])
    return as_small & as_good & better


def _cases(rng: torch.Generator) -> list[Case]:
    def drawn(label: str, count: int, sizes: int, accuracies: int) -> Case:
        size = torch.randint(10, 10 + sizes, (count,), generator=rng)
        accuracy = torch.randint(100 - accuracies, 100, (count,), generator=rng) / 100
        return Case(label, (size, accuracy))

    def mixed(label: str, sizes: list[int], accuracies: list[float]) -> Case:
        order = torch.randperm(len(sizes), generator=rng)
        larger = int(torch.randint(90, generator=rng, size=()))
        return Case(label, ((torch.tensor(sizes) + larger)[order], torch.tensor(accuracies)[order]))

    def of_one_size(label: str, count: int) -> Case:
        """Put the most accurate in the middle: no order in which they come keeps it by luck."""
        accuracies = torch.arange(60, 60 + 4 * count, 4)
        order = torch.randperm(count - 1, generator=rng).tolist()
        order.insert(count // 2, count - 1)
        size = int(torch.randint(10, 99, generator=rng, size=()))
        return Case(label, (torch.full((count,), size), accuracies[order] / 100))

    return [
        mixed("one network", [10], [0.5]),
        mixed("two of which one is better", [20, 10], [0.8, 0.9]),
        mixed("the same accuracy", [10, 20, 30, 40], [0.9, 0.9, 0.9, 0.9]),
        of_one_size("the same size", 6),
        mixed("two alike", [30, 20, 20, 10, 30], [0.9, 0.8, 0.8, 0.7, 0.8]),
        drawn("twelve networks", 12, 1000, 50),
        drawn("many ties", 30, 8, 8),
        drawn("forty networks", 40, 9999, 90),
        mixed("a hundredth of a point apart", [10, 20, 30], [0.9001, 0.9002, 0.9002]),
        mixed("below the line between two others", [10, 20, 30], [0.5, 0.55, 0.9]),
        mixed(
            "a byte apart, beyond 2^24", [2**30 + byte for byte in range(4)], [0.8, 0.8, 0.9, 0.9]
        ),
    ]


Compare = Callable[[Tensor, Tensor], Tensor]


def _compared(
    sizes: Tensor,
    accuracies: Tensor,
    *,
    counted: Callable[[Tensor], Tensor] = lambda sizes: sizes,
    measured: Callable[[Tensor], Tensor] = lambda accuracies: accuracies,
    small: Compare = torch.le,
    good: Compare = torch.ge,
    better: Compare = torch.logical_or,
    kept: Callable[[Tensor], Tensor] = lambda beaten: ~beaten.any(1),
    given: Callable[[Tensor], Tensor] = lambda front: front,
) -> Tensor:
    """Return the front from all pairs, of which any part may be another one."""
    sizes, accuracies = counted(sizes), measured(accuracies)
    as_small, as_good = small(sizes, sizes[:, None]), good(accuracies, accuracies[:, None])
    unlike = better(sizes != sizes[:, None], accuracies != accuracies[:, None])
    return given(kept(as_small & as_good & unlike))


def _walked(
    sizes: Tensor,
    accuracies: Tensor,
    *,
    ahead: Callable[[Tensor], Sequence[int]] = lambda sizes: range(len(sizes)),
    order: Callable[[float, float], Any] = lambda size, accuracy: (size, -accuracy),
    keeps: Callable[[float, float], bool] = lambda accuracy, best: accuracy > best,
    alike: bool = True,
    next_only: bool = False,
    in_place: bool = True,
    given: Callable[[Tensor], Tensor] = lambda front: front,
) -> Tensor:
    """Return the front from a walk from small to large, of which any part may be another one."""
    networks = list(zip(sizes.tolist(), accuracies.tolist(), strict=True))
    sequence = sorted(ahead(sizes), key=lambda i: order(*networks[i]))
    front = torch.zeros(len(networks), dtype=torch.bool)
    best = None
    for place, i in enumerate(sequence):
        as_best = alike and networks[i] == best
        keep = best is None or as_best or keeps(networks[i][1], best[1])
        front[i if in_place else place] = keep
        if keep or next_only:
            best = networks[i]
    return given(front)


def _best_ratio(sizes: Tensor, accuracies: Tensor) -> Tensor:
    ratio = accuracies / sizes
    return ratio == ratio.max()


def _hull(sizes: Tensor, accuracies: Tensor) -> Tensor:
    """Return which networks of the front lie below no line between two others of it."""
    front = _compared(sizes, accuracies)
    x, y = sizes.double(), accuracies.double()
    kept = front.clone()
    for i in front.nonzero().flatten().tolist():
        smaller, larger = front & (x < x[i]), front & (x > x[i])
        rise = (y[i] - y[smaller]) / (x[i] - x[smaller])
        further = (y[larger] - y[i]) / (x[larger] - x[i])
        if len(rise) and len(further):
            kept[i] = bool(rise.min() > further.max())
    return kept


def _sorted_alone(
    sort: Callable[[Tensor], Sequence[int]], next_only: bool = False
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the walk with slips that go together; no other one is tried beside them."""

    def wrong(sizes: Tensor, accuracies: Tensor) -> Tensor:
        return _walked(
            sizes,
            accuracies,
            ahead=sort,
            order=lambda size, accuracy: size,
            alike=False,
            next_only=next_only,
        )

    return wrong


NO_WORSE = (
    "One beats another if it is no worse in either and better in one: small and bad beats nobody."
)
ALIKE = (
    "Of two that agree in both numbers neither is better: keep both. At least one of the two "
    "numbers must be better, not only as good."
)
NEXT_ONLY = (
    "Any smaller one may beat it: compare with the best of all that are as small or smaller."
)
# Not all of them keep what came first of the same size in its place.
SORTS: tuple[Callable[[Tensor], Sequence[int]], ...] = (
    lambda sizes: range(len(sizes)),
    lambda sizes: sizes.argsort().tolist(),
    lambda sizes: np.argsort(sizes.numpy()).tolist(),
)
FEWER = "Fewer bytes are better, more accuracy is better."
EQUAL_SIZES = (
    "Of networks of the same size the most accurate comes first: sort by size, then by falling "
    "accuracy."
)
OF_ONE_SIZE = (
    "Of networks of the same size only the most accurate one counts: who compares asks whether the "
    "other one is as small or smaller, who sorts takes size, then falling accuracy."
)
MASK = "The result is a mask: True or False for each network, in the order in which they came."


PARETO_FRONT = Exercise(
    id="4.10",
    title="The Pareto front",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=pareto_front,
    cases=_cases,
    rules=(Rule(dtype="bool"),),
    hints=(
        "Take one network and look for another that makes it pointless. When is that so?",
        "Another one beats it if it is at most as large and at least as accurate, and better in "
        "one of the two. Ask that for every pair.",
        "for i: beaten = (sizes <= sizes[i]) & (accuracies >= accuracies[i]) & ((sizes < "
        "sizes[i]) | (accuracies > accuracies[i])); front[i] = not beaten.any().",
    ),
    misconceptions=(
        Misconception(
            "drops networks that are exactly alike",
            partial(
                _compared,
                better=lambda size, accuracy: ~torch.eye(len(size), dtype=torch.bool),
            ),
            ALIKE,
        ),
        Misconception(
            "drops the second of two networks that are alike",
            partial(_walked, alike=False),
            ALIKE,
        ),
        Misconception(
            "asks the other one to be better in both",
            partial(_compared, small=torch.lt, good=torch.gt),
            "A network of the same size and a higher accuracy makes the lower one pointless, "
            "too: as good in one, better in the other.",
        ),
        Misconception(
            "keeps a larger network that is no better",
            partial(_compared, good=torch.gt),
            "As accurate and larger is beaten: the accuracy must grow from one to the next.",
        ),
        Misconception(
            "keeps a larger network that is no better",
            partial(_walked, keeps=lambda accuracy, best: accuracy >= best),
            "As accurate and larger is beaten: the accuracy must grow from one to the next.",
        ),
        Misconception(
            "keeps networks of the same size that are less accurate",
            partial(_compared, small=torch.lt),
            OF_ONE_SIZE,
        ),
        Misconception(
            "keeps what is beaten",
            partial(_compared, kept=lambda beaten: beaten.any(1)),
            "The front is what nobody beats.",
        ),
        Misconception(
            "keeps what only one other does not beat",
            partial(_compared, kept=lambda beaten: ~beaten.all(1)),
            "One that beats it is enough: ~beaten.any().",
        ),
        Misconception(
            "keeps what beats no other",
            partial(_compared, kept=lambda beaten: ~beaten.any(0)),
            "The front is what nobody beats, whatever it beats itself: look at the other ones.",
        ),
        Misconception(
            "keeps what beats another",
            partial(_compared, kept=lambda beaten: beaten.any(0)),
            "The front is what nobody beats, whatever it beats itself: look at the other ones.",
        ),
        Misconception(
            "prefers large networks",
            partial(_compared, small=torch.ge),
            FEWER,
        ),
        Misconception(
            "prefers low accuracies",
            partial(_compared, good=torch.le),
            FEWER,
        ),
        Misconception(
            "prefers large networks",
            partial(_walked, order=lambda size, accuracy: (-size, -accuracy)),
            FEWER,
        ),
        Misconception(
            "lets every network beat itself",
            partial(_compared, better=lambda size, accuracy: torch.ones_like(size & accuracy)),
            "A network is as small and as good as itself: who beats another is better in one "
            "of the two at least.",
        ),
        Misconception(
            "looks at the sizes only",
            partial(_compared, good=lambda one, other: torch.ones_like(one > other)),
            FEWER,
        ),
        Misconception(
            "looks at the accuracies only",
            partial(_compared, small=lambda one, other: torch.ones_like(one > other)),
            FEWER,
        ),
        Misconception(
            "returns zeros and ones",
            partial(_compared, given=lambda front: front.float()),
            "A mask is bool: with 0.0 and 1.0 nothing can be picked out, sizes[front] fails.",
        ),
        Misconception(
            "returns the numbers of the networks",
            partial(_compared, given=lambda front: front.nonzero().flatten()),
            MASK,
        ),
        Misconception(
            "returns the mask in the order of the sizes",
            partial(_walked, in_place=False),
            "Put each answer at the place that its network had in the input: "
            "front[order[place]] = ..., since sorting moves the networks.",
        ),
        Misconception(
            "walks through the networks without sorting them",
            partial(_walked, order=lambda size, accuracy: 0),
            "That works once they are sorted by size.",
        ),
        Misconception(
            "keeps networks of the same size that are less accurate",
            partial(_walked, order=lambda size, accuracy: (size, accuracy)),
            OF_ONE_SIZE,
        ),
        *(
            Misconception(
                "sorts by size, whatever comes first of the same size",
                partial(_walked, ahead=sort, order=lambda size, accuracy: size),
                EQUAL_SIZES,
            )
            for sort in SORTS
        ),
        *(
            Misconception(
                "sorts by size alone, and drops the second of two networks that are alike",
                _sorted_alone(sort),
                f"{EQUAL_SIZES} {ALIKE}",
            )
            for sort in SORTS
        ),
        Misconception(
            "sorts by accuracy and looks at that again",
            partial(_walked, order=lambda size, accuracy: accuracy),
            "Sorted by size, from small to large, a network is kept if its accuracy beats all "
            "before it.",
        ),
        Misconception(
            "compares with the next smaller network only",
            partial(_walked, next_only=True),
            NEXT_ONLY,
        ),
        Misconception(
            "compares sizes in float32",
            partial(_compared, counted=torch.Tensor.float),
            "float32 counts by one up to 2^24 only: beyond it two sizes that differ by a byte are "
            "one. Compare the sizes as they come, in integers.",
        ),
        *(
            Misconception(
                "compares with the next smaller network only",
                _sorted_alone(sort, next_only=True),
                f"{NEXT_ONLY} {EQUAL_SIZES}",
            )
            for sort in SORTS
        ),
        Misconception(
            "compares whole per cents",
            partial(_compared, measured=lambda accuracies: torch.round(100 * accuracies)),
            "Two accuracies may differ by less: compare them as they come.",
        ),
        Misconception(
            "keeps the best ratio only",
            _best_ratio,
            "How much accuracy a byte is worth depends on the device: the front leaves that "
            "open and keeps every network that is best for some budget.",
        ),
        Misconception(
            "keeps the convex hull only",
            _hull,
            "A network below the line between two others is worth a look, too: there is nothing "
            "between those two. Only what another one beats is off the front.",
        ),
        Misconception(
            "keeps the most accurate only",
            lambda sizes, accuracies: accuracies == accuracies.max(),
            "A smaller network with less accuracy is worth a look, too, if nothing beats it.",
        ),
        Misconception(
            "takes being better in one of the two for enough",
            lambda sizes, accuracies: (
                ~((sizes < sizes[:, None]) | (accuracies > accuracies[:, None])).any(1)
            ),
            NO_WORSE,
        ),
    ),
)
