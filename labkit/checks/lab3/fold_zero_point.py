"""Exercise 3.4: what can be computed ahead."""

from collections.abc import Callable
from functools import partial

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
    odd = 2 * accumulators(rng, 4999, 2) + 1  # beyond 2^24 float32 has none of their sums
    return [
        Case("zero point 0", (accumulators(rng, 999, 3), weight_codes(rng, 3, 5), 0)),
        Case("one weight", (accumulators(rng, 99, 1), whole(rng, 3, 9, 1, 1).char(), 2)),
        Case("a bias of 0", (torch.zeros(2).int(), weight_codes(rng, 2, 4), 100)),
        Case("a negative zero point", (accumulators(rng, 999, 4), weight_codes(rng, 4, 3), -128)),
        Case("as many outputs as inputs", (accumulators(rng, 9999, 3), weight_codes(rng, 3, 3), 7)),
        Case(
            "the largest codes",
            (odd, torch.full((2, 2000), 127).char(), 255),
        ),
        Case(
            "more outputs than inputs", (accumulators(rng, 9999, 9), weight_codes(rng, 9, 6), 131)
        ),
    ]


def _folded(
    q_bias: Tensor,
    q_w: Tensor,
    x_zero_point: int,
    *,
    weights: Callable[[Tensor, int], Tensor] = lambda q_w, zero_point: q_w,
    summed: Callable[[Tensor], Tensor] = lambda q_w: q_w.sum(dim=1),
    times: Callable[[Tensor, int, int], Tensor] = lambda sums, zero_point, length: (
        zero_point * sums
    ),
    zero: Callable[[int], int] = lambda zero_point: zero_point,
    biased: Callable[[Tensor], Tensor] = lambda q_bias: q_bias,
    joined: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    ended: Callable[[Tensor], Tensor] = lambda folded: folded,
) -> Tensor:
    """Return the bias with the correction, of which any part may be another one."""
    x_zero_point = zero(x_zero_point)
    sums = summed(weights(q_w, x_zero_point))
    return ended(joined(biased(q_bias), times(sums, x_zero_point, q_w.shape[1])))


