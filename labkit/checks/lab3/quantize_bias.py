"""Exercise 3.8: the bias on the accumulator's grid."""

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab3.inputs import INT32
from labkit.checks.rules import Codes


def quantize_bias(bias: Tensor, x_scale: float, w_scale: float) -> Tensor:
    """Return round(bias / (x_scale * w_scale)) as int32, saturated; the zero point is 0."""
    q = torch.round(bias.double() / (x_scale * w_scale))
    return q.clamp(*INT32).to(torch.int32)


def _bias_cases(rng: torch.Generator) -> list[Case]:
    def on_grid(largest: int, x_scale: float, w_scale: float, count: int) -> Tensor:
        """Return biases at most 0.35 steps from the grid, where float32 rounds as float64 does."""
        steps = torch.randint(-largest, largest, (count,), generator=rng).double()
        steps += 0.7 * torch.rand(count, generator=rng) - 0.35
        return (steps * x_scale * w_scale).float()

    fits = whole(rng, -40, 40, 3) * 0.125
    huge = 1e5 * (0.1 + torch.rand(2, generator=rng)) * torch.tensor([1.0, -1.0])
    return [
        Case("a bias of 0", (torch.zeros(2), 0.1, 0.02)),
        Case("whole numbers of steps", (fits, 0.5, 0.25)),
        Case("a few steps", (on_grid(9, 0.3, 0.07, 5), 0.3, 0.07)),
        Case("more steps than 8 bits hold", (on_grid(9000, 0.02, 0.005, 6), 0.02, 0.005)),
        Case("scales above 1", (on_grid(300, 3.0, 1.7, 4), 3.0, 1.7)),
        Case("more steps than 16 bits hold", (on_grid(99999, 0.013, 0.004, 7), 0.013, 0.004)),
        Case("too large for int32", (torch.cat([huge, torch.tensor([2e-6])]), 1e-3, 1e-3)),
    ]


