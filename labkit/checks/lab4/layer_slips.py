"""Slips in making a layer's weights and bias integers, for exercise 4.4."""

from functools import partial
from typing import Any

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.grids import as_powers, bounded, one_before_division
from labkit.checks.lab4.layer_parts import (
    as_they_are,
    depth,
    half_and_cut,
    largest_weight,
    of_layer,
    per_output,
    quantized,
    turned,
    width,
)

# Where scales are too small, it shows whether codes are clamped or wrap.
CLAMPED_OR_NOT: tuple[dict[str, Any], ...] = ({}, {"clamped": as_they_are})
ONE_OR_BOTH: tuple[dict[str, Any], ...] = (
    {"turn": half_and_cut, "bias_turn": half_and_cut},
    {"turn": half_and_cut},
    {"bias_turn": half_and_cut},
)
EPSILON = torch.finfo(torch.float32).eps
BRACKETS = (
    "Python goes from left to right: bias / x_scale * w_scale multiplies by w_scale. Put brackets "
    "round the product: bias / (x_scale * w_scale)."
)
NO_ABS = "A channel may have its largest weight below 0: take abs() first."
TINY = (
    "That avoids 0 / 0, but its bias would then count billions of steps. A channel of zeros has "
    "the scale 1 here."
)
BY_127 = "The largest weight has the code 127: divide its magnitude by 127."
ONE_STEP = "The bias joins sums of q_x q_w: its step is x_scale * w_scale."
IS_INT32 = "The bias is an int32, like the accumulator it is added to."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "uses one scale for the whole layer",
        partial(quantized, largest=of_layer),
        "Each output channel has its own scale: w_scale has shape [out].",
    ),
    *(
        Misconception(
            "looks at the largest weight instead of the largest magnitude",
            partial(quantized, largest=largest, **end),
            NO_ABS,
        )
        for end in CLAMPED_OR_NOT
        for largest in (largest_weight, lambda weight: largest_weight(weight).abs())
    ),
    Misconception(
        "divides by 128",
        partial(quantized, steps=128),
        BY_127,
    ),
    Misconception(
        "divides by 128, and uses the code -128",
        partial(quantized, steps=128, clamped=lambda q_w: q_w.clamp(-128, 127)),
        BY_127,
    ),
    Misconception(
        "divides by 128, so that the largest weight wraps",
        partial(quantized, steps=128, clamped=as_they_are),
        BY_127,
    ),
    Misconception(
        "divides by 255",
        partial(quantized, steps=255),
        BY_127,
    ),
    Misconception(
        "divides by 255, so that codes wrap",
        partial(quantized, steps=255, clamped=as_they_are),
        BY_127,
    ),
    Misconception(
        "gives a channel of zeros the scale 0",
        partial(quantized, guarded=torch.div),
        "A channel of zeros has no range, and 0 / 0 is NaN: take the scale 1 for it.",
    ),
    Misconception(
        "gives a channel of zeros the scale 1 / 127",
        partial(quantized, guarded=one_before_division),
        "The scale itself is 1 for a channel of zeros: replace it after the division by 127.",
    ),
    *(
        Misconception(
            "gives a channel of zeros a tiny scale",
            partial(quantized, guarded=partial(bounded, least=least, before=before)),
            TINY,
        )
        for least in (1e-8, EPSILON, 1e-6, 1e-5)
        for before in (True, False)
    ),
    Misconception(
        "bounds all scales from below by 1",
        partial(quantized, guarded=partial(bounded, least=1.0)),
        "Only a channel of zeros has the scale 1: torch.where(scale == 0, 1.0, scale).",
    ),
    Misconception(
        "keeps the dimensions of the weights in the scales",
        partial(quantized, shaped=per_output),
        "w_scale has the shape [out]: reshape it to [-1, 1, ...] for the division of the weights "
        "only, or the bias becomes a matrix.",
    ),
    Misconception(
        "keeps the dimensions of the weights in the scales",
        partial(
            quantized,
            shaped=per_output,
            step=lambda x_scale, w_scale: x_scale * w_scale.flatten(),
        ),
        "w_scale has the shape [out]: flatten it before you return it.",
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(quantized, step=lambda x_scale, w_scale: w_scale),
        ONE_STEP,
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(quantized, step=lambda x_scale, w_scale: x_scale * w_scale**0),
        "The bias joins sums of q_x q_w: its step is x_scale * w_scale, another one for each "
        "output.",
    ),
    Misconception(
        "divides the bias by the one scale and multiplies it by the other",
        partial(quantized, step=lambda x_scale, w_scale: x_scale / w_scale),
        BRACKETS,
    ),
    Misconception(
        "divides the bias by the one scale and multiplies it by the other",
        partial(quantized, step=lambda x_scale, w_scale: w_scale / x_scale),
        BRACKETS,
    ),
    Misconception(
        "counts the bias in steps of the largest scale",
        partial(quantized, step=lambda x_scale, w_scale: x_scale * w_scale.max()),
        "Each output's accumulator has its own steps: x_scale * w_scale, without max().",
    ),
    Misconception(
        "multiplies the bias by its step",
        partial(quantized, counted=torch.mul),
        "A scale is the length of a step: divide to count the steps.",
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(quantized, bias_kept=lambda q_bias: q_bias.clamp(-127, 127).int()),
        IS_INT32,
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(quantized, bias_kept=lambda q_bias: q_bias.clamp(-128, 127).int()),
        IS_INT32,
    ),
    Misconception(
        "cuts the bias to 8 bits",
        partial(quantized, bias_kept=lambda q_bias: q_bias.long().char()),
        IS_INT32,
    ),
    Misconception(
        "keeps the bias to 16 bits",
        partial(quantized, bias_kept=lambda q_bias: q_bias.clamp(-(2**15), 2**15 - 1).int()),
        IS_INT32,
    ),
    Misconception(
        "cuts the bias to 16 bits",
        partial(quantized, bias_kept=lambda q_bias: q_bias.long().short()),
        IS_INT32,
    ),
    Misconception(
        "leaves the bias real",
        partial(
            quantized,
            counted=lambda bias, step: bias,
            bias_turn=as_they_are,
            bias_kept=as_they_are,
        ),
        "The accumulators are integers, and so is what is added: torch.round(bias / (x_scale * "
        "w_scale)).",
    ),
    Misconception(
        "cuts weights and bias off instead of rounding them",
        partial(quantized, turn=torch.trunc, bias_turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "cuts the weights off instead of rounding them",
        partial(quantized, turn=torch.trunc),
        "Converting to int8 drops what is behind the point: torch.round first.",
    ),
    *(
        Misconception(
            "adds one half and cuts off, which goes up below 0",
            partial(quantized, **turns),
            "Converting to an integer dtype cuts towards 0, so that -2.7 + 0.5 becomes -2: "
            "torch.round.",
        )
        for turns in ONE_OR_BOTH
    ),
    Misconception(
        "rounds weights and bias down",
        partial(quantized, turn=torch.floor, bias_turn=torch.floor),
        "// and floor go to the code below: the nearest one is torch.round's.",
    ),
    Misconception(
        "rounds the weights down",
        partial(quantized, turn=torch.floor),
        "A code is the nearest integer: torch.round.",
    ),
    Misconception(
        "makes the weights real again",
        partial(quantized, real=torch.mul),
        "The layer stores codes. Multiplying them by the scale is the product's business.",
    ),
    Misconception(
        "cuts the bias off instead of rounding it",
        partial(quantized, bias_turn=torch.trunc),
        "Converting to int32 drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "returns the bias before the scales",
        partial(quantized, ordered=lambda q_w, scale, q_bias: (q_w, q_bias, scale)),
        "The order is q_w, w_scale, q_bias.",
    ),
    Misconception(
        "divides the weights by scales along the inputs",
        partial(quantized, lined_up=turned),
        "w_scale[c] belongs to output c, dim 0 of the weights: reshape it to [-1, 1, ...].",
    ),
    *(
        Misconception(
            "looks at the smallest weight instead of the largest magnitude",
            partial(quantized, largest=largest, **end),
            "A channel may have its largest weight above 0: take abs() first.",
        )
        for end in CLAMPED_OR_NOT
        for largest in (depth, lambda weight: depth(weight).abs())
    ),
    *(
        Misconception(
            "spreads the codes over the width of each channel",
            partial(quantized, largest=width, steps=steps, **end),
            "With zero point 0 the grid is the same on both sides: it must reach the weight that "
            "is farthest from 0, weight.abs(), over 127.",
        )
        for steps in (254, 255)
        for end in CLAMPED_OR_NOT
    ),
    *(
        Misconception(
            "divides by 127.5, half of all steps",
            partial(quantized, steps=127.5, **end),
            f"That is torch's symmetric observer, with codes from -128 to 127. {BY_127}",
        )
        for end in (*CLAMPED_OR_NOT, {"clamped": lambda q_w: q_w.clamp(-128, 127)})
    ),
    *(
        Misconception(
            "makes the scales powers of two",
            partial(quantized, scaled=as_powers(turn)),
            "A chip that only shifts wants them. Here a scale is max |w| / 127, as it is.",
        )
        for turn in (torch.ceil, torch.round)
    ),
    Misconception(
        "takes three standard deviations for the largest magnitude",
        partial(quantized, largest=lambda weight: 3 * weight.flatten(1).std(1)),
        "Weights may lie beyond them, or end before. The scale is max |w| / 127.",
    ),
)
