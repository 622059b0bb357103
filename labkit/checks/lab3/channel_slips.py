"""Slips in a layer with a scale for each output, for exercise 3.15."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.inputs import INT8, UINT8
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import INT32, difference_in_8_bits

Scales = Callable[[Tensor], Tensor]
Clamp = Callable[[Tensor, int, int], Tensor]


def _converted(
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
    *,
    scales: Scales = lambda w_scale: w_scale,
    of_bias: Scales = lambda w_scale: w_scale,
    of_multiplier: Scales = lambda w_scale: w_scale,
    step: Callable[[float, Tensor], Tensor] = lambda x_scale, w_scale: x_scale * w_scale,
    bias_turn: Scales = torch.round,
    held: Scales = lambda q_bias: q_bias.clamp(*INT32),
    inputs: Callable[[Tensor, int], Tensor] = lambda q_x, zero_point: q_x.int() - zero_point,
    biased: Callable[[Tensor, Tensor], Tensor] = torch.add,
    multiplier: Callable[[float, Tensor, float], Tensor] = lambda x, w, y: x * w / y,
    before: Callable[[Tensor, Tensor], Tensor] = lambda real, bias: real,
    turn: Scales = torch.round,
    late: Callable[[Tensor, Tensor, float], Tensor] = lambda q, bias, y_scale: q,
    early: Clamp = lambda q, qmin, qmax: q,
    added: Callable[[Tensor, int], Tensor] = torch.add,
    clamped: Clamp = torch.clamp,
    ended: Scales = lambda q: q.to(torch.int32),
) -> Tensor:
    """Return the codes of the result, of which any part may be another one."""
    w_scale = scales(w_scale.double()).expand(len(w_scale))
    acc = gemm(inputs(q_x, x_zero_point), q_w.t())
    q_bias = held(bias_turn(bias.double() / step(x_scale, of_bias(w_scale))))
    real = biased(acc, q_bias) * multiplier(x_scale, of_multiplier(w_scale), y_scale)
    q = late(turn(before(real, bias)), bias, y_scale)
    return ended(clamped(added(early(q, qmin, qmax), zero_point), qmin, qmax))


def _bias_of_result(q: Tensor, bias: Tensor, y_scale: float) -> Tensor:
    return q + torch.round(bias.double() / y_scale)


def _without_bias(acc: Tensor, q_bias: Tensor) -> Tensor:
    return acc.double()


def _along_inputs(
    q_x: Tensor,
    q_w: Tensor,
    bias: Tensor,
    x_scale: float,
    x_zero_point: int,
    w_scale: Tensor,
    y_scale: float,
    *output: int,
) -> Tensor:
    zero_point, qmin, qmax = output
    y = x_scale * (q_x.int() - x_zero_point) @ (q_w * w_scale).t() + bias
    return (torch.round(y / y_scale) + zero_point).clamp(qmin, qmax).int()


def _in_bits(bits: int) -> Callable[[float, Tensor, float], Tensor]:
    return lambda x, w, y: torch.round(x * w / y * 2**bits) / 2**bits


def _as_power(turn: Scales) -> Callable[[float, Tensor, float], Tensor]:
    return lambda x, w, y: 2 ** turn(torch.log2(x * w / y))


OWN_SCALE = "Each output has its own scale: w_scale[c], for the bias and for the multiplier."
BIAS_STEPS = (
    "The bias is added to the accumulator, whose steps are S_x * w_scale[c]: they differ from "
    "output to output."
)
OWN_MULTIPLIER = "Each output leaves the accumulator by its own multiplier, S_x * w_scale[c] / S_y."
COUNT_BIAS = (
    "The bias belongs to the accumulator, in steps of S_x * w_scale[c], before the only rounding."
)
PRODUCT_STEPS = "A product of codes has steps of S_x * w_scale[c]; so must the bias."
NEAREST = "Round to the nearest code: your requantize of 3.7 does."
THE_ENDS = "The ends of the codes are arguments: clamp to qmin and qmax."
EITHER_SIDE = "A result may lie beyond the codes on either side: clamp to [qmin, qmax]."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "uses the largest scale for all channels",
        partial(_converted, scales=torch.max),
        "That is one scale for the whole layer again. Output c has the multiplier S_x * "
        "w_scale[c] / S_y.",
    ),
    Misconception(
        "uses the first channel's scale for all",
        partial(_converted, scales=lambda w_scale: w_scale[:1]),
        OWN_SCALE,
    ),
    Misconception(
        "uses the last channel's scale for all",
        partial(_converted, scales=lambda w_scale: w_scale[-1:]),
        OWN_SCALE,
    ),
    Misconception(
        "uses the mean of the scales for all channels",
        partial(_converted, scales=torch.mean),
        "No layer has such a scale. Output c has the multiplier S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "counts all biases in the same steps",
        partial(_converted, of_bias=torch.max),
        BIAS_STEPS,
    ),
    Misconception(
        "counts all biases in the steps of the first channel",
        partial(_converted, of_bias=lambda w_scale: w_scale[0]),
        BIAS_STEPS,
    ),
    Misconception(
        "counts all biases in mean steps",
        partial(_converted, of_bias=torch.mean),
        BIAS_STEPS,
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(_converted, step=lambda x_scale, w_scale: w_scale),
        PRODUCT_STEPS,
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(_converted, step=lambda x_scale, w_scale: x_scale + 0 * w_scale),
        PRODUCT_STEPS,
    ),
    Misconception(
        "adds the bias to the codes of the result",
        partial(_converted, biased=_without_bias, late=_bias_of_result),
        COUNT_BIAS,
    ),
    Misconception(
        "adds the real bias to the codes of the result",
        partial(_converted, biased=_without_bias, before=torch.add),
        "The bias belongs to the accumulator, in steps of S_x * w_scale[c]: divide and round it "
        "first.",
    ),
    Misconception(
        "does not round the bias",
        partial(_converted, bias_turn=lambda steps: steps),
        "The layer stores its bias as an integer: round it to whole steps of S_x * w_scale[c] "
        "before you add it.",
    ),
    Misconception(
        "cuts the bias off instead of rounding it",
        partial(_converted, bias_turn=torch.trunc),
        "Converting to int32 drops what is behind the point: torch.round first, as quantize_bias "
        "does.",
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(_converted, held=lambda q_bias: q_bias.clamp(-128, 127)),
        "The bias is an int32, like the accumulator it is added to.",
    ),
    Misconception(
        "leaves the bias out",
        partial(_converted, biased=_without_bias),
        "Count the bias in steps of S_x * w_scale[c] and add it to the accumulator.",
    ),
    Misconception(
        "subtracts the bias",
        partial(_converted, biased=torch.sub),
        "The bias is added: gemm(...) + q_bias.",
    ),
    Misconception(
        "uses one multiplier for all channels",
        partial(_converted, of_multiplier=torch.max),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "uses the first channel's multiplier for all",
        partial(_converted, of_multiplier=lambda w_scale: w_scale[0]),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "uses the mean of the multipliers for all",
        partial(_converted, of_multiplier=torch.mean),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "has the multiplier upside down",
        partial(_converted, multiplier=lambda x, w, y: y / (x * w)),
        "From steps of the accumulator to steps of the result: S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "leaves the scale of the result out of the multiplier",
        partial(_converted, multiplier=lambda x, w, y: x * w),
        "That gives real numbers. Divide by y_scale to count steps of the result.",
    ),
    Misconception(
        "multiplies by the scale of the result",
        partial(_converted, multiplier=lambda x, w, y: x * w * y),
        "Divide by y_scale to count steps of the result: S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "leaves the scale of the input out of the multiplier",
        partial(_converted, multiplier=lambda x, w, y: w / y),
        "A product of codes has steps of S_x * w_scale[c]: both scales belong in.",
    ),
    Misconception(
        "leaves the scales of the weights out of the multiplier",
        partial(_converted, multiplier=lambda x, w, y: x / y + 0 * w),
        "A product of codes has steps of S_x * w_scale[c]: both scales belong in.",
    ),
    Misconception(
        "leaves out the zero point of the input",
        partial(_converted, inputs=lambda q_x, zero_point: q_x),
        "Take x_zero_point times the sum of each output's weights off: fold_zero_point of 3.4 "
        "does.",
    ),
    Misconception(
        "adds the zero point of the input",
        partial(_converted, inputs=lambda q_x, zero_point: q_x.int() + zero_point),
        "The correction has a minus: fold_zero_point of 3.4 takes it off.",
    ),
    Misconception(
        "subtracts the zero point of the input in 8 bits",
        partial(_converted, inputs=difference_in_8_bits),
        "q_x - x_zero_point needs 9 bits and wraps: fold_zero_point of 3.4 corrects afterwards.",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(_converted, turn=torch.trunc),
        NEAREST,
    ),
    Misconception(
        "adds one half to the results and cuts off, which goes up below 0",
        partial(_converted, turn=lambda real: torch.trunc(real + 0.5)),
        f"A conversion to integers cuts towards 0, so that -2.7 + 0.5 becomes -2. {NEAREST}",
    ),
    Misconception(
        "adds one half to the bias and cuts off, which goes up below 0",
        partial(_converted, bias_turn=lambda steps: torch.trunc(steps + 0.5)),
        "A conversion to int32 cuts towards 0, so that -2.7 + 0.5 becomes -2: torch.round, as "
        "quantize_bias does.",
    ),
    Misconception(
        "rounds down",
        partial(_converted, turn=torch.floor),
        NEAREST,
    ),
    Misconception(
        "returns the outputs as rows",
        partial(_converted, ended=lambda q: q.to(torch.int32).t()),
        "The result is [M, out]: one column for each output. torch.cat(columns, dim=1).",
    ),
    Misconception(
        "clamps to int8, whatever qmin and qmax are",
        partial(_converted, clamped=lambda q, qmin, qmax: q.clamp(*INT8)),
        THE_ENDS,
    ),
    Misconception(
        "clamps to uint8, whatever qmin and qmax are",
        partial(_converted, clamped=lambda q, qmin, qmax: q.clamp(*UINT8)),
        THE_ENDS,
    ),
    Misconception(
        "does not clamp",
        partial(_converted, clamped=lambda q, qmin, qmax: q),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp above",
        partial(_converted, clamped=lambda q, qmin, qmax: q.clamp(min=qmin)),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp below",
        partial(_converted, clamped=lambda q, qmin, qmax: q.clamp(max=qmax)),
        EITHER_SIDE,
    ),
    Misconception(
        "clamps before it adds the zero point",
        partial(_converted, early=torch.clamp, clamped=lambda q, qmin, qmax: q),
        "The sum can leave the range again: add zero_point first, then clamp.",
    ),
    Misconception(
        "leaves out the zero point of the result",
        partial(_converted, added=lambda q, zero_point: q),
        "After rounding, add zero_point; then clamp.",
    ),
    Misconception(
        "subtracts the zero point of the result",
        partial(_converted, added=torch.sub),
        "On the way to codes it is added: 0.0 has the code zero_point.",
    ),
    Misconception(
        "uses the geometric mean of the scales for all channels",
        partial(_converted, scales=lambda w_scale: w_scale.log().mean().exp()),
        "No layer has such a scale. Output c has the multiplier S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "lays the multipliers along the rows",
        partial(_converted, of_multiplier=lambda w_scale: w_scale[:, None]),
        "Accumulators are [M, out]: the scale of output c belongs to column c, so w_scale stays "
        "[out], without reshaping.",
    ),
    Misconception(
        "scales the weights along the inputs",
        _along_inputs,
        "w_scale[c] belongs to output c, row c of q_w [out, in]: w_scale[:, None] * q_w, or the "
        "multiplier of column c.",
    ),
    *(
        Misconception(
            "makes the multipliers powers of two",
            partial(
                _converted,
                multiplier=_as_power(turn),
            ),
            "A shift alone is off by up to half: the multiplier S_x * w_scale[c] / S_y has a "
            "mantissa, too (3.5).",
        )
        for turn in (torch.round, torch.ceil, torch.floor)
    ),
    *(
        Misconception(
            f"rounds the multipliers to {bits} bits behind the point",
            partial(
                _converted,
                multiplier=_in_bits(bits),
            ),
            "A small multiplier keeps few digits that way: each output needs a mantissa of 31 bits "
            "and a shift of its own (3.5).",
        )
        for bits in (8, 16)
    ),
)