def _counted(
    bias: Tensor,
    x_scale: float,
    w_scale: float,
    *,
    real: Callable[[Tensor], Tensor] = torch.Tensor.double,
    step: Callable[[float, float], Any] = operator.mul,
    steps: Callable[[Tensor, Any], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    saturated: Callable[[Tensor], Tensor] = lambda q: q.clamp(*INT32),
    ended: Callable[[Tensor], Tensor] = torch.Tensor.long,
) -> Tensor:
    """Return the bias in steps of the accumulators, of which any part may be another one."""
    return ended(saturated(turn(steps(real(bias), step(x_scale, w_scale)))))


def _rounded_between(real: Tensor, scales: tuple[float, float]) -> Tensor:
    """Divide by one scale after the other, and round after the first, too."""
    first, second = scales
    return torch.round(real / first) / second


def _kept(low: int, high: int) -> Callable[[Tensor], Tensor]:
    return lambda q: q.clamp(low, high)


def _lowest_for_all(q: Tensor) -> Tensor:
    return torch.where((q < INT32[0]) | (q > INT32[1]), float(INT32[0]), q)


def _as_power(turn: Callable[[float], int]) -> Callable[[float, float], float]:
    return lambda x_scale, w_scale: 2.0 ** turn(math.log2(x_scale * w_scale))


STEPS = "Accumulators count in steps of x_scale * w_scale: divide the bias by that product."
ITS_BITS = (
    "The bias is added to a 32-bit accumulator, so it may have 32 bits, and it needs them: its "
    "steps are tiny."
)


QUANTIZE_BIAS = Exercise(
    id="3.8",
    title="The bias",
    points=2,
    minutes=(5, 8),
    reference=quantize_bias,
    cases=_bias_cases,
    rules=(Codes(),),
    hints=(
        "The bias is added to sums of q_x * q_w. What is the length of one step of such a sum?",
        "One step is x_scale * w_scale. Count the steps, round, and keep to int32: -2**31 to "
        "2**31 - 1.",
        "torch.round(bias.double() / (x_scale * w_scale)).clamp(-(2**31), 2**31 - 1)"
        ".to(torch.int32). In float32 the end 2**31 - 1 would itself be rounded, to 2**31.",
    ),
    misconceptions=(
        Misconception(
            "divides by the scale of the weights",
            partial(_counted, step=lambda x_scale, w_scale: w_scale),
            STEPS,
        ),
        Misconception(
            "divides by the scale of the activations",
            partial(_counted, step=lambda x_scale, w_scale: x_scale),
            STEPS,
        ),
        Misconception(
            "does not divide by the scales",
            partial(_counted, step=lambda x_scale, w_scale: 1.0),
            STEPS,
        ),
        Misconception(
            "multiplies by the scales",
            partial(_counted, steps=torch.mul),
            "A scale is the length of a step: divide to count the steps.",
        ),
        Misconception(
            "divides by the one scale and multiplies by the other",
            partial(_counted, step=lambda x_scale, w_scale: x_scale / w_scale),
            "Python goes from left to right: bias / x_scale * w_scale multiplies by w_scale. "
            "Brackets: bias / (x_scale * w_scale).",
        ),
        Misconception(
            "divides by the one scale and multiplies by the other",
            partial(_counted, step=lambda x_scale, w_scale: w_scale / x_scale),
            "Python goes from left to right: bias / w_scale * x_scale multiplies by x_scale. "
            "Brackets: bias / (x_scale * w_scale).",
        ),
        Misconception(
            "adds the scales",
            partial(_counted, step=operator.add),
            "A step of q_x * q_w is a product of two steps: x_scale * w_scale.",
        ),
        Misconception(
            "takes the root of the product of the scales",
            partial(_counted, step=lambda x_scale, w_scale: (x_scale * w_scale) ** 0.5),
            "A step of q_x * q_w is the product of the two scales itself: x_scale * w_scale.",
        ),
        *(
            Misconception(
                "rounds after each of the two divisions",
                partial(_counted, step=scales, steps=_rounded_between),
                "Rounding after the first division leaves whole steps of one scale alone. Divide "
                "by x_scale * w_scale, then round once.",
            )
            for scales in (
                lambda x_scale, w_scale: (x_scale, w_scale),
                lambda x_scale, w_scale: (w_scale, x_scale),
            )
        ),
        Misconception(
            "keeps the bias to 8 bits",
            partial(_counted, saturated=_kept(-128, 127)),
            ITS_BITS,
        ),
        Misconception(
            "keeps the bias to -127 ... 127",
            partial(_counted, saturated=_kept(-127, 127)),
            ITS_BITS,
        ),
        Misconception(
            "keeps the bias to 16 bits",
            partial(_counted, saturated=_kept(-(2**15), 2**15 - 1)),
            ITS_BITS,
        ),
        Misconception(
            "cuts the bias to 8 bits",
            partial(_counted, ended=lambda q: q.long().char()),
            ITS_BITS,
        ),
        Misconception(
            "cuts the bias to 16 bits",
            partial(_counted, ended=lambda q: q.long().short()),
            ITS_BITS,
        ),
        Misconception(
            "cuts off decimals",
            partial(_counted, turn=torch.trunc),
            "A conversion to integers cuts towards 0: torch.round first.",
        ),
        Misconception(
            "cuts off decimals",
            partial(_counted, real=torch.Tensor.float, turn=torch.trunc),
            "A conversion to integers cuts towards 0: torch.round first.",
        ),
        Misconception(
            "adds one half and cuts off, which goes up below 0",
            partial(_counted, turn=lambda steps: torch.trunc(steps + 0.5)),
            "A conversion to integers cuts towards 0, so that -2.7 + 0.5 becomes -2: torch.round.",
        ),
        Misconception(
            "rounds down",
            partial(_counted, turn=torch.floor),
            "// and torch.floor round down: the nearest number of steps is torch.round's.",
        ),
        Misconception(
            "rounds up",
            partial(_counted, turn=torch.ceil),
            "The nearest number of steps is torch.round's.",
        ),
        Misconception(
            "does not round",
            partial(_counted, turn=lambda steps: steps, ended=lambda q: q),
            "A bias among integers is an integer: torch.round first, then convert.",
        ),
        Misconception(
            "ends at -(2**31 - 1)",
            partial(_counted, saturated=_kept(-(2**31) + 1, 2**31 - 1)),
            "int32 has one number more below zero than above: clamp to -2**31.",
        ),
        Misconception(
            "lets the upper end be 2**31",
            partial(_counted, saturated=_kept(-(2**31), 2**31)),
            "The largest int32 is 2**31 - 1.",
        ),
        Misconception(
            "takes the largest number that float32 has for the upper end",
            partial(_counted, saturated=_kept(-(2**31), 2**31 - 128)),
            "int32 ends at 2**31 - 1, which float32 cannot hold: clamp in float64, bias.double().",
        ),
        Misconception(
            "saturates at 32 bits without a sign",
            partial(_counted, saturated=_kept(0, 2**32 - 1)),
            "A bias may be negative: int32 runs from -2**31 to 2**31 - 1.",
        ),
        Misconception(
            "does not saturate above",
            partial(_counted, saturated=lambda q: q.clamp(min=INT32[0])),
            "A bias may be too large on either side: clamp to [-2**31, 2**31 - 1].",
        ),
        Misconception(
            "does not saturate below",
            partial(_counted, saturated=lambda q: q.clamp(max=INT32[1])),
            "A bias may be too large on either side: clamp to [-2**31, 2**31 - 1].",
        ),
        Misconception(
            "does not saturate, in float32",
            partial(_counted, real=torch.Tensor.float, saturated=lambda q: q),
            "A bias of more than 2^31 steps does not fit into int32: clamp it to [-2**31, 2**31 "
            "- 1] before you convert, in float64, which has the upper end.",
        ),
        Misconception(
            "does not saturate",
            partial(_counted, saturated=lambda q: q),
            "A bias of more than 2^31 steps does not fit into int32: clamp it to [-2**31, 2**31 "
            "- 1] before you convert.",
        ),
        Misconception(
            "converts a number to int32 that int32 cannot hold",
            partial(_counted, saturated=_lowest_for_all),
            "Such a number becomes another one, on x86 the lowest. Clamp to [-2**31, 2**31 - 1] "
            "first, and in float64: float32 rounds the upper end to 2**31.",
        ),
        Misconception(
            "wraps beyond int32",
            partial(_counted, saturated=lambda q: q, ended=lambda q: q.long().int()),
            "A conversion to int32 wraps: clamp to int32's ends before you convert.",
        ),
        *(
            Misconception(
                "makes the step a power of two",
                partial(
                    _counted,
                    step=_as_power(turn),
                ),
                "The accumulators count steps of x_scale * w_scale: divide by that, as it is.",
            )
            for turn in (math.ceil, round, math.floor)
        ),
        Misconception(
            "gives the bias the zero point 128",
            partial(_counted, turn=lambda steps: torch.round(steps) + 128),
            "The bias is added to accumulators, whose zero point is 0: round(bias / (x_scale * "
            "w_scale)) is all.",
        ),
        Misconception(
            "gives the bias a scale of its own, of 8 bits",
            lambda bias, x_scale, w_scale: torch.round(bias / (bias.abs().max() / 127)).to(
                torch.int32
            ),
            "The bias is added to the accumulators, so it must count their steps: x_scale * "
            "w_scale.",
        ),
    ),
)
