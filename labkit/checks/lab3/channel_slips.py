"""Slips in a layer with a scale for each output, for exercise 3.15."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.inputs import INT8, UINT8
from labkit.checks.lab3.channel_parts import (
    along_inputs,
    as_power,
    bias_of_result,
    converted,
    in_bits,
    without_bias,
)
from labkit.checks.lab3.inputs import difference_in_8_bits

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
        partial(converted, scales=torch.max),
        "That is one scale for the whole layer again. Output c has the multiplier S_x * "
        "w_scale[c] / S_y.",
    ),
    Misconception(
        "uses the first channel's scale for all",
        partial(converted, scales=lambda w_scale: w_scale[:1]),
        OWN_SCALE,
    ),
    Misconception(
        "uses the last channel's scale for all",
        partial(converted, scales=lambda w_scale: w_scale[-1:]),
        OWN_SCALE,
    ),
    Misconception(
        "uses the mean of the scales for all channels",
        partial(converted, scales=torch.mean),
        "No layer has such a scale. Output c has the multiplier S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "counts all biases in the same steps",
        partial(converted, of_bias=torch.max),
        BIAS_STEPS,
    ),
    Misconception(
        "counts all biases in the steps of the first channel",
        partial(converted, of_bias=lambda w_scale: w_scale[0]),
        BIAS_STEPS,
    ),
    Misconception(
        "counts all biases in mean steps",
        partial(converted, of_bias=torch.mean),
        BIAS_STEPS,
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(converted, step=lambda x_scale, w_scale: w_scale),
        PRODUCT_STEPS,
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(converted, step=lambda x_scale, w_scale: x_scale + 0 * w_scale),
        PRODUCT_STEPS,
    ),
    Misconception(
        "adds the bias to the codes of the result",
        partial(converted, biased=without_bias, late=bias_of_result),
        COUNT_BIAS,
    ),
    Misconception(
        "adds the real bias to the codes of the result",
        partial(converted, biased=without_bias, before=torch.add),
        "The bias belongs to the accumulator, in steps of S_x * w_scale[c]: divide and round it "
        "first.",
    ),
    Misconception(
        "does not round the bias",
        partial(converted, bias_turn=lambda steps: steps),
        "The layer stores its bias as an integer: round it to whole steps of S_x * w_scale[c] "
        "before you add it.",
    ),
    Misconception(
        "cuts the bias off instead of rounding it",
        partial(converted, bias_turn=torch.trunc),
        "Converting to int32 drops what is behind the point: torch.round first, as quantize_bias "
        "does.",
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(converted, held=lambda q_bias: q_bias.clamp(-128, 127)),
        "The bias is an int32, like the accumulator it is added to.",
    ),
    Misconception(
        "leaves the bias out",
        partial(converted, biased=without_bias),
        "Count the bias in steps of S_x * w_scale[c] and add it to the accumulator.",
    ),
    Misconception(
        "subtracts the bias",
        partial(converted, biased=torch.sub),
        "The bias is added: gemm(...) + q_bias.",
    ),
    Misconception(
        "uses one multiplier for all channels",
        partial(converted, of_multiplier=torch.max),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "uses the first channel's multiplier for all",
        partial(converted, of_multiplier=lambda w_scale: w_scale[0]),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "uses the mean of the multipliers for all",
        partial(converted, of_multiplier=torch.mean),
        OWN_MULTIPLIER,
    ),
    Misconception(
        "has the multiplier upside down",
        partial(converted, multiplier=lambda x, w, y: y / (x * w)),
        "From steps of the accumulator to steps of the result: S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "leaves the scale of the result out of the multiplier",
        partial(converted, multiplier=lambda x, w, y: x * w),
        "That gives real numbers. Divide by y_scale to count steps of the result.",
    ),
    Misconception(
        "multiplies by the scale of the result",
        partial(converted, multiplier=lambda x, w, y: x * w * y),
        "Divide by y_scale to count steps of the result: S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "leaves the scale of the input out of the multiplier",
        partial(converted, multiplier=lambda x, w, y: w / y),
        "A product of codes has steps of S_x * w_scale[c]: both scales belong in.",
    ),
    Misconception(
        "leaves the scales of the weights out of the multiplier",
        partial(converted, multiplier=lambda x, w, y: x / y + 0 * w),
        "A product of codes has steps of S_x * w_scale[c]: both scales belong in.",
    ),
    Misconception(
        "leaves out the zero point of the input",
        partial(converted, inputs=lambda q_x, zero_point: q_x),
        "Take x_zero_point times the sum of each output's weights off: fold_zero_point of 3.4 "
        "does.",
    ),
    Misconception(
        "adds the zero point of the input",
        partial(converted, inputs=lambda q_x, zero_point: q_x.int() + zero_point),
        "The correction has a minus: fold_zero_point of 3.4 takes it off.",
    ),
    Misconception(
        "subtracts the zero point of the input in 8 bits",
        partial(converted, inputs=difference_in_8_bits),
        "q_x - x_zero_point needs 9 bits and wraps: fold_zero_point of 3.4 corrects afterwards.",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(converted, turn=torch.trunc),
        NEAREST,
    ),
    Misconception(
        "adds one half to the results and cuts off, which goes up below 0",
        partial(converted, turn=lambda real: torch.trunc(real + 0.5)),
        f"A conversion to integers cuts towards 0, so that -2.7 + 0.5 becomes -2. {NEAREST}",
    ),
    Misconception(
        "adds one half to the bias and cuts off, which goes up below 0",
        partial(converted, bias_turn=lambda steps: torch.trunc(steps + 0.5)),
        "A conversion to int32 cuts towards 0, so that -2.7 + 0.5 becomes -2: torch.round, as "
        "quantize_bias does.",
    ),
    Misconception(
        "rounds down",
        partial(converted, turn=torch.floor),
        NEAREST,
    ),
    Misconception(
        "returns the outputs as rows",
        partial(converted, ended=lambda q: q.to(torch.int32).t()),
        "The result is [M, out]: one column for each output. torch.cat(columns, dim=1).",
    ),
    Misconception(
        "clamps to int8, whatever qmin and qmax are",
        partial(converted, clamped=lambda q, qmin, qmax: q.clamp(*INT8)),
        THE_ENDS,
    ),
    Misconception(
        "clamps to uint8, whatever qmin and qmax are",
        partial(converted, clamped=lambda q, qmin, qmax: q.clamp(*UINT8)),
        THE_ENDS,
    ),
    Misconception(
        "does not clamp",
        partial(converted, clamped=lambda q, qmin, qmax: q),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp above",
        partial(converted, clamped=lambda q, qmin, qmax: q.clamp(min=qmin)),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp below",
        partial(converted, clamped=lambda q, qmin, qmax: q.clamp(max=qmax)),
        EITHER_SIDE,
    ),
    Misconception(
        "clamps before it adds the zero point",
        partial(converted, early=torch.clamp, clamped=lambda q, qmin, qmax: q),
        "The sum can leave the range again: add zero_point first, then clamp.",
    ),
    Misconception(
        "leaves out the zero point of the result",
        partial(converted, added=lambda q, zero_point: q),
        "After rounding, add zero_point; then clamp.",
    ),
    Misconception(
        "subtracts the zero point of the result",
        partial(converted, added=torch.sub),
        "On the way to codes it is added: 0.0 has the code zero_point.",
    ),
    Misconception(
        "uses the geometric mean of the scales for all channels",
        partial(converted, scales=lambda w_scale: w_scale.log().mean().exp()),
        "No layer has such a scale. Output c has the multiplier S_x * w_scale[c] / S_y.",
    ),
    Misconception(
        "lays the multipliers along the rows",
        partial(converted, of_multiplier=lambda w_scale: w_scale[:, None]),
        "Accumulators are [M, out]: the scale of output c belongs to column c, so w_scale stays "
        "[out], without reshaping.",
    ),
    Misconception(
        "scales the weights along the inputs",
        along_inputs,
        "w_scale[c] belongs to output c, row c of q_w [out, in]: w_scale[:, None] * q_w, or the "
        "multiplier of column c.",
    ),
    *(
        Misconception(
            "makes the multipliers powers of two",
            partial(
                converted,
                multiplier=as_power(turn),
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
                converted,
                multiplier=in_bits(bits),
            ),
            "A small multiplier keeps few digits that way: each output needs a mantissa of 31 bits "
            "and a shift of its own (3.5).",
        )
        for bits in (8, 16)
    ),
)
