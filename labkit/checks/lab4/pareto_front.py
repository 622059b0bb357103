"""Exercise 4.10: which networks are worth a look."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.lab4.pareto_front_slips import MISCONCEPTIONS
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
    misconceptions=MISCONCEPTIONS,
)
