"""Exercise 7.4: the split of LLM.int8."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.drawing import clear, real_piece
from labkit.checks.lab7.quantize_tokens import quantize_tokens
from labkit.checks.lab7.split_linear_slips import MISCONCEPTIONS
from labkit.checks.rules import Rule


def split_linear(x: Tensor, w: Tensor, threshold: float) -> Tensor:
    """Return x w^T: outlier channels in float, all others, if any, in codes of 8 bits."""
    outlier = x.abs().amax(0) >= threshold
    in_float = x[:, outlier] @ w[:, outlier].T
    return (
        in_float + _back(x[:, ~outlier]) @ _back(w[:, ~outlier]).T
        if not outlier.all()
        else in_float
    )


def _back(x: Tensor) -> Tensor:
    """Return what the rows of `x` come back as."""
    codes, scale = quantize_tokens(x)
    return codes * scale[:, None]


def _reals(x: Tensor, w: Tensor, threshold: float) -> Tensor:
    inner = x.abs().amax(0) < threshold
    rows = [t[:, inner] for t in (x, w) if bool(inner.any())]
    scaled = [(t / quantize_tokens(t)[1][:, None]).flatten() for t in rows]
    return torch.cat([*scaled, torch.zeros(1)])


def _cases(rng: torch.Generator) -> list[Case]:
    def layer(tokens: int, width: int, out: int, *outliers: float) -> tuple:
        x = randn(rng, tokens, width).clamp(-4, 4)
        for channel, value in zip(torch.randperm(width, generator=rng), outliers, strict=False):
            x[one(rng, 0, tokens - 1), channel] = value
        return x, randn(rng, out, width), 6.0

    def nothing_else() -> tuple:
        x, w, threshold = layer(3, 5, 3, 30.0)
        inner = x.abs().amax(0) < threshold
        x[one(rng, 0, 2), inner] = 0
        w[one(rng, 0, 2), inner] = 0
        return x, w, threshold

    def real() -> tuple:
        x, w = real_piece(rng, "q", 4, 9)
        return x, w, round(float(x.abs().amax(0).sort().values[-2:].mean()), 3)

    drawn = [
        ("an outlier", lambda: layer(3, 6, 2, 40.0)),
        ("a negative outlier", lambda: layer(4, 7, 3, -35.0)),
        ("two outlier channels", lambda: layer(5, 8, 4, 25.0, -60.0)),
        ("a value on the threshold", lambda: layer(4, 6, 3, 6.0)),
        ("no outlier", lambda: layer(4, 6, 4)),
        ("nothing but outliers", lambda: (8 + randn(rng, 3, 2).abs(), randn(rng, 4, 2), 6.0)),
        ("as many tokens as outputs", lambda: layer(5, 6, 5, 30.0)),
        ("a real layer", real),
        ("a token and a row that are 0 but for the outlier", nothing_else),
    ]
    return [Case(label, clear(draw, _reals)) for label, draw in drawn]


SPLIT_LINEAR = Exercise(
    id="7.4",
    title="Outliers in float",
    points=3,
    reference=split_linear,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=2e-4),),
    hints=(
        "A sum over channels may be cut into two sums: over the outlier channels, and over all "
        "others. Only the second one is rounded.",
        "outlier = x.abs().amax(0) >= threshold picks columns of x and of w. The others go through "
        "quantize_tokens, x and w alike: rows of w have a scale each.",
        "q, s = quantize_tokens(x[:, ~outlier]); r, t = quantize_tokens(w[:, ~outlier]); return "
        "x[:, outlier] @ w[:, outlier].T + s[:, None] * (q.float() @ r.float().T) * t; with no "
        "column left the second part is 0.",
    ),
    misconceptions=MISCONCEPTIONS,
    minutes=(8, 13),
    extra=True,
)