ALONG_INPUTS = (
    "q_w is [out, in]: sum over the inputs, dim 1, which gives one number for each output."
)
NO_MEAN = (
    "The zero point meets every weight of an output, so it counts as often as there are inputs: "
    "sum, not mean."
)
IN_INT32 = "Biases are int32, like the accumulators: they need all of their bits."
EIGHT_BITS = (
    "q_w is int8, and so is q_w * x_zero_point: it wraps. Sum first (torch sums in int64), then "
    "multiply, or convert q_w to int32."
)


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
            partial(_folded, joined=torch.add),
            "The term has a minus: sum (q_x - Z_x) q_w = sum q_x q_w - Z_x sum q_w.",
        ),
        Misconception(
            "sums over all weights",
            partial(_folded, summed=lambda q_w: q_w.sum()),
            "Each output has a sum of its own, over its inputs: sum along dim 1.",
        ),
        Misconception(
            "leaves out the bias",
            partial(_folded, biased=lambda q_bias: 0 * q_bias),
            "Add it: the result holds both, q_bias minus the correction.",
        ),
        Misconception(
            "leaves out the zero point",
            partial(_folded, times=lambda sums, zero_point, length: sums),
            "Multiply the sum of the weights: x_zero_point * q_w.sum(dim=1).",
        ),
        Misconception(
            "takes the bias away from the correction",
            partial(_folded, joined=lambda q_bias, correction: correction - q_bias),
            "It is the other way round: the bias stays as it is, the correction is taken away.",
        ),
        Misconception(
            "takes the bias away as well",
            partial(_folded, joined=lambda q_bias, correction: -q_bias - correction),
            "Only the correction is taken away: q_bias - x_zero_point * q_w.sum(dim=1).",
        ),
        Misconception(
            "multiplies in 8 bits",
            partial(
                _folded,
                weights=lambda q_w, zero_point: (q_w.int() * zero_point).char(),
                times=lambda sums, zero_point, length: sums,
            ),
            EIGHT_BITS,
        ),
        Misconception(
            "adds up in 8 bits",
            partial(_folded, summed=lambda q_w: q_w.sum(dim=1, dtype=torch.int8).int()),
            "The sum of an output's weights does not fit into int8 and wraps: q_w.sum(dim=1) "
            "alone is int64.",
        ),
        Misconception(
            "adds up in 16 bits",
            partial(_folded, summed=lambda q_w: q_w.sum(dim=1, dtype=torch.int16).int()),
            "The sum of many weights does not fit into int16 and wraps: q_w.sum(dim=1) alone is "
            "int64.",
        ),
        Misconception(
            "sums over the outputs",
            partial(_folded, summed=lambda q_w: q_w.sum(dim=0)),
            ALONG_INPUTS,
        ),
        Misconception(
            "sums over the outputs and keeps the axis",
            partial(_folded, summed=lambda q_w: q_w.sum(dim=0, keepdim=True)),
            ALONG_INPUTS,
        ),
        Misconception(
            "keeps the axis of the sums",
            partial(_folded, summed=lambda q_w: q_w.sum(dim=1, keepdim=True)),
            "The sums would be [out, 1], and with the bias [out] a whole matrix: sum without "
            "keepdim.",
        ),
        Misconception(
            "takes the mean instead of the sum",
            partial(_folded, summed=lambda q_w: q_w.double().mean(dim=1)),
            NO_MEAN,
        ),
        Misconception(
            "takes the mean instead of the sum",
            partial(_folded, summed=lambda q_w: q_w.double().mean(dim=1), ended=torch.Tensor.int),
            NO_MEAN,
        ),
        Misconception(
            "adds up magnitudes",
            partial(_folded, summed=lambda q_w: q_w.int().abs().sum(dim=1)),
            "Weights have signs, and their sum has one: no abs().",
        ),
        Misconception(
            "multiplies the zero point by the number of inputs",
            partial(_folded, times=lambda sums, zero_point, length: length * zero_point + 0 * sums),
            "Each input's zero point meets another weight: x_zero_point times the sum of the "
            "weights, q_w.sum(dim=1).",
        ),
        Misconception(
            "multiplies by the number of inputs as well",
            partial(_folded, times=lambda sums, zero_point, length: length * zero_point * sums),
            "The sum has all inputs in it already: x_zero_point * q_w.sum(dim=1).",
        ),
        Misconception(
            "takes the zero point away from the weights",
            partial(
                _folded,
                weights=lambda q_w, zero_point: q_w.int() - zero_point,
                times=lambda sums, zero_point, length: sums,
            ),
            "It belongs to the input, not to the weights, and it is multiplied by their sum: "
            "x_zero_point * q_w.sum(dim=1).",
        ),
        Misconception(
            "clamps the result to 8 bits",
            partial(_folded, ended=lambda folded: folded.clamp(-128, 127)),
            IN_INT32,
        ),
        Misconception(
            "clamps the result to 16 bits",
            partial(_folded, ended=lambda folded: folded.clamp(-(2**15), 2**15 - 1)),
            IN_INT32,
        ),
        Misconception(
            "cuts the result to 16 bits",
            partial(_folded, ended=torch.Tensor.short),
            IN_INT32,
        ),
        Misconception(
            "cuts the result to 8 bits",
            partial(_folded, ended=torch.Tensor.char),
            IN_INT32,
        ),
        Misconception(
            "keeps the zero point in int8",
            partial(_folded, zero=lambda zero_point: (zero_point + 128) % 256 - 128),
            "An unsigned zero point may be 131, which int8 turns into -125: leave it an int.",
        ),
        Misconception(
            "takes 128 off the zero point",
            partial(_folded, zero=lambda zero_point: zero_point - 128),
            "That is right where the codes move by 128 as well. Here they stay as they are.",
        ),
        Misconception(
            "computes in float32",
            partial(
                _folded,
                summed=lambda q_w: q_w.float().sum(dim=1),
                biased=torch.Tensor.float,
                ended=torch.Tensor.int,
            ),
            "float32 counts by one up to 2^24 only: stay in integers, q_w.sum(dim=1) is int64.",
        ),
    ),
)
