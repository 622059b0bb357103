"""Exercise 7.12: keys and values in few bits."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab7.drawing import clear, outlying
from labkit.checks.rules import Rule


def cache_round(keys: Tensor, values: Tensor, bits: int) -> tuple[Tensor, Tensor, float]:
    """Return keys rounded a channel, values rounded a token, and the bytes of both.

    No channel of the keys and no token of the values is all 0. The bytes may be a fraction.
    """
    return _round(keys, 0, bits), _round(values, 1, bits), _bytes(keys, bits)


def _round(x: Tensor, axis: int, bits: int) -> Tensor:
    """Round `x` on grids that share a scale along `axis`."""
    scale = x.abs().amax(axis, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale) * scale


def _bytes(keys: Tensor, bits: int) -> float:
    tokens, width = keys.shape
    return (2 * tokens * width * bits + 16 * (width + tokens)) / 8


def _reals(keys: Tensor, values: Tensor, bits: int) -> Tensor:
    top = 2 ** (bits - 1) - 1
    steps = [
        x.double() / x.double().abs().amax(a, keepdim=True) for x, a in ((keys, 0), (values, 1))
    ]
    return top * torch.cat([step.flatten() for step in steps])


def _cases(rng: torch.Generator) -> list[Case]:
    def cache(tokens: int, width: int, bits: int) -> tuple:
        return outlying(rng, tokens, width, 10.0), randn(rng, tokens, width), bits

    def case(label: str, tokens: int, width: int, bits: int) -> Case:
        return Case(label, clear(lambda: cache(tokens, width, bits), _reals))

    return [
        case("two tokens, three channels", 2, 3, 4),
        case("more channels than tokens", 5, 9, 4),
        case("more tokens than channels", 12, 4, 4),
        case("as many tokens as channels", 6, 6, 4),
        case("3 bits", 7, 5, 3),
        case("8 bits", 3, 8, 8),
        case("one token", 1, 5, 4),
    ]


def _axes(keys_axis: int, values_axis: int) -> Callable[..., tuple]:
    return lambda k, v, bits: (
        _round(k, keys_axis, bits),
        _round(v, values_axis, bits),
        _bytes(k, bits),
    )


def _costing(cost: Callable[[int, int, int], float]) -> Callable[..., tuple]:
    return lambda k, v, bits: (*cache_round(k, v, bits)[:2], cost(k.shape[0], k.shape[1], bits))


def _steps(top: Callable[[int], float]) -> Callable[..., tuple]:
    def one(x: Tensor, axis: int, bits: int) -> Tensor:
        scale = x.abs().amax(axis, keepdim=True) / top(bits)
        return torch.round(x / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale

    return lambda k, v, bits: (one(k, 0, bits), one(v, 1, bits), _bytes(k, bits))


def _codes(keys: Tensor, values: Tensor, bits: int) -> tuple[Tensor, Tensor, float]:
    top = 2 ** (bits - 1) - 1
    coded = [
        torch.round(x / x.abs().amax(a, keepdim=True) * top) for x, a in ((keys, 0), (values, 1))
    ]
    return coded[0], coded[1], _bytes(keys, bits)


def _one_grid(keys: Tensor, values: Tensor, bits: int) -> tuple[Tensor, Tensor, float]:
    k, v = (_round(x.reshape(1, -1), 1, bits).reshape(x.shape) for x in (keys, values))
    return k, v, _bytes(keys, bits)


def _asymmetric(keys: Tensor, values: Tensor, bits: int) -> tuple[Tensor, Tensor, float]:
    def back(x: Tensor, axis: int) -> Tensor:
        low, high = x.amin(axis, keepdim=True), x.amax(axis, keepdim=True)
        scale = (high - low) / (2**bits - 1)
        return torch.round((x - low) / scale) * scale + low

    return back(keys, 0), back(values, 1), _bytes(keys, bits)


CACHE_ROUND = Exercise(
    id="7.12",
    title="Keys and values",
    points=2,
    reference=cache_round,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-6), Rule(relative=1e-4, absolute=1e-6), Rule(1e-5)),
    names=("keys", "values", "bytes"),
    hints=(
        "Two times the same rounding, along two different axes. Which of the two tensors has "
        "outlier channels?",
        "Keys: keys.abs().amax(0, keepdim=True) / qmax, a scale for each channel. Values: amax(1, "
        "keepdim=True), one for each token. Count codes of both, and 16 bits a scale.",
        "scale = x.abs().amax(axis, keepdim=True) / (2 ** (bits - 1) - 1); torch.round(x / scale) "
        "* scale; bytes: (2 * tokens * width * bits + 16 * (width + tokens)) / 8.",
    ),
    misconceptions=(
        Misconception(
            "swaps the two axes",
            _axes(1, 0),
            "Keys have outlier channels: a scale for each channel, amax(0). Values have none, and "
            "come one token after the other: a scale for each token, amax(1).",
        ),
        Misconception(
            "gives both a scale a token",
            _axes(1, 1),
            "The outlier channel of the keys spoils the grid of every token: keys have a scale for "
            "each channel, amax(0).",
        ),
        Misconception(
            "gives both a scale a channel",
            _axes(0, 0),
            "Values have a scale for each token, amax(1).",
        ),
        Misconception(
            "returns codes",
            _codes,
            "What attention reads are the values that come back: codes * scale.",
        ),
        Misconception(
            "uses all codes of the negative side",
            _steps(lambda bits: 2 ** (bits - 1)),
            "The largest magnitude gets the code 2^(b-1) - 1.",
        ),
        Misconception(
            "counts the codes alone",
            _costing(lambda tokens, width, bits: 2 * tokens * width * bits / 8),
            "Scales are stored as well: 16 bits for each channel of the keys and each token of the "
            "values.",
        ),
        Misconception(
            "counts keys and not values",
            _costing(
                lambda tokens, width, bits: (tokens * width * bits + 16 * (width + tokens)) / 8
            ),
            "Both are stored: 2 * tokens * width codes.",
        ),
        Misconception(
            "returns bits",
            _costing(lambda tokens, width, bits: 2 * tokens * width * bits + 16 * (width + tokens)),
            "Bytes: divide by 8.",
        ),
        Misconception(
            "counts scales in float32",
            _costing(
                lambda tokens, width, bits: (2 * tokens * width * bits + 32 * (width + tokens)) / 8
            ),
            "Scales are stored in 16 bits here.",
        ),
        Misconception(
            "has one grid for each tensor",
            _one_grid,
            "Keys have a scale for each channel, values one for each token: amax(axis, "
            "keepdim=True).",
        ),
        Misconception(
            "stores the smallest value, too",
            _asymmetric,
            "That grid has a minimum beside its scale, as KIVI's has. Here grids are symmetric: "
            "one scale, the largest magnitude over 2^(b-1) - 1.",
        ),
    ),
    minutes=(6, 10),
    extra=True,
)
