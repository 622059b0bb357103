"""Exercise 7.6: a scale for each group of weights, and what it costs."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Codes, Rule


def quantize_groups(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    """Return codes, the scale of each group [out, in / group_size], and the bits of a weight.

    16 bits are counted for a scale; the scales that are returned are float32.
    """
    qmax = 2 ** (bits - 1) - 1
    return _coded(w, _largest(w, group_size) / qmax, qmax, bits + 16 / group_size)


def _largest(w: Tensor, group_size: int) -> Tensor:
    return w.unflatten(1, (-1, group_size)).abs().amax(2)


def _coded(
    w: Tensor,
    scale: Tensor,
    qmax: int,
    cost: float,
    turn: Callable[[Tensor], Tensor] = torch.round,
) -> tuple[Tensor, Tensor, float]:
    scale = torch.where(scale == 0, 1.0, scale)
    steps = w / scale.repeat_interleave(w.shape[1] // scale.shape[1], dim=1)
    return turn(steps).clamp(-qmax - 1, qmax).to(torch.int8), scale, cost


def _unrounded(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, int, int]:
    qmax = 2 ** (bits - 1) - 1
    scale = _largest(w.double(), group_size) / qmax
    scale = torch.where(scale == 0, 1.0, scale).repeat_interleave(group_size, dim=1)
    return w.double() / scale, -qmax, qmax


def _cases(rng: torch.Generator) -> list[Case]:
    def zeros_among(w: Tensor) -> Tensor:
        w[1, 4:8] = 0
        return w

    outlier = randn(rng, 3, 16)
    outlier[one(rng, 0, 2), one(rng, 0, 15)] = 25.0
    return [
        Case("one group", (randn(rng, 1, 4), 4, 4)),
        Case("two groups in a row", (randn(rng, 2, 8), 4, 4)),
        Case("3 bits", (randn(rng, 3, 12), 3, 6)),
        Case("8 bits", (randn(rng, 2, 10), 8, 5)),
        Case("as many rows as columns", (randn(rng, 8, 8), 4, 4)),
        Case("an outlier", (outlier, 4, 8)),
        Case("a group of zeros", (zeros_among(randn(rng, 2, 12)), 4, 4)),
        Case("a real layer", (real_piece(rng, "down", 2, 16)[1], 4, 8)),
    ]


def _down_the_columns(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    qmax, size = 2 ** (bits - 1) - 1, min(group_size, len(w))
    while len(w) % size:
        size -= 1
    codes, scale, cost = _coded(w.T, _largest(w.T, size) / qmax, qmax, bits + 16 / group_size)
    return codes.T, scale.T, cost


def _a_row(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    codes, scale, _ = quantize_groups(w, bits, w.shape[1])
    return codes, scale.repeat(1, w.shape[1] // group_size), bits + 16 / group_size


def _interleaved(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    qmax = 2 ** (bits - 1) - 1
    scale = w.unflatten(1, (group_size, -1)).abs().amax(1) / qmax
    steps = w / torch.where(scale == 0, 1.0, scale).repeat(1, group_size)
    return torch.round(steps), torch.where(scale == 0, 1.0, scale), bits + 16 / group_size


def _nan(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    scale = _largest(w, group_size) / (2 ** (bits - 1) - 1)
    steps = w / scale.repeat_interleave(group_size, dim=1)
    return torch.round(steps), scale, bits + 16 / group_size


def _by(steps: Callable[[int], float]) -> Callable[..., tuple]:
    def wrong(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
        qmax = 2 ** (bits - 1) - 1
        return _coded(w, _largest(w, group_size) / steps(bits), qmax, bits + 16 / group_size)

    return wrong


def _costing(cost: Callable[[Tensor, int, int], float]) -> Callable[..., tuple]:
    return lambda w, bits, size: (*quantize_groups(w, bits, size)[:2], cost(w, bits, size))


def _turned(turn: Callable[[Tensor], Tensor]) -> Callable[..., tuple]:
    def wrong(w: Tensor, bits: int, size: int) -> tuple[Tensor, Tensor, float]:
        qmax = 2 ** (bits - 1) - 1
        return _coded(w, _largest(w, size) / qmax, qmax, bits + 16 / size, turn)

    return wrong


def _in_groups(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    codes, scale, cost = quantize_groups(w, bits, group_size)
    return codes.unflatten(1, (-1, group_size)), scale, cost


def _repeated(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    codes, scale, cost = quantize_groups(w, bits, group_size)
    return codes, scale.repeat_interleave(group_size, dim=1), cost


def _whole_range(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    groups = w.unflatten(1, (-1, group_size))
    scale = (groups.amax(2) - groups.amin(2)) / (2**bits - 1)
    scale = torch.where(scale == 0, 1.0, scale)
    codes = torch.round(groups / scale[..., None]).flatten(1)
    return codes.to(torch.int64), scale, bits + 16 / group_size


QUANTIZE_GROUPS = Exercise(
    id="7.6",
    title="Groups of weights",
    points=2,
    reference=quantize_groups,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded), SCALE, Rule(relative=1e-5)),
    names=("codes", "scale", "bits of a weight"),
    hints=(
        "Cut each row into groups first: w.unflatten(1, (-1, group_size)) has a third axis. What "
        "is left to do is 7.3 along that axis.",
        "qmax = 2 ** (bits - 1) - 1; scale = the largest magnitude of the last axis / qmax, 1 "
        "where it is 0. After rounding, flatten(1) makes rows again. A group adds 16 bits to "
        "group_size weights.",
        "groups = w.unflatten(1, (-1, group_size)); scale = groups.abs().amax(2) / qmax; "
        "scale[scale == 0] = 1; codes = torch.round(groups / scale[..., None]).flatten(1); return "
        "codes.to(torch.int8), scale, bits + 16 / group_size.",
    ),
    misconceptions=(
        Misconception(
            "cuts columns into groups",
            _down_the_columns,
            "Groups are neighbours in a row, along the axis that is summed over: [out, in / "
            "group_size] scales.",
        ),
        Misconception(
            "has one scale a row",
            _a_row,
            "Each group of group_size neighbours has a scale of its own.",
        ),
        Misconception(
            "makes groups of distant weights",
            _interleaved,
            "unflatten(1, (-1, group_size)): the last axis are neighbours. The other way round, a "
            "group takes every n-th weight.",
        ),
        Misconception(
            "uses all codes of the negative side",
            _by(lambda bits: 2 ** (bits - 1)),
            "The largest magnitude gets the code 2^(b-1) - 1, which is 7 with 4 bits, on either "
            "side.",
        ),
        Misconception(
            "spreads one side over all steps",
            _by(lambda bits: 2**bits - 1),
            "A code of b bits has a sign: 2^(b-1) - 1 steps on each side.",
        ),
        Misconception(
            "divides a group of zeros by 0",
            _nan,
            "0 / 0 is NaN. A group of zeros gets the scale 1.",
        ),
        Misconception(
            "cuts off instead of rounding",
            _turned(torch.trunc),
            "A cast drops the fraction. Round first: torch.round.",
        ),
        Misconception(
            "rounds down",
            _turned(torch.floor),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "counts the codes alone",
            _costing(lambda w, bits, size: float(bits)),
            "Each group stores a scale, too: 16 bits for group_size weights.",
        ),
        Misconception(
            "counts a scale for each weight",
            _costing(lambda w, bits, size: bits + 16.0),
            "The 16 bits of a scale are shared by all weights of its group.",
        ),
        Misconception(
            "counts scales in float32",
            _costing(lambda w, bits, size: bits + 32 / size),
            "Scales are stored in 16 bits here.",
        ),
        Misconception(
            "counts one scale a row",
            _costing(lambda w, bits, size: bits + 16 / w.shape[1]),
            "A scale for each group, not for each row: 16 / group_size.",
        ),
        Misconception(
            "leaves the codes in groups",
            _in_groups,
            "The codes have the shape of w: flatten(1) joins the groups of a row again.",
        ),
        Misconception(
            "repeats the scales for each weight",
            _repeated,
            "One scale for each group is stored: [out, in / group_size]. Repeat them only where "
            "you divide.",
        ),
        Misconception(
            "spreads the whole range over all steps",
            _whole_range,
            "Without a zero point the grid is symmetric: its largest magnitude gets the code "
            "2^(b-1) - 1.",
        ),
    ),
    minutes=(7, 11),
)
