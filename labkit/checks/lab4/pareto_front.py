"""Exercise 4.10: which networks are worth a look."""

from collections.abc import Callable

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

    return [
        mixed("one network", [10], [0.5]),
        mixed("two of which one is better", [20, 10], [0.8, 0.9]),
        mixed("the same accuracy", [10, 20, 30, 40], [0.9, 0.9, 0.9, 0.9]),
        mixed("the same size", [10, 10, 10, 10], [0.7, 0.9, 0.8, 0.6]),
        mixed("two alike", [30, 20, 20, 10, 30], [0.9, 0.8, 0.8, 0.7, 0.8]),
        drawn("twelve networks", 12, 1000, 50),
        drawn("many ties", 30, 8, 8),
        drawn("forty networks", 40, 9999, 90),
    ]


def _none_as_good(sizes: Tensor, accuracies: Tensor) -> Tensor:
    as_small, as_good = sizes <= sizes[:, None], accuracies >= accuracies[:, None]
    return (as_small & as_good).sum(1) == 1


def _better_in_both(sizes: Tensor, accuracies: Tensor) -> Tensor:
    better = (sizes < sizes[:, None]) & (accuracies > accuracies[:, None])
    return ~better.any(1)


def _best_ratio(sizes: Tensor, accuracies: Tensor) -> Tensor:
    ratio = accuracies / sizes
    return ratio == ratio.max()


def _running(keep: Callable[[float, float], bool]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the answer of a walk in the order given, without sorting."""

    def wrong(sizes: Tensor, accuracies: Tensor) -> Tensor:
        found, best = torch.zeros(len(sizes), dtype=torch.bool), -1.0
        for i, accuracy in enumerate(accuracies.tolist()):
            if keep(accuracy, best):
                found[i], best = True, accuracy
        return found

    return wrong


def _walk(order: Callable[[float, float], tuple]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the answer of a walk in another order that keeps what is more accurate."""

    def wrong(sizes: Tensor, accuracies: Tensor) -> Tensor:
        pairs = list(zip(sizes.tolist(), accuracies.tolist(), strict=True))
        found, best = torch.zeros(len(sizes), dtype=torch.bool), -1.0
        for i in sorted(range(len(pairs)), key=lambda i: order(*pairs[i])):
            if pairs[i][1] > best:
                found[i], best = True, pairs[i][1]
        return found

    return wrong


def _as_good_later(sizes: Tensor, accuracies: Tensor) -> Tensor:
    worse = (sizes < sizes[:, None]) & (accuracies > accuracies[:, None])
    same_size = (sizes == sizes[:, None]) & (accuracies > accuracies[:, None])
    return ~(worse | same_size).any(1)


def _left_of_itself(sizes: Tensor, accuracies: Tensor) -> Tensor:
    return ~((sizes <= sizes[:, None]) & (accuracies >= accuracies[:, None])).any(1)


def _better_in_either(sizes: Tensor, accuracies: Tensor) -> Tensor:
    return ~((sizes < sizes[:, None]) | (accuracies > accuracies[:, None])).any(1)


def _next_smaller_only(sizes: Tensor, accuracies: Tensor) -> Tensor:
    order = torch.argsort(sizes)
    front = torch.ones(len(sizes), dtype=torch.bool)
    front[order[1:]] = accuracies[order[1:]] > accuracies[order[:-1]]
    return front


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
            _none_as_good,
            "Of two that agree in both numbers neither is better: keep both. At least one of the "
            "two numbers must be better, not only as good.",
        ),
        Misconception(
            "asks the other one to be better in both",
            _better_in_both,
            "A network of the same size and a higher accuracy makes the lower one pointless, too: "
            "as good in one, better in the other.",
        ),
        Misconception(
            "keeps what is beaten",
            lambda sizes, accuracies: _beaten(sizes, accuracies).any(1),
            "The front is what nobody beats.",
        ),
        Misconception(
            "returns zeros and ones",
            lambda sizes, accuracies: pareto_front(sizes, accuracies).float(),
            "A mask is bool: with 0.0 and 1.0 nothing can be picked out, sizes[front] fails.",
        ),
        Misconception(
            "prefers large networks",
            lambda sizes, accuracies: pareto_front(-sizes, accuracies),
            "Fewer bytes are better, more accuracy is better.",
        ),
        Misconception(
            "prefers low accuracies",
            lambda sizes, accuracies: pareto_front(sizes, -accuracies),
            "Fewer bytes are better, more accuracy is better.",
        ),
        Misconception(
            "keeps the best ratio only",
            _best_ratio,
            "How much accuracy a byte is worth depends on the device: the front leaves that open "
            "and keeps every network that is best for some budget.",
        ),
        Misconception(
            "walks through the networks without sorting them",
            _running(lambda accuracy, best: accuracy > best),
            "That works once they are sorted by size.",
        ),
        Misconception(
            "sorts by size, whatever comes first of the same size",
            _walk(lambda size, accuracy: (size, accuracy)),
            "Of networks of the same size the most accurate comes first: sort by size, then by "
            "falling accuracy.",
        ),
        Misconception(
            "keeps a larger network that is no better",
            _as_good_later,
            "As accurate and larger is beaten: the accuracy must grow from one to the next.",
        ),
        Misconception(
            "keeps the most accurate only",
            lambda sizes, accuracies: accuracies == accuracies.max(),
            "A smaller network with less accuracy is worth a look, too, if nothing beats it.",
        ),
        Misconception(
            "lets every network beat itself",
            _left_of_itself,
            "A network is as small and as good as itself: who beats another is better in one of "
            "the two at least.",
        ),
        Misconception(
            "takes being better in one of the two for enough",
            _better_in_either,
            "One beats another if it is no worse in either and better in one: small and bad beats "
            "nobody.",
        ),
        Misconception(
            "compares with the next smaller network only",
            _next_smaller_only,
            "Any smaller one may beat it: compare with the best of all that are as small or "
            "smaller.",
        ),
    ),
)
