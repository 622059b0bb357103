"""A Pareto front, of which any part may be another one (exercise 4.10)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Compare = Callable[[Tensor, Tensor], Tensor]


def compared(
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


def walked(
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


def best_ratio(sizes: Tensor, accuracies: Tensor) -> Tensor:
    """Return which networks have the most accuracy for a byte."""
    ratio = accuracies / sizes
    return ratio == ratio.max()


def hull(sizes: Tensor, accuracies: Tensor) -> Tensor:
    """Return which networks of the front lie below no line between two others of it."""
    front = compared(sizes, accuracies)
    x, y = sizes.double(), accuracies.double()
    kept = front.clone()
    for i in front.nonzero().flatten().tolist():
        smaller, larger = front & (x < x[i]), front & (x > x[i])
        rise = (y[i] - y[smaller]) / (x[i] - x[smaller])
        further = (y[larger] - y[i]) / (x[larger] - x[i])
        if len(rise) and len(further):
            kept[i] = bool(rise.min() > further.max())
    return kept


def sorted_alone(
    sort: Callable[[Tensor], Sequence[int]], next_only: bool = False
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the walk with slips that go together; no other one is tried beside them."""

    def wrong(sizes: Tensor, accuracies: Tensor) -> Tensor:
        return walked(
            sizes,
            accuracies,
            ahead=sort,
            order=lambda size, accuracy: size,
            alike=False,
            next_only=next_only,
        )

    return wrong


# Not all of them keep what came first of the same size in its place.
SORTS: tuple[Callable[[Tensor], Sequence[int]], ...] = (
    lambda sizes: range(len(sizes)),
    lambda sizes: sizes.argsort().tolist(),
    lambda sizes: np.argsort(sizes.numpy()).tolist(),
)
