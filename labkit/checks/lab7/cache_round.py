"""Exercise 7.12: keys and values in few bits."""

from collections.abc import Callable
from functools import partial

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
    return _rounded(keys, values, bits)


def _rounded(
    keys: Tensor,
    values: Tensor,
    bits: int,
    *,
    axes: tuple[int | None, int | None] = (0, 1),
    reach: Callable[[Tensor], Tensor] = torch.abs,
    top: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    kept: Callable[[Tensor], Tensor] = lambda scale: scale,
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    codes: Callable[[int, int], int] = lambda tokens, width: 2 * tokens * width,
    scales: Callable[[int, int], int] = lambda tokens, width: width + tokens,
    code_bits: Callable[[int], int] = lambda bits: bits,
    scale_bits: int = 16,
    stored: Callable[[int, int], float] = lambda of_codes, of_scales: (of_codes + of_scales) / 8,
) -> tuple[Tensor, Tensor, float]:
    def one(x: Tensor, axis: int | None) -> Tensor:
        """Round on grids that share a scale along an axis, or on one grid."""
        whole = (0, 1) if axis is None else axis
        scale = kept(reach(x).amax(whole, keepdim=True) / top(bits))
        q = turn(x / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return back(q, scale)

    size = stored(code_bits(bits) * codes(*keys.shape), scale_bits * scales(*keys.shape))
    return one(keys, axes[0]), one(values, axes[1]), size


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


def _asymmetric(keys: Tensor, values: Tensor, bits: int) -> tuple[Tensor, Tensor, float]:
    def back(x: Tensor, axis: int) -> Tensor:
        low, high = x.amin(axis, keepdim=True), x.amax(axis, keepdim=True)
        scale = (high - low) / (2**bits - 1)
        return torch.round((x - low) / scale) * scale + low

    return back(keys, 0), back(values, 1), cache_round(keys, values, bits)[2]


SCALES = (
    "Keys have a scale for each channel, values one for each token: 16 * (width + tokens) bits."
)


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
            partial(_rounded, axes=(1, 0)),
            "Keys have outlier channels: a scale for each channel, amax(0). Values have none, and "
            "come one token after the other: a scale for each token, amax(1).",
        ),
        Misconception(
            "gives both a scale a token",
            partial(_rounded, axes=(1, 1)),
            "The outlier channel of the keys spoils the grid of every token: keys have a scale for "
            "each channel, amax(0).",
        ),
        Misconception(
            "gives both a scale a channel",
            partial(_rounded, axes=(0, 0)),
            "Values have a scale for each token, amax(1).",
        ),
        Misconception(
            "has one grid for each tensor",
            partial(_rounded, axes=(None, None)),
            "Keys have a scale for each channel, values one for each token: amax(axis, "
            "keepdim=True).",
        ),
        Misconception(
            "has one grid for all keys",
            partial(_rounded, axes=(None, 1)),
            "Keys have a scale for each channel: amax(0, keepdim=True).",
        ),
        Misconception(
            "has one grid for all values",
            partial(_rounded, axes=(0, None)),
            "Values have a scale for each token: amax(1, keepdim=True).",
        ),
        Misconception(
            "forgets the sign",
            partial(_rounded, reach=torch.clone),
            "The largest magnitude may be that of a negative number: abs() before the maximum.",
        ),
        Misconception(
            "returns codes",
            partial(_rounded, back=lambda codes, scale: codes),
            "What attention reads are the values that come back: codes * scale.",
        ),
        Misconception(
            "uses all codes of the negative side",
            partial(_rounded, top=lambda bits: 2 ** (bits - 1)),
            "The largest magnitude gets the code 2^(b-1) - 1.",
        ),
        Misconception(
            "spreads one side over all steps",
            partial(_rounded, top=lambda bits: 2**bits - 1),
            "A code of b bits has a sign: 2^(b-1) - 1 steps on each side.",
        ),
        Misconception(
            "uses 127 whatever the bits are",
            partial(_rounded, top=lambda bits: 127),
            "The largest code depends on the bits: 2^(b-1) - 1, 7 for four of them.",
        ),
        Misconception(
            "rounds the scales to 16 bits",
            partial(_rounded, kept=lambda scale: scale.half().float()),
            "Scales are counted with 16 bits, but not rounded to them.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_rounded, turn=torch.trunc),
            "A cast drops the fraction. Round first: torch.round.",
        ),
        Misconception(
            "rounds down",
            partial(_rounded, turn=torch.floor),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "leaves the values as they are",
            lambda k, v, bits: (cache_round(k, v, bits)[0], v.clone(), cache_round(k, v, bits)[2]),
            "Values are rounded as well, with a scale for each token.",
        ),
        Misconception(
            "leaves the keys as they are",
            lambda k, v, bits: (k.clone(), *cache_round(k, v, bits)[1:]),
            "Keys are rounded as well, with a scale for each channel.",
        ),
        Misconception(
            "does not round",
            lambda k, v, bits: (k.clone(), v.clone(), cache_round(k, v, bits)[2]),
            "Keys and values are rounded to codes and multiplied by their scales again.",
        ),
        Misconception(
            "counts the codes alone",
            partial(_rounded, scales=lambda tokens, width: 0),
            "Scales are stored as well: 16 bits for each channel of the keys and each token of the "
            "values.",
        ),
        Misconception(
            "counts the codes of one tensor only",
            partial(_rounded, codes=lambda tokens, width: tokens * width),
            "Keys and values are both stored: 2 * tokens * width codes.",
        ),
        Misconception(
            "counts the scales alone",
            partial(_rounded, codes=lambda tokens, width: 0),
            "The codes are stored as well: 2 * tokens * width of `bits` bits each.",
        ),
        Misconception(
            "returns bits",
            partial(_rounded, stored=lambda of_codes, of_scales: of_codes + of_scales),
            "Bytes: divide by 8.",
        ),
        Misconception(
            "rounds the bytes down",
            partial(_rounded, stored=lambda of_codes, of_scales: (of_codes + of_scales) // 8),
            "The bytes may be a fraction here: / 8 instead of // 8.",
        ),
        Misconception(
            "rounds the bytes up",
            partial(_rounded, stored=lambda of_codes, of_scales: -(-(of_codes + of_scales) // 8)),
            "The bytes may be a fraction here: / 8, and nothing is rounded.",
        ),
        Misconception(
            "counts 8 bits for each code",
            partial(_rounded, code_bits=lambda bits: 8),
            "Codes are packed: `bits` bits for each of them.",
        ),
        Misconception(
            "counts 16 bits for each code",
            partial(_rounded, code_bits=lambda bits: 16),
            "Codes take `bits` bits each; 16 are those of a scale.",
        ),
        Misconception(
            "counts 32 bits for a scale",
            partial(_rounded, scale_bits=32),
            "Scales are stored in 16 bits here, without a zero point beside them: the grids are "
            "symmetric.",
        ),
        Misconception(
            "counts scales of 8 bits",
            partial(_rounded, scale_bits=8),
            "Scales are stored in 16 bits here.",
        ),
        Misconception(
            "adds the bits of the scales to bytes",
            partial(_rounded, stored=lambda of_codes, of_scales: of_codes / 8 + of_scales),
            "A scale of 16 bits has 2 bytes: all bits together, over 8.",
        ),
        Misconception(
            "counts the scales of the keys alone",
            partial(_rounded, scales=lambda tokens, width: width),
            "Values have scales, too, one for each token.",
        ),
        Misconception(
            "counts the scales of the values alone",
            partial(_rounded, scales=lambda tokens, width: tokens),
            "Keys have scales, too, one for each channel.",
        ),
        Misconception(
            "counts as many scales for the keys as for the values",
            partial(_rounded, scales=lambda tokens, width: 2 * tokens),
            SCALES,
        ),
        Misconception(
            "counts as many scales for the values as for the keys",
            partial(_rounded, scales=lambda tokens, width: 2 * width),
            SCALES,
        ),
        Misconception(
            "counts two scales for all",
            partial(_rounded, scales=lambda tokens, width: 2),
            SCALES,
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
