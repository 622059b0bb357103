"""Exercise 3.9: a linear layer in integers only."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT8, UINT8, whole
from labkit.checks.lab3.fold_zero_point import fold_zero_point
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import (
    INT32,
    accumulators,
    int8_codes,
    uint8_codes,
    weight_codes,
)
from labkit.checks.lab3.requantize import requantize
from labkit.checks.rules import Codes


def integer_linear(
    q_x: Tensor,
    q_w: Tensor,
    q_bias: Tensor,
    x_zero_point: int,
    mantissa: int,
    shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> Tensor:
    """Return the codes of a linear layer's result, [M, out], from codes [M, in] and [out, in]."""
    acc = gemm(q_x, q_w.t()) + fold_zero_point(q_bias, q_w, x_zero_point)
    return requantize(acc, mantissa, shift, zero_point, qmin, qmax)


def _linear_cases(rng: torch.Generator) -> list[Case]:
    mantissas = torch.randint(2**30, 2**31, (5,), generator=rng).tolist()
    none, bias = torch.zeros(3).int(), accumulators(rng, 90, 5)
    square = (uint8_codes(rng, 4, 4), weight_codes(rng, 4, 4), accumulators(rng, 20000, 4))
    wide = (uint8_codes(rng, 2, 300), weight_codes(rng, 5, 300), accumulators(rng, 90000, 5))
    signed = (int8_codes(rng, 3, 40), weight_codes(rng, 6, 40), accumulators(rng, 40000, 6))
    small = (whole(rng, 5, 9, 1, 1).byte(), whole(rng, -30, -20, 1, 1).char(), bias[:1])
    halves = (whole(rng, 0, 3, 4, 3).byte(), whole(rng, -3, 3, 5, 3).char(), bias)
    return [
        Case("one product", (*small, 4, 2**30, 3, 0, *INT8)),
        Case(
            "no bias, zero points 0",
            (uint8_codes(rng, 2, 6), weight_codes(rng, 3, 6), none, 0, mantissas[0], 9, 0, *INT8),
        ),
        Case(
            "a zero point of the input",
            (uint8_codes(rng, 2, 6), weight_codes(rng, 3, 6), none, 120, mantissas[1], 9, 0, *INT8),
        ),
        Case("a bias", (*signed, 0, mantissas[2], 11, 0, *INT8)),
        Case("as many rows as inputs and outputs", (*square, 101, mantissas[3], 10, 20, *UINT8)),
        Case("everything at once", (*wide, 131, mantissas[4], 11, -30, *INT8)),
        Case("signed codes, unsigned results", (*signed, -90, mantissas[1], 11, 128, *UINT8)),
        Case("results beyond the codes", (*signed, -3, mantissas[3], 6, 5, *INT8)),
        Case("results that end in one half", (*halves, 1, 2**30, 0, 7, *INT8)),
        Case("the lower end at the zero point", (*square, 128, mantissas[0], 10, 30, 30, 127)),
    ]


def _clamped(ends: Callable[[int, int], tuple[int, int]]) -> Callable[..., Tensor]:
    """Return a layer that clamps to other ends."""

    def wrong(*args: Any) -> Tensor:
        changed = (*args[:-2], *ends(*args[-2:]))
        return integer_linear(*changed)

    return wrong


Bias = Callable[[Tensor, Tensor, int], Tensor]


def _with(bias: Bias) -> Callable[..., Tensor]:
    """Return a layer that adds another bias to its accumulators."""

    def wrong(q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int) -> Tensor:
        return requantize(gemm(q_x, q_w.t()) + bias(q_bias, q_w, x_zero_point), *output)

    return wrong


