"""Exercise 7.4: the split of LLM.int8."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.drawing import clear, real_piece
from labkit.checks.lab7.quantize_tokens import quantize_tokens
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


Coded = tuple[Tensor, Tensor]


def _unguarded(x: Tensor) -> Coded:
    """Return codes and scales of the rows; NaN for a row of zeros."""
    scale = x.abs().amax(1) / 127
    return torch.round(x / scale[:, None]), scale


def _as_they_are(x: Tensor) -> Coded:
    return x, torch.ones(len(x))


def _in_columns(w: Tensor) -> Coded:
    """Return what the columns come back as: their scales cannot be taken out of the sum."""
    codes, scale = quantize_tokens(w.T)
    return _as_they_are((codes * scale[:, None]).T)


def _before(x: Tensor, inner: Tensor) -> Coded:
    """Choose the grids while the outliers are still there."""
    codes, scale = quantize_tokens(x)
    return codes * inner, scale


def _multiplied(q: Tensor, s: Tensor, r: Tensor, t: Tensor) -> Tensor:
    return q.float() @ r.float().T * s[:, None] * t


def _split(
    x: Tensor,
    w: Tensor,
    threshold: float,
    *,
    reach: Callable[[Tensor], Tensor] = lambda x: x.abs().amax(0),
    beyond: Callable[[Tensor, float], Tensor] = torch.ge,
    inputs: Callable[[Tensor, Tensor], Coded] = lambda x, inner: quantize_tokens(x * inner),
    weights: Callable[[Tensor, Tensor], Coded] = lambda w, inner: quantize_tokens(w * inner),
    product: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = _multiplied,
    outliers: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, w, outer: x @ w.T,
) -> Tensor:
    """Return the sum of both products; what one leaves to the other is 0 in it."""
    inner = ~beyond(reach(x), threshold)
    outer = outliers(x * ~inner, w, ~inner)
    return outer + product(*inputs(x, inner), *weights(w, inner)) if bool(inner.any()) else outer


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
    misconceptions=(
        Misconception(
            "rounds the outliers, too",
            partial(_split, beyond=lambda largest, threshold: largest < 0),
            "Nothing is split: the largest value of a token still decides about its grid.",
        ),
        Misconception(
            "chooses the grids before it splits",
            partial(
                _split,
                inputs=_before,
                weights=_before,
            ),
            "Split first. If the grid of a token is chosen with its outlier, all other values are "
            "as coarse as before, and nothing is won.",
        ),
        Misconception(
            "leaves the outliers out",
            partial(_split, outliers=lambda x, w, outer: torch.zeros(len(x), len(w))),
            "The product of the outlier channels, in float, has to be added: they carry most of "
            "the result.",
        ),
        Misconception(
            "divides 0 by 0",
            partial(
                _split,
                inputs=lambda x, inner: _unguarded(x * inner),
                weights=lambda w, inner: _unguarded(w * inner),
            ),
            "Without the outliers a row of x or w may be all 0. Its scale is 1, as in 7.3: "
            "quantize_tokens does it.",
        ),
        Misconception(
            "splits values instead of channels",
            partial(_split, reach=torch.abs, weights=lambda w, inner: quantize_tokens(w)),
            "A whole channel is an outlier as soon as one of its values is: then columns of x and "
            "of w can be taken out, and two dense products are left.",
        ),
        Misconception(
            "forgets the sign",
            partial(_split, reach=lambda x: x.amax(0)),
            "An outlier may be negative: abs() before the maximum.",
        ),
        Misconception(
            "leaves a value on the threshold in",
            partial(_split, beyond=torch.gt),
            "From the threshold on, so >=.",
        ),
        Misconception(
            "asks that all values of a channel are large",
            partial(_split, reach=lambda x: x.abs().amin(0)),
            "One value is enough to spoil the grid of its token: the largest counts.",
        ),
        Misconception(
            "leaves the weights real",
            partial(_split, weights=lambda w, inner: _as_they_are(w * inner)),
            "Both factors are codes, or the product is no integer one: quantize_tokens(w), too.",
        ),
        Misconception(
            "gives the columns of the weights a scale",
            partial(_split, weights=lambda w, inner: _in_columns(w * inner)),
            "The sum runs over the columns, so a scale of a column cannot be taken out of it. Each "
            "row of w (each output) has one.",
        ),
        Misconception(
            "multiplies codes in int8",
            partial(_split, product=lambda q, s, r, t: (q @ r.T) * s[:, None] * t),
            "A sum of products leaves int8 at once, and wraps: convert the codes first, q.float() "
            "@ r.float().T.",
        ),
        Misconception(
            "splits tokens instead of channels",
            partial(
                _split,
                reach=lambda x: x.abs().amax(1, keepdim=True),
                weights=lambda w, inner: quantize_tokens(w),
            ),
            "A channel is an outlier, all its tokens with it: x.abs().amax(0), and columns of x "
            "and w are picked.",
        ),
        Misconception(
            "chooses the grids of the weights before it splits",
            partial(_split, weights=_before),
            "Rows of w lose their outlier columns, too, before their scales are chosen: "
            "quantize_tokens(w[:, ~outlier]).",
        ),
        Misconception(
            "chooses the grids of the tokens before it splits",
            partial(_split, inputs=_before),
            "The grid of a token is chosen without its outliers, or its other values are as coarse "
            "as before: quantize_tokens(x[:, ~outlier]).",
        ),
        Misconception(
            "leaves the inputs real",
            partial(_split, inputs=lambda x, inner: _as_they_are(x * inner)),
            "Both factors are codes, or the product is no integer one: quantize_tokens(x[:, "
            "~outlier]), too.",
        ),
        Misconception(
            "rounds nothing",
            lambda x, w, threshold: x @ w.T,
            "The channels that are no outliers go through quantize_tokens, x and w alike.",
        ),
        Misconception(
            "rounds the weights of the outliers",
            partial(_split, outliers=lambda x, w, outer: x @ _back(w * outer).T),
            "Outlier channels are multiplied in float, x and w alike.",
        ),
        Misconception(
            "takes the mean magnitude of a channel",
            partial(_split, reach=lambda x: x.abs().mean(0)),
            "One value is enough to spoil the grid of its token: the largest of a channel counts.",
        ),
        Misconception(
            "takes the outliers for the others",
            partial(_split, beyond=torch.lt),
            "The channels from the threshold on stay in float, all others become codes.",
        ),
        Misconception(
            "leaves the scales of the weights out",
            partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T * s[:, None]),
            "Codes count steps: multiply by the scale of the token and by that of the output.",
        ),
        Misconception(
            "leaves the scales of the tokens out",
            partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T * t),
            "Codes count steps: multiply by the scale of the token and by that of the output.",
        ),
        Misconception(
            "adds up codes without their scales",
            partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T),
            "Codes count steps: multiply by the scale of the token and by that of the output.",
        ),
        Misconception(
            "has the two scales exchanged",
            partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T * s * t[:, None]),
            "Rows of the result are tokens, columns are outputs: s[:, None] of the tokens, t of "
            "the outputs.",
        ),
    ),
    minutes=(8, 13),
    extra=True,
)
