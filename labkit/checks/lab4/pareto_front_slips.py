"""Slips in the Pareto front, for exercise 4.10."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.pareto_front_parts import (
    SORTS,
    best_ratio,
    compared,
    hull,
    sorted_alone,
    walked,
)

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


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "drops networks that are exactly alike",
        partial(
            compared,
            better=lambda size, accuracy: ~torch.eye(len(size), dtype=torch.bool),
        ),
        ALIKE,
    ),
    Misconception(
        "drops the second of two networks that are alike",
        partial(walked, alike=False),
        ALIKE,
    ),
    Misconception(
        "asks the other one to be better in both",
        partial(compared, small=torch.lt, good=torch.gt),
        "A network of the same size and a higher accuracy makes the lower one pointless, "
        "too: as good in one, better in the other.",
    ),
    Misconception(
        "keeps a larger network that is no better",
        partial(compared, good=torch.gt),
        "As accurate and larger is beaten: the accuracy must grow from one to the next.",
    ),
    Misconception(
        "keeps a larger network that is no better",
        partial(walked, keeps=lambda accuracy, best: accuracy >= best),
        "As accurate and larger is beaten: the accuracy must grow from one to the next.",
    ),
    Misconception(
        "keeps networks of the same size that are less accurate",
        partial(compared, small=torch.lt),
        OF_ONE_SIZE,
    ),
    Misconception(
        "keeps what is beaten",
        partial(compared, kept=lambda beaten: beaten.any(1)),
        "The front is what nobody beats.",
    ),
    Misconception(
        "keeps what only one other does not beat",
        partial(compared, kept=lambda beaten: ~beaten.all(1)),
        "One that beats it is enough: ~beaten.any().",
    ),
    Misconception(
        "keeps what beats no other",
        partial(compared, kept=lambda beaten: ~beaten.any(0)),
        "The front is what nobody beats, whatever it beats itself: look at the other ones.",
    ),
    Misconception(
        "keeps what beats another",
        partial(compared, kept=lambda beaten: beaten.any(0)),
        "The front is what nobody beats, whatever it beats itself: look at the other ones.",
    ),
    Misconception(
        "prefers large networks",
        partial(compared, small=torch.ge),
        FEWER,
    ),
    Misconception(
        "prefers low accuracies",
        partial(compared, good=torch.le),
        FEWER,
    ),
    Misconception(
        "prefers large networks",
        partial(walked, order=lambda size, accuracy: (-size, -accuracy)),
        FEWER,
    ),
    Misconception(
        "lets every network beat itself",
        partial(compared, better=lambda size, accuracy: torch.ones_like(size & accuracy)),
        "A network is as small and as good as itself: who beats another is better in one "
        "of the two at least.",
    ),
    Misconception(
        "looks at the sizes only",
        partial(compared, good=lambda one, other: torch.ones_like(one > other)),
        FEWER,
    ),
    Misconception(
        "looks at the accuracies only",
        partial(compared, small=lambda one, other: torch.ones_like(one > other)),
        FEWER,
    ),
    Misconception(
        "returns zeros and ones",
        partial(compared, given=lambda front: front.float()),
        "A mask is bool: with 0.0 and 1.0 nothing can be picked out, sizes[front] fails.",
    ),
    Misconception(
        "returns the numbers of the networks",
        partial(compared, given=lambda front: front.nonzero().flatten()),
        MASK,
    ),
    Misconception(
        "returns the mask in the order of the sizes",
        partial(walked, in_place=False),
        "Put each answer at the place that its network had in the input: "
        "front[order[place]] = ..., since sorting moves the networks.",
    ),
    Misconception(
        "walks through the networks without sorting them",
        partial(walked, order=lambda size, accuracy: 0),
        "That works once they are sorted by size.",
    ),
    Misconception(
        "keeps networks of the same size that are less accurate",
        partial(walked, order=lambda size, accuracy: (size, accuracy)),
        OF_ONE_SIZE,
    ),
    *(
        Misconception(
            "sorts by size, whatever comes first of the same size",
            partial(walked, ahead=sort, order=lambda size, accuracy: size),
            EQUAL_SIZES,
        )
        for sort in SORTS
    ),
    *(
        Misconception(
            "sorts by size alone, and drops the second of two networks that are alike",
            sorted_alone(sort),
            f"{EQUAL_SIZES} {ALIKE}",
        )
        for sort in SORTS
    ),
    Misconception(
        "sorts by accuracy and looks at that again",
        partial(walked, order=lambda size, accuracy: accuracy),
        "Sorted by size, from small to large, a network is kept if its accuracy beats all "
        "before it.",
    ),
    Misconception(
        "compares with the next smaller network only",
        partial(walked, next_only=True),
        NEXT_ONLY,
    ),
    Misconception(
        "compares sizes in float32",
        partial(compared, counted=torch.Tensor.float),
        "float32 counts by one up to 2^24 only: beyond it two sizes that differ by a byte are "
        "one. Compare the sizes as they come, in integers.",
    ),
    *(
        Misconception(
            "compares with the next smaller network only",
            sorted_alone(sort, next_only=True),
            f"{NEXT_ONLY} {EQUAL_SIZES}",
        )
        for sort in SORTS
    ),
    Misconception(
        "compares whole per cents",
        partial(compared, measured=lambda accuracies: torch.round(100 * accuracies)),
        "Two accuracies may differ by less: compare them as they come.",
    ),
    Misconception(
        "keeps the best ratio only",
        best_ratio,
        "How much accuracy a byte is worth depends on the device: the front leaves that "
        "open and keeps every network that is best for some budget.",
    ),
    Misconception(
        "keeps the convex hull only",
        hull,
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
)
