"""Exercise 3.15: a multiplier and a bias scale for each output channel."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import INT8, UINT8, uniform, whole
from labkit.checks.lab3.channel_slips import MISCONCEPTIONS
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import INT32, int8_codes, uint8_codes, weight_codes
from labkit.checks.rules import Codes


def channel_linear(
    q_x: Tensor,
    q_w: Tensor,
    bias: Tensor,
    x_scale: float,
    x_zero_point: int,
    w_scale: Tensor,
    y_scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> Tensor:
    """Return the codes [M, out] of a layer whose weights have one scale for each output."""
    args = (q_x, q_w, bias, x_scale, x_zero_point, w_scale, y_scale, zero_point, qmin, qmax)
    real, low, high = _unrounded(*args)
    return torch.round(real).clamp(low, high).to(torch.int32)


def _unrounded(
    q_x: Tensor,
    q_w: Tensor,
    bias: Tensor,
    x_scale: float,
    x_zero_point: int,
    w_scale: Tensor,
    y_scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> tuple[Tensor, int, int]:
    steps = x_scale * w_scale.double()
    acc = _sums(q_x, q_w, x_zero_point) + _in_steps(bias, steps)
    return acc * (steps / y_scale) + zero_point, qmin, qmax


def _sums(q_x: Tensor, q_w: Tensor, x_zero_point: int) -> Tensor:
    return gemm(q_x, q_w.t()) - x_zero_point * q_w.sum(dim=1)


def _in_steps(bias: Tensor, steps: Tensor) -> Tensor:
    return torch.round(bias.double() / steps).clamp(*INT32)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str,
        codes: tuple[Tensor, Tensor],
        w_scale: Tensor,
        y_scale: float,
        ends: tuple[int, int],
        zero_points: tuple[int, int] = (0, 0),
        largest_bias: int = 3000,
    ) -> Case:
        q_x, q_w = codes
        x_scale, out = uniform(rng, 0.01, 0.05), len(q_w)
        # 0.35 steps from the grid at most: there float32 rounds as float64 does.
        steps = torch.randint(-largest_bias, largest_bias + 1, (out,), generator=rng).double()
        steps += 0.7 * torch.rand(out, generator=rng, dtype=torch.float64) - 0.35
        bias = (steps * x_scale * w_scale).float()
        x_zero_point, zero_point = zero_points
        layer = (q_x, q_w, bias, x_scale, x_zero_point, w_scale)
        return Case(label, (*layer, y_scale, zero_point, *ends))

    def scales(*sizes: float) -> Tensor:
        return torch.tensor(sizes) * (0.8 + 0.4 * torch.rand(len(sizes), generator=rng))

    small = (whole(rng, 1, 9, 1, 3).byte(), whole(rng, -9, 9, 1, 3).char())
    two = (whole(rng, 1, 30, 1, 2).byte(), whole(rng, 5, 60, 2, 2).char())
    square = (uint8_codes(rng, 4, 4), weight_codes(rng, 4, 4))
    layer = (uint8_codes(rng, 3, 20), weight_codes(rng, 5, 20))
    signed = (int8_codes(rng, 4, 30), weight_codes(rng, 6, 30))
    five, six = scales(0.001, 0.01, 0.004, 0.02, 0.0005), scales(0.02, 0.001, 0.2, 0.01, 0.004, 0.3)
    return [
        case("one output", small, scales(0.01), 0.02, INT8, largest_bias=50),
        case("two outputs, no bias, no zero points", two, scales(0.01, 0.1), 0.3, INT8, (0, 0), 0),
        case("as many inputs as outputs", square, scales(0.01, 0.2, 0.02, 0.05), 2.0, INT8),
        case("a zero point of the input", layer, five, 0.4, INT8, (121, 0)),
        case("a zero point of the result", signed, six, 3.0, INT8, (0, -40)),
        case("everything at once", layer, five, 0.3, UINT8, (131, 100), 20000),
        case("results beyond the codes", signed, six, 0.2, INT8, (-12, 9)),
        case("the lower end at the zero point", signed, six, 1.5, (30, 127), (7, 30)),
        # Below 1 a multiplier hides whether the bias was rounded.
        case(
            "multipliers above 1",
            (whole(rng, 0, 2, 6, 3).byte(), whole(rng, -4, 4, 6, 3).char()),
            scales(1.0, 1.1, 1.2, 1.3, 1.4, 1.5),
            0.005,
            INT8,
            (1, 0),
            largest_bias=8,
        ),
    ]


CHANNEL_LINEAR = Exercise(
    id="3.15",
    title="A multiplier per channel",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=channel_linear,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded),),
    hints=(
        "Look at (1) for a single output c: it is the layer of 3.9, with S_w[c] in the place of "
        "S_w. What of it differs from output to output?",
        "Two things: the steps of the bias, x_scale * w_scale[c], and the multiplier, x_scale * "
        "w_scale[c] / y_scale. All else is the same. You may compute one output after the other.",
        "For each c: q_bias = quantize_bias(bias[c : c + 1], x_scale, w_scale[c].item()); "
        "mantissa, shift = quantize_multiplier(x_scale * w_scale[c].item() / y_scale); "
        "integer_linear(q_x, q_w[c : c + 1], q_bias, ...) is column c: join the columns with "
        "torch.cat(columns, dim=1).",
    ),
    misconceptions=MISCONCEPTIONS,
)
