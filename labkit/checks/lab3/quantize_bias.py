"""Exercise 3.8: the bias on the accumulator's grid."""

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


def _unsaturated(bias: Tensor, x_scale: float, w_scale: float) -> Tensor:
    return torch.round(bias.double() / (x_scale * w_scale)).to(torch.int64)


def _lowest_for_all(bias: Tensor, x_scale: float, w_scale: float) -> Tensor:
    q = _unsaturated(bias, x_scale, w_scale)
    return torch.where((q < INT32[0]) | (q > INT32[1]), INT32[0], q)


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
            lambda bias, x_scale, w_scale: quantize_bias(bias, 1.0, w_scale),
            "Accumulators are counted in steps of x_scale * w_scale.",
        ),
        Misconception(
            "divides by the scale of the activations",
            lambda bias, x_scale, w_scale: quantize_bias(bias, x_scale, 1.0),
            "Accumulators are counted in steps of x_scale * w_scale.",
        ),
        Misconception(
            "multiplies by the scales",
            lambda bias, x_scale, w_scale: quantize_bias(bias, 1 / x_scale, 1 / w_scale),
            "A scale is the length of a step: divide to count the steps.",
        ),
        Misconception(
            "keeps the bias to 8 bits",
            lambda bias, x_scale, w_scale: quantize_bias(bias, x_scale, w_scale).clamp(-128, 127),
            "The bias is added to a 32-bit accumulator, so it may have 32 bits, and it needs them: "
            "its steps are tiny.",
        ),
        Misconception(
            "keeps the bias to 16 bits",
            lambda bias, x_scale, w_scale: quantize_bias(bias, x_scale, w_scale).clamp(
                -(2**15), 2**15 - 1
            ),
            "The bias is added to a 32-bit accumulator, so it may have 32 bits, and it needs them: "
            "its steps are tiny.",
        ),
        Misconception(
            "cuts off decimals",
            lambda bias, x_scale, w_scale: (
                (bias.double() / (x_scale * w_scale)).clamp(*INT32).to(torch.int32)
            ),
            "A conversion to integers cuts towards 0: torch.round first.",
        ),
        Misconception(
            "rounds down",
            lambda bias, x_scale, w_scale: (
                torch.floor(bias.double() / (x_scale * w_scale)).clamp(*INT32).to(torch.int32)
            ),
            "// and torch.floor round down: the nearest number of steps is torch.round's.",
        ),
        Misconception(
            "ends at -(2**31 - 1)",
            lambda bias, x_scale, w_scale: quantize_bias(bias, x_scale, w_scale).clamp(
                min=-(2**31) + 1
            ),
            "int32 has one number more below zero than above: clamp to -2**31.",
        ),
        Misconception(
            "lets the upper end be 2**31",
            lambda bias, x_scale, w_scale: _unsaturated(bias, x_scale, w_scale).clamp(
                -(2**31), 2**31
            ),
            "The largest int32 is 2**31 - 1.",
        ),
        Misconception(
            "does not saturate, in float32",
            lambda bias, x_scale, w_scale: torch.round(bias / (x_scale * w_scale)).to(torch.int64),
            "A bias of more than 2^31 steps does not fit into int32: clamp it to [-2**31, 2**31 - "
            "1] before you convert, in float64, which has the upper end.",
        ),
        Misconception(
            "does not saturate",
            _unsaturated,
            "A bias of more than 2^31 steps does not fit into int32: clamp it to [-2**31, 2**31 - "
            "1] before you convert.",
        ),
        Misconception(
            "converts a number to int32 that int32 cannot hold",
            _lowest_for_all,
            "Such a number becomes another one, on x86 the lowest. Clamp to [-2**31, 2**31 - 1] "
            "first, and in float64: float32 rounds the upper end to 2**31.",
        ),
        Misconception(
            "wraps beyond int32",
            lambda bias, x_scale, w_scale: (
                torch.round(bias.double() / (x_scale * w_scale)).to(torch.int64).to(torch.int32)
            ),
            "A conversion to int32 wraps: clamp to int32's ends before you convert.",
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
