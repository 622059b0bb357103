"""Exercise 1.9: one scale per group."""

import math

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, neat
from labkit.checks.lab1.quantize_per_channel import quantize_per_channel
from labkit.checks.lab1.quantize_symmetric import quantize_symmetric
from labkit.checks.rules import Codes


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


def _groups_down(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_group(w.t(), group_size, bits)
    return q.t(), scale.t()


def _drops_rest(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    whole = w.shape[1] // group_size * group_size
    return quantize_per_group(w[:, :whole] if whole else w, group_size, bits)


def _scale_per_row(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w, 0, bits)
    return q, scale.unsqueeze(1).repeat(1, math.ceil(w.shape[1] / group_size))


def _scale_per_column_block(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    parts = [quantize_symmetric(part, bits) for part in w.split(group_size, dim=1)]
    scales = torch.tensor([scale for _, scale in parts])
    return torch.cat([q for q, _ in parts], dim=1), scales.repeat(w.shape[0], 1)


def _rest_in_last_group(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    groups = max(1, w.shape[1] // group_size)
    sizes = [group_size] * (groups - 1) + [w.shape[1] - group_size * (groups - 1)]
    parts = [quantize_per_channel(part, 0, bits) for part in w.split(sizes, dim=1)]
    return torch.cat([q for q, _ in parts], dim=1), torch.stack([s for _, s in parts], dim=1)


def _dealt_out(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    groups = math.ceil(w.shape[1] / group_size)
    codes, scales = torch.zeros_like(w, dtype=torch.int32), []
    for start in range(groups):
        codes[:, start::groups], scale = quantize_per_channel(w[:, start::groups], 0, bits)
        scales.append(scale)
    return codes, torch.stack(scales, dim=1)


def _as_many_groups(w: Tensor, group_size: int, bits: int) -> tuple[Tensor, Tensor]:
    parts = [quantize_per_channel(part, 0, bits) for part in w.chunk(group_size, dim=1)]
    return torch.cat([q for q, _ in parts], dim=1), torch.stack([s for _, s in parts], dim=1)


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
            _groups_down,
            "Neighbours in a row share a scale: a row holds the inputs of one output.",
        ),
        Misconception(
            "leaves out the last group when it is not full",
            _drops_rest,
            "Every value needs a code: the last group is simply smaller.",
        ),
        Misconception(
            "gives all groups of a row the same scale",
            _scale_per_row,
            "Take the maximum over group_size neighbours only.",
        ),
        Misconception(
            "shares a scale between rows",
            _scale_per_column_block,
            "Each row has its own scale in each group: the result has shape [rows, groups].",
        ),
        Misconception(
            "puts the rest of a row into its last full group",
            _rest_in_last_group,
            "What is left over is a group of its own, narrower than the others, with its own "
            "scale.",
        ),
        Misconception(
            "deals the columns out in turn",
            _dealt_out,
            "A group is group_size neighbours: the first columns together, then the next.",
        ),
        Misconception(
            "takes group_size for the number of groups",
            _as_many_groups,
            "group_size is how many neighbours share a scale, not how many groups a row has.",
        ),
    ),
)
