"""Slips in groups of weights, for exercise 7.6."""

from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.grids import bounded, in_16_bits, one_before_division, one_for_zeros, raised
from labkit.checks.lab7.quantize_groups_parts import coded, largest_of


def _extreme(groups: Tensor) -> Tensor:
    """Return the weight of the largest magnitude of each group, with its sign."""
    return groups.gather(2, groups.abs().argmax(2, keepdim=True))[..., 0]


def _down_the_columns(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    size = min(group_size, len(w))
    while len(w) % size:
        size -= 1
    codes, scale, _ = coded(w.T, bits, size)
    return codes.T, scale.T, bits + 16 / group_size


def _whole_range(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    groups = w.unflatten(1, (-1, group_size))
    scale = one_for_zeros(groups.amax(2) - groups.amin(2), 2**bits - 1)
    codes = torch.round(groups / scale[..., None]).flatten(1)
    return codes.to(torch.int64), scale, bits + 16 / group_size


IN_A_ROW = (
    "Groups are neighbours in a row, along the axis that is summed over: w.unflatten(1, (-1, "
    "group_size)), and [out, in / group_size] scales."
)
WITHOUT_1 = (
    "A group of zeros gets the scale 1: with 0, whoever divides by it gets 0 / 0, which is NaN, "
    "and a cast of NaN to integers gives any number."
)
A_GROUP = (
    "The 16 bits of a scale are shared by the group_size weights of its group: 16 / group_size."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "cuts columns into groups",
        _down_the_columns,
        IN_A_ROW,
    ),
    Misconception(
        "cuts the transposed matrix into groups",
        partial(
            coded,
            cut=lambda w, size: w.T.reshape(len(w), -1, size),
            joined=lambda codes, w: codes.reshape(w.T.shape).T,
        ),
        IN_A_ROW,
    ),
    Misconception(
        "lays the groups of the rows out in columns",
        partial(coded, joined=lambda codes, w: codes.reshape(w.T.shape).T),
        "The groups of a row follow each other in that row: flatten(1) or reshape(w.shape), "
        "and nothing is transposed.",
    ),
    Misconception(
        "has one scale a row",
        partial(
            coded,
            reach=lambda groups: 0 * largest_of(groups) + groups.abs().amax((1, 2))[:, None],
        ),
        "Each group of group_size neighbours has a scale of its own.",
    ),
    Misconception(
        "has one scale a row",
        partial(coded, reach=lambda groups: groups.abs().amax((1, 2))[:, None]),
        "Each group of group_size neighbours has a scale of its own.",
    ),
    Misconception(
        "has one scale for all weights",
        partial(coded, reach=lambda groups: 0 * largest_of(groups) + groups.abs().max()),
        "Each group of group_size neighbours has a scale of its own.",
    ),
    Misconception(
        "makes groups of distant weights",
        partial(
            coded,
            cut=lambda w, size: w.unflatten(1, (size, -1)).transpose(1, 2),
            joined=lambda codes, w: codes.transpose(1, 2).reshape(w.shape),
        ),
        "unflatten(1, (-1, group_size)): the last axis are neighbours. The other way round, a "
        "group takes every n-th weight.",
    ),
    Misconception(
        "forgets the sign",
        partial(coded, reach=lambda groups: groups.amax(2)),
        "The largest magnitude of a group may be that of a negative weight: abs() before the "
        "maximum.",
    ),
    Misconception(
        "forgets the sign",
        partial(coded, reach=lambda groups: groups.amax(2).abs()),
        "The largest magnitude of a group may be that of a negative weight: abs() before the "
        "maximum.",
    ),
    Misconception(
        "uses all codes of the negative side",
        partial(coded, top=lambda bits: 2 ** (bits - 1)),
        "The largest magnitude gets the code 2^(b-1) - 1, which is 7 with 4 bits, on either side.",
    ),
    Misconception(
        "uses all codes of the negative side and does not clamp",
        partial(
            coded,
            top=lambda bits: 2 ** (bits - 1),
            limit=lambda q, qmax: q,
        ),
        "The largest magnitude gets the code 2^(b-1) - 1, which is 7 with 4 bits; there is no code "
        "8.",
    ),
    Misconception(
        "divides the largest weight, with its sign, by -2^(b-1)",
        partial(coded, reach=_extreme, top=lambda bits: -(2 ** (bits - 1))),
        "llama.cpp does that in Q4_0 (6.8). Here the grid is symmetric: the largest magnitude gets "
        "the code 2^(b-1) - 1 or minus that.",
    ),
    Misconception(
        "keeps the sign of the largest weight",
        partial(coded, reach=_extreme),
        "A scale is a length: the largest *magnitude* of the group, abs() before the maximum.",
    ),
    Misconception(
        "takes the mean magnitude",
        partial(coded, reach=lambda groups: groups.abs().mean(2)),
        "The largest magnitude has to fit on the grid, or it is cut off: amax(2).",
    ),
    Misconception(
        "spreads one side over all steps",
        partial(coded, top=lambda bits: 2**bits - 1),
        "A code of b bits has a sign: 2^(b-1) - 1 steps on each side.",
    ),
    Misconception(
        "uses 127 whatever the bits are",
        partial(coded, top=lambda bits: 127),
        "The largest code depends on the bits: 2^(b-1) - 1, 7 for four of them.",
    ),
    *(
        Misconception(
            "leaves the scale of a group of zeros at 0",
            partial(coded, scales=torch.div, kept=kept),
            WITHOUT_1,
        )
        for kept in (torch.clone, torch.Tensor.int, torch.Tensor.long)
    ),
    Misconception(
        "leaves the scale of a group of zeros at 0",
        partial(coded, given=lambda scale, size: torch.where(scale == 1, 0.0, scale)),
        WITHOUT_1,
    ),
    Misconception(
        "gives a group of zeros the scale 1 / qmax",
        partial(coded, scales=one_before_division),
        "The scale itself is 1 for a group of zeros: put the 1 in after the division.",
    ),
    *(
        Misconception(
            "gives a group of zeros a tiny scale",
            partial(coded, scales=partial(bounded, least=10.0**-n, before=before)),
            "A group of zeros gets the scale 1: a bound from below gives it a tiny one. Put "
            "the 1 in where the scale is 0: torch.where(scale == 0, 1.0, scale).",
        )
        for n in range(4, 10)
        for before in (True, False)
    ),
    *(
        Misconception(
            "adds a small number to each scale",
            partial(coded, scales=partial(raised, by=10.0**-n)),
            "Then every scale is a little wrong. Only a group of zeros needs help: its scale is 1.",
        )
        for n in range(4, 7)
    ),
    Misconception(
        "rounds the scales to 16 bits",
        partial(coded, scales=in_16_bits),
        "A file stores them so, and the bits are counted so. The scales that you use and return "
        "stay as they are.",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(coded, turn=torch.trunc),
        "A cast drops the fraction. Round first: torch.round.",
    ),
    Misconception(
        "rounds down",
        partial(coded, turn=torch.floor),
        "Round to the nearest code: torch.round.",
    ),
    Misconception(
        "counts the codes alone",
        partial(coded, cost=lambda w, bits, size: float(bits)),
        "Each group stores a scale, too: 16 bits for group_size weights.",
    ),
    Misconception(
        "counts a scale for each weight",
        partial(coded, cost=lambda w, bits, size: bits + 16.0),
        "The 16 bits of a scale are shared by all weights of its group.",
    ),
    Misconception(
        "counts scales in float32",
        partial(coded, cost=lambda w, bits, size: bits + 32 / size),
        "Scales are stored in 16 bits here.",
    ),
    Misconception(
        "counts scales in bytes",
        partial(coded, cost=lambda w, bits, size: bits + 2 / size),
        "A scale has 2 bytes, which are 16 bits: 16 / group_size.",
    ),
    Misconception(
        "counts a zero point beside the scale",
        partial(coded, cost=lambda w, bits, size: bits + (16 + bits) / size),
        "The grid is symmetric and has no zero point: 16 bits a group, for its scale.",
    ),
    Misconception(
        "drops the fraction of a bit",
        partial(coded, cost=lambda w, bits, size: float(bits + 16 // size)),
        "The bits of a weight may be a fraction: 16 / group_size instead of //.",
    ),
    Misconception(
        "counts one scale a row",
        partial(coded, cost=lambda w, bits, size: bits + 16 / w.shape[1]),
        "A scale for each group, not for each row: 16 / group_size.",
    ),
    Misconception(
        "divides by the number of groups",
        partial(coded, cost=lambda w, bits, size: bits + 16 * size / w.shape[1]),
        A_GROUP,
    ),
    Misconception(
        "divides by the number of groups",
        partial(coded, cost=lambda w, bits, size: bits + 16 * size / w.numel()),
        A_GROUP,
    ),
    Misconception(
        "counts all scales of a row for each weight",
        partial(coded, cost=lambda w, bits, size: bits + 16 * w.shape[1] / size),
        A_GROUP,
    ),
    Misconception(
        "counts all scales for each weight",
        partial(coded, cost=lambda w, bits, size: bits + 16 * w.numel() / size),
        A_GROUP,
    ),
    Misconception(
        "counts the bits of a group",
        partial(coded, cost=lambda w, bits, size: size * bits + 16.0),
        "Asked for are the bits of one weight: divide by group_size.",
    ),
    Misconception(
        "leaves the codes in groups",
        partial(coded, joined=lambda codes, w: codes),
        "The codes have the shape of w: flatten(1) joins the groups of a row again.",
    ),
    Misconception(
        "makes a row of each group",
        partial(coded, joined=lambda codes, w: codes.flatten(0, 1)),
        "The codes have the shape of w: reshape(w.shape) puts the groups of a row side by side "
        "again.",
    ),
    Misconception(
        "keeps an axis of the scales",
        partial(coded, given=lambda scale, size: scale[..., None]),
        "The scales have the shape [out, in / group_size]: keepdim=True is good for dividing, "
        "then squeeze(-1).",
    ),
    Misconception(
        "has all scales in a row",
        partial(coded, given=lambda scale, size: scale.flatten()),
        "The scales have the shape [out, in / group_size], a row for each output.",
    ),
    Misconception(
        "repeats the scales for each weight",
        partial(coded, given=lambda scale, size: scale.repeat_interleave(size, dim=1)),
        "One scale for each group is stored: [out, in / group_size]. Repeat them only where "
        "you divide.",
    ),
    Misconception(
        "spreads the whole range over all steps",
        _whole_range,
        "Without a zero point the grid is symmetric: its largest magnitude gets the code "
        "2^(b-1) - 1.",
    ),
)
