"""Exercise 7.11: Hadamard rotation."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat, randn
from labkit.checks.lab7.drawing import outlying
from labkit.checks.rules import Rule


def rotate(x: Tensor) -> Tensor:
    """Return x H, with the Hadamard matrix of as many channels, over the root of their number."""
    return _rotated(x)


def _rotated(
    x: Tensor,
    *,
    signs: tuple[int, int, int, int] = (1, 1, 1, -1),
    first: int = 1,
    order: Callable[[int], list[int]] = lambda n: list(range(n)),
    divisor: Callable[[Tensor], float] = lambda x: x.shape[1] ** 0.5,
) -> Tensor:
    h = _doubled(x.shape[1], signs, first)
    return x @ h[:, order(len(h))] / divisor(x)


def _doubled(n: int, signs: tuple[int, int, int, int] = (1, 1, 1, -1), first: int = 1) -> Tensor:
    a, b, c, d = signs
    h = torch.eye(min(first, n))
    while len(h) < n:
        h = torch.cat([torch.cat([a * h, b * h], dim=1), torch.cat([c * h, d * h], dim=1)])
    return h


def _bit_reversed(n: int) -> list[int]:
    bits = (n - 1).bit_length()
    return [int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(n)]


def _by_sign_changes(n: int) -> list[int]:
    changes = _doubled(n).diff(dim=0).ne(0).sum(0)
    return torch.argsort(changes, stable=True).tolist()


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


def _tokens(x: Tensor) -> Tensor:
    n = 1 << (len(x) - 1).bit_length()
    padded = torch.cat([x, torch.zeros(n - len(x), x.shape[1])])
    return (_doubled(n) @ padded / n**0.5)[: len(x)]


def _halves(x: Tensor) -> Tensor:
    half = max(x.shape[1] // 2, 1)
    return (x.unflatten(1, (-1, half)) @ _doubled(half)).flatten(1) / x.shape[1] ** 0.5


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
            partial(_rotated, divisor=lambda x: 1.0),
            "Rows of +-1 have the length sqrt(n). Without the division it is no rotation, and "
            "everything gets larger.",
        ),
        Misconception(
            "divides by n",
            partial(_rotated, divisor=lambda x: float(x.shape[1])),
            "A rotation keeps lengths: divide by the root of n.",
        ),
        Misconception(
            "has the minus on the left",
            partial(_rotated, signs=(1, 1, -1, 1)),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
        Misconception(
            "has the minus at the upper right",
            partial(_rotated, signs=(1, -1, 1, 1)),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
        Misconception(
            "forgets the minus",
            partial(_rotated, signs=(1, 1, 1, 1)),
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
            partial(_rotated, signs=(-1, 1, 1, 1)),
            "In (11) the minus is at the lower right: [[H, H], [H, -H]]. (Yours is orthogonal, "
            "too: another rotation.)",
        ),
        Misconception(
            "overwrites a sum that the difference still needs",
            partial(_rotated, signs=(1, 1, 1, 0)),
            "In each step a + b is written where a stood, and a - b is then made of the new a. "
            "Compute both first, or on a copy: a, b = a + b, a - b.",
        ),
        Misconception(
            "overwrites a difference that the sum still needs",
            partial(_rotated, signs=(2, 1, -1, -1)),
            "In each step a - b is written where b stood, and a + b is then made of the new b. "
            "Compute both first, or on a copy: a, b = a + b, a - b.",
        ),
        *(
            Misconception(
                "has the columns of H in another order",
                partial(_rotated, order=order),
                "Yours is orthogonal, too, and another rotation than (11): H and H side by side, "
                "and below them, as whole blocks, H and -H.",
            )
            for order in (_bit_reversed, _by_sign_changes)
        ),
        Misconception(
            "makes each token a vector of length 1",
            lambda x: torch.nn.functional.normalize(x @ _doubled(x.shape[1]), dim=1),
            "A rotation keeps the length of each token: divide by the root of n, the same for all.",
        ),
        Misconception(
            "leaves out the first step, which mixes neighbours",
            partial(_rotated, first=2),
            "The first pairs are 1 apart: channels 0 and 1, 2 and 3. Begin with h = 1, the matrix "
            "[[1]].",
        ),
        Misconception(
            "leaves out the last step, which mixes the two halves",
            _halves,
            "The last pairs are n / 2 apart: go on while len(h) < n.",
        ),
        Misconception(
            "turns the sign of the whole lower half",
            partial(_rotated, signs=(1, 1, -1, -1)),
            "Below stand H and -H, side by side: only the lower right gets the minus.",
        ),
        Misconception(
            "turns the sign of the whole right half",
            partial(_rotated, signs=(1, -1, 1, -1)),
            "At the right stand H above and -H below: only the lower right gets the minus.",
        ),
        Misconception(
            "puts 0 where H belongs",
            partial(_rotated, signs=(1, 0, 0, 1)),
            "All four blocks are +-H: [[H, H], [H, -H]].",
        ),
        Misconception(
            "divides by the root of the number of tokens",
            partial(_rotated, divisor=lambda x: len(x) ** 0.5),
            "The rows of H are as long as there are channels: x.shape[1] ** 0.5.",
        ),
        Misconception(
            "divides by the root of 2 only once",
            partial(_rotated, divisor=lambda x: 2**0.5 if x.shape[1] > 1 else 1.0),
            "Each doubling makes rows longer by the root of 2: over x.shape[1] ** 0.5 in all.",
        ),
        Misconception(
            "divides by the root of 2 only once",
            partial(_rotated, divisor=lambda x: 2**0.5),
            "Each doubling makes rows longer by the root of 2: over x.shape[1] ** 0.5 in all.",
        ),
        Misconception(
            "divides by the number of doublings",
            partial(_rotated, divisor=lambda x: max(math.log2(x.shape[1]), 1.0)),
            "Rows of +-1 have the length sqrt(n): over x.shape[1] ** 0.5.",
        ),
        Misconception(
            "multiplies by the root",
            partial(_rotated, divisor=lambda x: x.shape[1] ** -0.5),
            "Rows of +-1 have the length sqrt(n): divide by it.",
        ),
        Misconception(
            "returns the matrix",
            lambda x: _doubled(x.shape[1]) / x.shape[1] ** 0.5,
            "Asked for is x times that matrix: x @ h.",
        ),
    ),
    minutes=(6, 10),
)
