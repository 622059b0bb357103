"""Slips in groups of weights, for exercise 7.6."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.grids import bounded, one_before_division


def in_groups(w: Tensor, group_size: int) -> Tensor:
    """Return the groups of each row, [out, groups, group_size]."""
    return w.unflatten(1, (-1, group_size))


def largest_of(groups: Tensor) -> Tensor:
    """Return the largest magnitude of each group."""
    return groups.abs().amax(2)


def _one_for_zeros(largest: Tensor, top: int) -> Tensor:
    return torch.where(largest == 0, 1.0, largest / top)


def coded(
    w: Tensor,
    bits: int,
    group_size: int,
    *,
    cut: Callable[[Tensor, int], Tensor] = in_groups,
    reach: Callable[[Tensor], Tensor] = largest_of,
    top: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    scales: Callable[[Tensor, int], Tensor] = _one_for_zeros,
    turn: Callable[[Tensor], Tensor] = torch.round,
    kept: Callable[[Tensor], Tensor] = torch.Tensor.char,
    given: Callable[[Tensor, int], Tensor] = lambda scale, size: scale,
    joined: Callable[[Tensor, Tensor], Tensor] = lambda codes, w: codes.reshape(w.shape),
    cost: Callable[[Tensor, int, int], float] = lambda w, bits, size: bits + 16 / size,
) -> tuple[Tensor, Tensor, float]:
    """Return codes, scales and bits a weight; misconceptions change parts of this."""
    groups, qmax = cut(w, group_size), 2 ** (bits - 1) - 1
    scale = scales(reach(groups), top(bits))
    codes = kept(turn(groups / scale[..., None]).clamp(-qmax - 1, qmax))
    return joined(codes, w), given(scale, group_size), cost(w, bits, group_size)


def _down_the_columns(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    size = min(group_size, len(w))
    while len(w) % size:
        size -= 1
    codes, scale, _ = coded(w.T, bits, size)
    return codes.T, scale.T, bits + 16 / group_size


def _whole_range(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    groups = w.unflatten(1, (-1, group_size))
    scale = _one_for_zeros(groups.amax(2) - groups.amin(2), 2**bits - 1)
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
