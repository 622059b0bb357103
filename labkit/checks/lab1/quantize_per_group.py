"""Exercise 1.9: one scale per group."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.grids import bounded, of_steps, of_turning, one_before_division, one_for_zeros
from labkit.checks.inputs import SCALE, neat
from labkit.checks.lab1.quantize_per_channel import quantize_per_channel
from labkit.checks.rules import Codes

Coded = tuple[Tensor, Tensor]


def quantize_per_group(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    """Return symmetric codes of the matrix `w`, a scale for each `group_size` values of a row.

    The scale of a group of zeros is 1.
    """
    parts = [quantize_per_channel(part, 0, bits) for part in w.split(group_size, dim=1)]
    q = torch.cat([codes for codes, _ in parts], dim=1)
    return q, torch.stack([scale for _, scale in parts], dim=1)


def _real_per_group(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, int, int]:
    _, scale = quantize_per_group(w, group_size, bits)
    spread = scale.double().repeat_interleave(group_size, dim=1)[:, : w.shape[1]]
    qmax = 2 ** (bits - 1) - 1
    return w.double() / spread, -qmax, qmax


def _group_cases(rng: torch.Generator) -> list[Case]:
    steps = torch.tensor([[0.1, -0.2, 3.0, 1.0], [5.0, 4.0, -0.3, 0.7]])
    zeros = neat(rng, 2, 6)
    zeros[1, 3:] = 0
    return [
        Case("two groups in a row", (steps, 2, 8)),
        Case("a last group that is not full", (neat(rng, 3, 7), 3, 8)),
        Case("a last group of one value", (neat(rng, 2, 5), 4, 4)),
        Case("a group of zeros", (zeros, 3, 4)),
        Case("groups of one", (neat(rng, 2, 3), 1, 8)),
        Case("a group larger than the row", (neat(rng, 3, 4), 9, 4)),
        Case("a square matrix", (neat(rng, 4, 4), 2, 4)),
        Case("an outlier", (torch.cat([neat(rng, 2, 8), torch.tensor([[50.0], [1.0]])], 1), 3, 4)),
        Case("2 bits", (neat(rng, 2, 9), 4, 2)),
        Case("12 bits", (neat(rng, 3, 5), 2, 12)),
    ]


def _neighbours(columns: int, group_size: int) -> list[Sequence[int]]:
    return [range(columns)[start : start + group_size] for start in range(0, columns, group_size)]


def _full_ones(columns: int, group_size: int) -> list[Sequence[int]]:
    return [group for group in _neighbours(columns, group_size) if len(group) == group_size]


def _rest_in_last(columns: int, group_size: int) -> list[Sequence[int]]:
    starts = range(0, max(columns - group_size + 1, 1), group_size)
    return [
        range(start, columns if start == starts[-1] else start + group_size) for start in starts
    ]


def _dealt_out(columns: int, group_size: int) -> list[Sequence[int]]:
    groups = math.ceil(columns / group_size)
    return [range(columns)[start::groups] for start in range(groups)]


def _as_many_groups(columns: int, group_size: int) -> list[Sequence[int]]:
    return [tuple(part.tolist()) for part in torch.arange(columns).chunk(group_size)]


def _rest_first(columns: int, group_size: int) -> list[Sequence[int]]:
    first = columns % group_size or min(group_size, columns)
    starts = range(first, columns, group_size)
    return [range(first), *(range(start, start + group_size) for start in starts)]


def _filled_up(q: Tensor, scale: Tensor, w: Tensor, group_size: int) -> Coded:
    most = len(w) * math.ceil(w.shape[1] / group_size)
    scale = torch.nn.functional.pad(scale, (0, most - scale.numel()), value=1.0)
    return q.reshape(w.shape), scale.reshape(len(w), -1)


def _coded(
    w: Tensor,
    group_size: int,
    bits: int,
    *,
    over: Callable[[Tensor], Tensor] = lambda w: w,
    back: Callable[[Tensor, Tensor, Tensor, int], Coded] = lambda q, scale, w, size: (q, scale),
    cut: Callable[[int, int], list[Sequence[int]]] = _neighbours,
    reach: Callable[[Tensor], Tensor] = lambda part: part.abs().amax(1),
    steps: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    scales: Callable[[Tensor, int], Tensor] = one_for_zeros,
    turn: Callable[[Tensor], Tensor] = torch.round,
    laid: Callable[[Tensor, int], Tensor] = lambda q, group_size: q,
    given: Callable[[Tensor], Tensor] = lambda scale: scale,
) -> Coded:
    """Return codes and scales, of which any part may be another one."""
    qmax = 2 ** (bits - 1) - 1
    rows = over(w)
    groups = cut(rows.shape[1], group_size)
    scale = torch.ones(len(rows), len(groups))
    q = torch.zeros(rows.shape, dtype=torch.int32)
    for i, columns in enumerate(groups):
        part = rows[:, list(columns)]
        scale[:, i] = scales(reach(part), steps(bits))
        codes = turn(part / scale[:, i : i + 1]).clamp(-qmax, qmax)
        q[:, list(columns)] = codes.to(torch.int32)
    q, scale = back(q, scale, w, group_size)
    return laid(q, group_size), given(scale)


def _without_the_rest(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    return _coded(w[:, : w.shape[1] // group_size * group_size], group_size, bits)


def _scale_per_row(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w, 0, bits)
    return q, scale.unsqueeze(1).repeat(1, math.ceil(w.shape[1] / group_size))


QUANTIZE_PER_GROUP = Exercise(
    id="1.9",
    title="One scale per group",
    points=3,
    minutes=(10, 15),
    extra=True,
    reference=quantize_per_group,
    cases=_group_cases,
    rules=(Codes(unrounded=_real_per_group), SCALE),
    names=("q", "scale"),
    hints=(
        "A group is a small matrix of its own, with one scale for each of its rows. You have a "
        "function for that.",
        "w.split(group_size, dim=1) cuts the columns, the last part as narrow as it must be. "
        "Quantize each part per channel along axis 0.",
        "parts = [quantize_per_channel(part, 0, bits) for part in w.split(group_size, dim=1)]; "
        "then torch.cat the codes along dim 1 and torch.stack the scales along dim 1.",
    ),
    misconceptions=(
        Misconception(
            "cuts the groups down the columns",
            partial(_coded, over=torch.t, back=lambda q, scale, w, size: (q.t(), scale.t())),
            "Neighbours in a row share a scale: a row holds the inputs of one output.",
        ),
        Misconception(
            "runs its groups over the ends of the rows",
            partial(_coded, over=lambda w: w.reshape(1, -1), back=_filled_up),
            "Each row begins with a new group: fill up or cut every row by itself, along dim 1, "
            "not the flattened matrix.",
        ),
        Misconception(
            "gives all groups of a row the same scale",
            _scale_per_row,
            "Take the maximum over group_size neighbours only.",
        ),
        Misconception(
            "shares a scale between rows",
            partial(_coded, reach=lambda part: part.abs().max().expand(len(part))),
            "Each row has its own scale in each group: the result has shape [rows, groups].",
        ),
        Misconception(
            "leaves out the last group when it is not full",
            partial(_coded, cut=_full_ones),
            "Every value needs a code: the last group is simply smaller.",
        ),
        *(
            Misconception(
                "gives a group of zeros a tiny scale",
                partial(_coded, scales=partial(bounded, least=10.0**-n, before=before)),
                "A group of zeros has the scale 1: a bound from below gives it a tiny one.",
            )
            for before, end in ((False, 12), (True, 10))  # a scale below 1e-12 counts as 0
            for n in range(4, end)
        ),
        Misconception(
            "leaves out the last group when it is not full",
            _without_the_rest,
            "Every value needs a code: the last group is simply smaller.",
        ),
        Misconception(
            "leaves the filling of the last group in the codes",
            partial(
                _coded, laid=lambda q, size: torch.nn.functional.pad(q, (0, -q.shape[1] % size))
            ),
            "The codes have the shape of w: cut off what was filled up, q[:, :columns].",
        ),
        Misconception(
            "leaves the scale of a group of zeros at 0",
            partial(_coded, given=lambda scale: torch.where(scale == 1, 0.0, scale)),
            "A group of zeros has the scale 1: whoever divides by 0 gets NaN.",
        ),
        Misconception(
            "gives a group of zeros the scale 1 / qmax",
            partial(_coded, scales=one_before_division),
            "The scale itself is 1 for zeros: put it in after the division.",
        ),
        Misconception(
            "takes the largest value instead of the largest magnitude",
            partial(_coded, reach=lambda part: part.amax(1)),
            "The largest magnitude may be that of a negative value: abs() before the maximum.",
        ),
        *of_turning(_coded),
        *of_steps(_coded),
        Misconception(
            "makes the first group of a row the smaller one",
            partial(_coded, cut=_rest_first),
            "Groups begin at the first column; what is left over comes last.",
        ),
        Misconception(
            "has the scales in one line",
            partial(_coded, given=lambda scale: scale.flatten()),
            "The scales have the shape [rows, number of groups in a row].",
        ),
        Misconception(
            "has the groups of the scales in rows",
            partial(_coded, given=lambda scale: scale.t()),
            "The scales have the shape [rows, number of groups in a row]: stack along dim 1.",
        ),
        Misconception(
            "keeps an axis of the scales",
            partial(_coded, given=lambda scale: scale[..., None]),
            "The scales have the shape [rows, number of groups in a row]: keepdim is good for "
            "dividing, then squeeze(-1).",
        ),
        Misconception(
            "puts the rest of a row into its last full group",
            partial(_coded, cut=_rest_in_last),
            "What is left over is a group of its own, narrower than the others, with its own "
            "scale.",
        ),
        Misconception(
            "deals the columns out in turn",
            partial(_coded, cut=_dealt_out),
            "A group is group_size neighbours: the first columns together, then the next.",
        ),
        Misconception(
            "takes group_size for the number of groups",
            partial(_coded, cut=_as_many_groups),
            "group_size is how many neighbours share a scale, not how many groups a row has.",
        ),
    ),
)