def _bias_in_codes(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    mantissa, shift, zero_point, qmin, qmax = output
    acc = gemm(q_x, q_w.t()) - x_zero_point * q_w.sum(dim=1)
    q = requantize(acc, mantissa, shift, zero_point, *INT32)
    return (q + q_bias).clamp(qmin, qmax)


def _rounded_apart(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    mantissa, shift, zero_point, qmin, qmax = output
    folded = fold_zero_point(q_bias, q_w, x_zero_point)
    product = requantize(gemm(q_x, q_w.t()), mantissa, shift, zero_point, *INT32)
    return (product + requantize(folded, mantissa, shift, 0, *INT32)).clamp(qmin, qmax)


def _with_zero_point(choose: Callable[[int], int]) -> Callable[..., Tensor]:
    """Return a layer whose result has the zero point that `choose` makes of the input's."""

    def wrong(q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int) -> Tensor:
        mantissa, shift, _, qmin, qmax = output
        rest = (mantissa, shift, choose(x_zero_point), qmin, qmax)
        return integer_linear(q_x, q_w, q_bias, x_zero_point, *rest)

    return wrong


def _zero_point_in_8_bits(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    shifted = (q_x.to(torch.int32) - x_zero_point).to(q_x.dtype)
    return requantize(gemm(shifted, q_w.t()) + q_bias, *output)


def _in_floating_point(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    mantissa, shift, zero_point, qmin, qmax = output
    acc = gemm(q_x, q_w.t()) + fold_zero_point(q_bias, q_w, x_zero_point)
    q = torch.round(acc.double() * mantissa / 2.0 ** (31 + shift)) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _zero_points_exchanged(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    mantissa, shift, zero_point, qmin, qmax = output
    return integer_linear(q_x, q_w, q_bias, zero_point, mantissa, shift, x_zero_point, qmin, qmax)


def _int8_always(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, *output: int
) -> Tensor:
    mantissa, shift, zero_point = output[:3]
    return integer_linear(q_x, q_w, q_bias, x_zero_point, mantissa, shift, zero_point, *INT8)


INTEGER_LINEAR = Exercise(
    id="3.9",
    title="A linear layer in integers only",
    points=3,
    minutes=(8, 12),
    reference=integer_linear,
    cases=_linear_cases,
    rules=(Codes(),),
    hints=(
        "You have all the parts: gemm, fold_zero_point, requantize. In which order?",
        "gemm wants [M, K] and [K, N]; the weights are [out, in]. The folded bias has the shape "
        "[out] and is added to every row of the accumulators.",
        "acc = gemm(q_x, q_w.t()) + fold_zero_point(q_bias, q_w, x_zero_point); return "
        "requantize(acc, mantissa, shift, zero_point, qmin, qmax).",
    ),
    misconceptions=(
        Misconception(
            "leaves out the zero point of the input",
            _with(lambda q_bias, q_w, x_zero_point: q_bias),
            "gemm multiplies codes: take x_zero_point times the sums of the weights away "
            "(exercise 3.4).",
        ),
        Misconception(
            "does not clamp above",
            _clamped(lambda qmin, qmax: (qmin, INT32[1])),
            "A result may lie beyond the codes on either side: clamp to [qmin, qmax].",
        ),
        Misconception(
            "does not clamp below",
            _clamped(lambda qmin, qmax: (INT32[0], qmax)),
            "A result may lie beyond the codes on either side: clamp to [qmin, qmax].",
        ),
        Misconception(
            "leaves out the bias",
            _with(lambda q_bias, q_w, x_zero_point: -x_zero_point * q_w.sum(dim=1)),
            "Add q_bias to the accumulators.",
        ),
        Misconception(
            "adds the zero point's correction",
            _with(lambda q_bias, q_w, x_zero_point: q_bias + x_zero_point * q_w.sum(dim=1)),
            "The correction has a minus: use your fold_zero_point.",
        ),
        Misconception(
            "adds the bias to the codes",
            _bias_in_codes,
            "q_bias is counted in steps of S_x S_w, like the accumulators: add it before "
            "requantizing.",
        ),
        Misconception(
            "rounds the sum and the bias apart",
            _rounded_apart,
            "Two roundings lose more than one, and their errors add up. Add the folded bias to the "
            "accumulators, then requantize once.",
        ),
        Misconception(
            "gives the result the input's zero point",
            _with_zero_point(lambda x_zero_point: x_zero_point),
            "Input and output have different grids: requantize needs zero_point, not x_zero_point.",
        ),
        Misconception(
            "leaves out the zero point of the result",
            _with_zero_point(lambda x_zero_point: 0),
            "Pass zero_point to requantize: 0.0 has this code in the result.",
        ),
        Misconception(
            "exchanges the two zero points",
            _zero_points_exchanged,
            "x_zero_point belongs to fold_zero_point, zero_point to requantize.",
        ),
        Misconception(
            "subtracts the zero point of the input in 8 bits",
            _zero_point_in_8_bits,
            "q_x - x_zero_point needs 9 bits and wraps. Your fold_zero_point does it afterwards.",
        ),
        Misconception(
            "takes the bias away",
            _with(lambda q_bias, q_w, x_zero_point: -fold_zero_point(q_bias, q_w, -x_zero_point)),
            "Add q_bias; only the correction for the zero point has a minus.",
        ),
        Misconception(
            "rounds in floating point",
            _in_floating_point,
            "torch.round sends ties to the even neighbour: use your requantize.",
        ),
        Misconception(
            "clamps to int8, whatever qmin and qmax are",
            _int8_always,
            "The codes of the result may be unsigned, or begin at the zero point: pass qmin and "
            "qmax on.",
        ),
        Misconception(
            "returns the accumulators",
            lambda q_x, q_w, q_bias, x_zero_point, *_: (
                (q_x.to(torch.int32) - x_zero_point) @ q_w.to(torch.int32).t() + q_bias
            ),
            "They count steps of S_x S_w. requantize makes codes of the result of them.",
        ),
    ),
)
