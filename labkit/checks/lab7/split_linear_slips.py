"""Slips in outliers in float, for exercise 7.4."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab7.quantize_tokens import quantize_tokens

Coded = tuple[Tensor, Tensor]


def _back(x: Tensor) -> Tensor:
    codes, scale = quantize_tokens(x)
    return codes * scale[:, None]


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
    left: Callable[[Tensor], bool] = lambda inner: bool(inner.any()),
) -> Tensor:
    """Return the sum of both products; what one leaves to the other is 0 in it."""
    inner = ~beyond(reach(x), threshold)
    outer = outliers(x * ~inner, w, ~inner)
    return outer + product(*inputs(x, inner), *weights(w, inner)) if left(inner) else outer


def _all_or_nothing(x: Tensor, w: Tensor, threshold: float) -> Tensor:
    return x @ w.T if bool((x.abs() >= threshold).any()) else _split(x, w, threshold)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "rounds the outliers, too",
        partial(_split, beyond=lambda largest, threshold: largest < 0),
        "Nothing is split: the largest value of a token still decides about its grid. Outliers "
        "are those of x, whatever w is.",
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
    *(
        Misconception(
            "counts the outliers twice",
            partial(
                _split,
                inputs=lambda x, inner: quantize_tokens(x),
                weights=lambda w, inner: quantize_tokens(w),
                left=left,
            ),
            "The integer product still has the outlier channels, which the float product adds once "
            "more: quantize_tokens(x[:, ~outlier]), and w alike.",
        )
        for left in (lambda inner: bool(inner.any()), lambda inner: True)
    ),
    Misconception(
        "multiplies the outliers in float16",
        partial(_split, outliers=lambda x, w, outer: (x.half() @ w.half().T).float()),
        "LLM.int8 does that on a GPU. Here the outlier channels are multiplied as they are, in "
        "float32.",
    ),
    Misconception(
        "leaves everything in float where there is an outlier",
        _all_or_nothing,
        "Only the outlier channels stay in float; all others become codes: x[:, ~outlier].",
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
        "adds the two scales",
        partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T * (s[:, None] + t)),
        "A product of two codes counts steps of s times t: multiply by both.",
    ),
    Misconception(
        "has the two scales exchanged",
        partial(_split, product=lambda q, s, r, t: q.float() @ r.float().T * s * t[:, None]),
        "Rows of the result are tokens, columns are outputs: s[:, None] of the tokens, t of "
        "the outputs.",
    ),
)
