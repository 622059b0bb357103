"""Exercise 3.4: what can be computed ahead."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab3.inputs import accumulators, weight_codes
from labkit.checks.rules import Codes


def fold_zero_point(q_bias: Tensor, q_w: Tensor, x_zero_point: int) -> Tensor:
    """Return the bias with the zero point's correction in it: q_bias - Z_x sum_k q_w."""
    return q_bias - x_zero_point * q_w.sum(dim=1)


def _fold_cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("zero point 0", (accumulators(rng, 999, 3), weight_codes(rng, 3, 5), 0)),
        Case("one weight", (accumulators(rng, 99, 1), whole(rng, 3, 9, 1, 1).char(), 2)),
        Case("a bias of 0", (torch.zeros(2).int(), weight_codes(rng, 2, 4), 100)),
        Case("a negative zero point", (accumulators(rng, 999, 4), weight_codes(rng, 4, 3), -128)),
        Case("as many outputs as inputs", (accumulators(rng, 9999, 3), weight_codes(rng, 3, 3), 7)),
        Case(
            "the largest codes",
            (accumulators(rng, 9999, 2), torch.full((2, 2000), 127).char(), 255),
        ),
        Case(
            "more outputs than inputs", (accumulators(rng, 9999, 9), weight_codes(rng, 9, 6), 131)
        ),
    ]


def _wraps(q_bias: Tensor, q_w: Tensor, x_zero_point: int) -> Tensor:
    return q_bias - (q_w.to(torch.int32) * x_zero_point).to(torch.int8).sum(dim=1)


FOLD_ZERO_POINT = Exercise(
    id="3.4",
    title="What can be computed ahead",
    points=2,
    minutes=(6, 9),
    reference=fold_zero_point,
    cases=_fold_cases,
    rules=(Codes(),),
    hints=(
        "Set Z_w = 0 in the four terms of 3.3. Which of the two that are left needs no input?",
        "Z_x times the sum of an output's weights is one number for each output. So is the bias.",
        "q_bias - x_zero_point * q_w.sum(dim=1): dim 1 runs over the inputs.",
    ),
    misconceptions=(
        Misconception(
            "adds the correction",
            lambda q_bias, q_w, x_zero_point: q_bias + x_zero_point * q_w.sum(dim=1),
            "The term has a minus: sum (q_x - Z_x) q_w = sum q_x q_w - Z_x sum q_w.",
        ),
        Misconception(
            "sums over all weights",
            lambda q_bias, q_w, x_zero_point: q_bias - x_zero_point * q_w.sum(),
            "Each output has a sum of its own, over its inputs: sum along dim 1.",
        ),
        Misconception(
            "leaves out the bias",
            lambda q_bias, q_w, x_zero_point: -x_zero_point * q_w.sum(dim=1),
            "One number an output is to hold both: q_bias minus the correction.",
        ),
        Misconception(
            "leaves out the zero point",
            lambda q_bias, q_w, x_zero_point: q_bias - q_w.sum(dim=1),
            "The sum of the weights counts x_zero_point times.",
        ),
        Misconception(
            "takes the bias away from the correction",
            lambda q_bias, q_w, x_zero_point: x_zero_point * q_w.sum(dim=1) - q_bias,
            "It is the other way round: the bias stays as it is, the correction is taken away.",
        ),
        Misconception(
            "multiplies in 8 bits",
            _wraps,
            "q_w is int8, and so is q_w * x_zero_point: it wraps. Sum first (torch sums in int64), "
            "then multiply, or convert q_w to int32.",
        ),
    ),
)
