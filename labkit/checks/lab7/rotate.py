"""Exercise 7.11: Hadamard rotation."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat, randn
from labkit.checks.lab7.drawing import outlying
from labkit.checks.rules import Rule


def rotate(x: Tensor) -> Tensor:
    """Return x H, with the Hadamard matrix of as many channels, over the root of their number."""
    return x @ _doubled(x.shape[1]) / x.shape[1] ** 0.5


def _doubled(n: int, signs: tuple[int, int, int, int] = (1, 1, 1, -1)) -> Tensor:
    a, b, c, d = signs
    h = torch.ones(1, 1)
    while len(h) < n:
        h = torch.cat([torch.cat([a * h, b * h], dim=1), torch.cat([c * h, d * h], dim=1)])
    return h


def _cases(rng: torch.Generator) -> list[Case]:
    spike = torch.zeros(2, 8)
    spike[0, 3], spike[1, 6] = 10 + neat(rng, 1).item(), -5.0
    return [
        Case("two channels", (neat(rng, 3, 2),)),
        Case("four channels", (neat(rng, 2, 4),)),
        Case("a single outlier", (spike,)),
        Case("as many tokens as channels", (randn(rng, 8, 8),)),
        Case("one channel", (neat(rng, 4, 1),)),
        Case("a layer", (outlying(rng, 3, 32),)),
        Case("more tokens than channels", (randn(rng, 9, 4),)),
    ]


def _by(divisor: Callable[[int], float]) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ _doubled(x.shape[1]) / divisor(x.shape[1])


def _signs(*signs: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ _doubled(x.shape[1], signs) / x.shape[1] ** 0.5  # type: ignore[arg-type]


def _tokens(x: Tensor) -> Tensor:
    n = 1 << (len(x) - 1).bit_length()
    padded = torch.cat([x, torch.zeros(n - len(x), x.shape[1])])
    return (_doubled(n) @ padded / n**0.5)[: len(x)]


def _neighbours(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x.clone()
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a + b, a - b], dim=2).flatten(1) / 2**0.5


def _one_doubling(x: Tensor) -> Tensor:
    a, b = x.unflatten(1, (2, -1)).unbind(1) if x.shape[1] > 1 else (x[:, :0], x)
    return torch.cat([a + b, a - b], dim=1) / 2**0.5 if x.shape[1] > 1 else a


ROTATE = Exercise(
    id="7.11",
    title="Hadamard rotation",
    points=2,
    reference=rotate,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-4),),
    hints=(
        "How often has [[1]] to be doubled until it has as many columns as x?",
        "while len(h) < x.shape[1]: put h, h side by side, and below them h, -h. torch.cat does "
        "both, or torch.kron(torch.tensor([[1., 1.], [1., -1.]]), h).",
        "h = torch.ones(1, 1); while len(h) < x.shape[1]: h = torch.cat([torch.cat([h, h], 1), "
        "torch.cat([h, -h], 1)]); return x @ h / len(h) ** 0.5.",
    ),
    misconceptions=(
        Misconception(
            "does not divide by the root",
            _by(lambda n: 1.0),
            "Rows of +-1 have the length sqrt(n). Without the division it is no rotation, and "
            "everything gets larger.",
        ),
        Misconception(
            "divides by n",
            _by(float),
            "A rotation keeps lengths: divide by the root of n.",
        ),
        Misconception(
            "has the minus on the left",
            _signs(1, 1, -1, 1),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
        Misconception(
            "has the minus at the upper right",
            _signs(1, -1, 1, 1),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
        Misconception(
            "forgets the minus",
            _signs(1, 1, 1, 1),
            "Then all channels become the same sum, and nothing can be undone: [[H, H], [H, -H]].",
        ),
        Misconception(
            "mixes tokens instead of channels",
            _tokens,
            "Channels are the last axis: x @ h, not h @ x.",
        ),
        Misconception(
            "turns neighbours only",
            _neighbours,
            "One step mixes two channels. Doubling goes on until all of them are mixed.",
        ),
        Misconception(
            "leaves x as it is",
            lambda x: x.clone(),
            "x @ h, with h made by doubling, over the root of the number of channels.",
        ),
        Misconception(
            "doubles once only",
            _one_doubling,
            "One step mixes two channels. Doubling goes on until all of them are mixed.",
        ),
        Misconception(
            "has the minus at the upper left",
            _signs(-1, 1, 1, 1),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
    ),
    minutes=(6, 10),
)
