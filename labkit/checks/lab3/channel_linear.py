"""Exercise 3.15: a multiplier and a bias scale for each output channel."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT8, UINT8, uniform, whole
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


def _scaled(scale_of: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return the wrong answer that uses ``scale_of(w_scale)`` throughout."""

    def wrong(
        q_x: Tensor,
        q_w: Tensor,
        bias: Tensor,
        x_scale: float,
        x_zero_point: int,
        w_scale: Tensor,
        *output: float,
    ) -> Tensor:
        scale = scale_of(w_scale).expand(len(w_scale))
        changed: Any = (q_x, q_w, bias, x_scale, x_zero_point, scale, *output)
        return channel_linear(*changed)

    return wrong


_Part = Callable[[Tensor, float, Tensor, float], Tensor]


def _steps(bias: Tensor, x_scale: float, w_scale: Tensor, y_scale: float) -> Tensor:
    return _in_steps(bias, x_scale * w_scale.double())


def _multiplier(bias: Tensor, x_scale: float, w_scale: Tensor, y_scale: float) -> Tensor:
    return x_scale * w_scale.double() / y_scale


def _with(
    q_bias: _Part = _steps,
    multiplier: _Part = _multiplier,
    rounded: Callable[[Tensor], Tensor] = torch.round,
    sums: Callable[[Tensor, Tensor, int], Tensor] = _sums,
) -> Callable[..., Tensor]:
    """Return the wrong answer with another bias, multiplier, rounding or sum."""

    def wrong(
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
        given = (bias, x_scale, w_scale, y_scale)
        acc = sums(q_x, q_w, x_zero_point) + q_bias(*given)
        return (rounded(acc * multiplier(*given)) + zero_point).clamp(qmin, qmax).to(torch.int32)

    return wrong


def _clamped_to_int8(*args: Any) -> Tensor:
    changed = (*args[:-2], *INT8)
    return channel_linear(*changed)


def _without_zero_point(*args: Any) -> Tensor:
    changed = (*args[:-3], 0, *args[-2:])
    return channel_linear(*changed)


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
    misconceptions=(
        Misconception(
            "uses the largest scale for all channels",
            _scaled(lambda w_scale: w_scale.max()),
            "That is one scale for the whole layer again. Output c has the multiplier "
            "S_x * w_scale[c] / S_y.",
        ),
        Misconception(
            "uses the first channel's scale for all",
            _scaled(lambda w_scale: w_scale[:1]),
            "Each output has its own scale: w_scale[c], for the bias and for the multiplier.",
        ),
        Misconception(
            "uses the mean of the scales for all channels",
            _scaled(lambda w_scale: w_scale.mean()),
            "No layer has such a scale. Output c has the multiplier S_x * w_scale[c] / S_y.",
        ),
        Misconception(
            "counts all biases in the same steps",
            _with(q_bias=lambda b, s, w, y: _in_steps(b, s * w.double().max())),
            "The bias is added to the accumulator, whose steps are S_x * w_scale[c]: they differ "
            "from output to output.",
        ),
        Misconception(
            "counts all biases in the steps of the first channel",
            _with(q_bias=lambda b, s, w, y: _in_steps(b, s * w.double()[0])),
            "The bias is added to the accumulator, whose steps are S_x * w_scale[c]: they differ "
            "from output to output.",
        ),
        Misconception(
            "counts the bias in steps of the weights",
            _with(q_bias=lambda b, s, w, y: _in_steps(b, w.double())),
            "A product of codes has steps of S_x * w_scale[c]; so must the bias.",
        ),
        Misconception(
            "adds the bias to the codes of the result",
            _with(q_bias=lambda b, s, w, y: torch.round(b.double() / y) / (s * w.double() / y)),
            "The bias belongs to the accumulator, in steps of S_x * w_scale[c], before the only "
            "rounding.",
        ),
        Misconception(
            "leaves the bias out",
            _with(q_bias=lambda b, s, w, y: torch.zeros(len(b))),
            "Count the bias in steps of S_x * w_scale[c] and add it to the accumulator.",
        ),
        Misconception(
            "uses one multiplier for all channels",
            _with(multiplier=lambda b, s, w, y: s * w.double().max() / y),
            "Each output leaves the accumulator by its own multiplier, S_x * w_scale[c] / S_y.",
        ),
        Misconception(
            "uses the first channel's multiplier for all",
            _with(multiplier=lambda b, s, w, y: s * w.double()[0] / y),
            "Each output leaves the accumulator by its own multiplier, S_x * w_scale[c] / S_y.",
        ),
        Misconception(
            "has the multiplier upside down",
            _with(multiplier=lambda b, s, w, y: y / (s * w.double())),
            "From steps of the accumulator to steps of the result: S_x * w_scale[c] / S_y.",
        ),
        Misconception(
            "leaves the scale of the result out of the multiplier",
            _with(multiplier=lambda b, s, w, y: s * w.double()),
            "That gives real numbers. Divide by y_scale to count steps of the result.",
        ),
        Misconception(
            "leaves the scale of the input out of the multiplier",
            _with(multiplier=lambda b, s, w, y: w.double() / y),
            "A product of codes has steps of S_x * w_scale[c]: both scales belong in.",
        ),
        Misconception(
            "leaves out the zero point of the input",
            _with(sums=lambda q_x, q_w, z: gemm(q_x, q_w.t())),
            "Take x_zero_point times the sum of each output's weights off: fold_zero_point of 3.4 "
            "does.",
        ),
        Misconception(
            "cuts off instead of rounding",
            _with(rounded=torch.trunc),
            "Round to the nearest code: your requantize of 3.7 does.",
        ),
        Misconception(
            "rounds down",
            _with(rounded=torch.floor),
            "Round to the nearest code: your requantize of 3.7 does.",
        ),
        Misconception(
            "returns the outputs as rows",
            lambda *args: channel_linear(*args).t(),
            "The result is [M, out]: one column for each output. torch.cat(columns, dim=1).",
        ),
        Misconception(
            "clamps to int8, whatever qmin and qmax are",
            _clamped_to_int8,
            "The ends of the codes are arguments: clamp to qmin and qmax.",
        ),
        Misconception(
            "leaves out the zero point of the result",
            _without_zero_point,
            "After rounding, add zero_point; then clamp.",
        ),
        Misconception(
            "adds the real bias to the codes of the result",
            _with(q_bias=lambda b, s, w, y: b.double() / (s * w.double() / y)),
            "The bias belongs to the accumulator, in steps of S_x * w_scale[c]: divide and round "
            "it first.",
        ),
        Misconception(
            "does not round the bias",
            _with(q_bias=lambda b, s, w, y: b.double() / (s * w.double())),
            "The layer stores its bias as an integer: round it to whole steps of S_x * w_scale[c] "
            "before you add it.",
        ),
    ),
)
