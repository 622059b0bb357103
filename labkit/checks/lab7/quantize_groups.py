"""Exercise 7.6: a scale for each group of weights, and what it costs."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import SCALE, one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.lab7.quantize_groups_parts import coded, in_groups, largest_of
from labkit.checks.lab7.quantize_groups_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes, Rule


def quantize_groups(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor, float]:
    """Return codes, the scale of each group [out, in / group_size], and the bits of a weight.

    16 bits are counted for a scale; the scales that are returned are float32.
    """
    return coded(w, bits, group_size)


def _unrounded(w: Tensor, bits: int, group_size: int) -> tuple[Tensor, int, int]:
    qmax = 2 ** (bits - 1) - 1
    scale = largest_of(in_groups(w.double(), group_size)) / qmax
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
    misconceptions=MISCONCEPTIONS,
    minutes=(7, 11),
)
