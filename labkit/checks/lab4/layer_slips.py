"""Slips in making a layer's weights and bias integers, for exercise 4.4."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.grids import as_powers, bounded, one_before_division, one_for_zeros

Turn = Callable[[Tensor], Tensor]
Three = tuple[Tensor, Tensor, Tensor]


def _largest(weight: Tensor) -> Tensor:
    return weight.abs().flatten(1).amax(1)


def _largest_weight(weight: Tensor) -> Tensor:
    return weight.flatten(1).amax(1)


def _depth(weight: Tensor) -> Tensor:
    return _largest_weight(-weight)


def _width(weight: Tensor) -> Tensor:
    return _largest_weight(weight) + _depth(weight)


def _per_output(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.reshape(-1, *[1] * (weight.ndim - 1))


def _quantized(
    weight: Tensor,
    bias: Tensor,
    x_scale: float,
    *,
    largest: Turn = _largest,
    steps: float = 127,
    guarded: Callable[[Tensor, float], Tensor] = one_for_zeros,
    scaled: Turn = lambda scale: scale,
    shaped: Callable[[Tensor, Tensor], Tensor] = lambda scale, weight: scale,
    lined_up: Callable[[Tensor, Tensor], Tensor] = _per_output,
    turn: Turn = torch.round,
    clamped: Turn = lambda q_w: q_w.clamp(-127, 127),
    kept: Turn = lambda q_w: q_w.to(torch.int64).to(torch.int8),
    real: Callable[[Tensor, Tensor], Tensor] = lambda q_w, scale: q_w,
    step: Callable[[float, Tensor], Tensor] = lambda x_scale, w_scale: x_scale * w_scale,
    counted: Callable[[Tensor, Tensor], Tensor] = torch.div,
    bias_turn: Turn = torch.round,
    bias_kept: Turn = lambda q_bias: q_bias.to(torch.int32),
    ordered: Callable[[Tensor, Tensor, Tensor], Three] = lambda q_w, scale, q_bias: (
        q_w,
        scale,
        q_bias,
    ),
) -> Three:
    """Return weights, scales and bias, of which any part may be another one."""
    scale = scaled(guarded(largest(weight), steps))
    lined = lined_up(scale, weight)
    q_w = kept(clamped(turn(weight / lined).nan_to_num()))
    returned = shaped(scale, weight)
    q_bias = bias_kept(bias_turn(counted(bias, step(x_scale, returned))))
    return ordered(real(q_w, lined), returned, q_bias)


def _of_layer(weight: Tensor) -> Tensor:
    return weight.abs().amax().expand(len(weight)).clone()


def _as_they_are(q_w: Tensor) -> Tensor:
    return q_w


def _half_and_cut(real: Tensor) -> Tensor:
    return torch.trunc(real + 0.5)


def _turned(scale: Tensor, weight: Tensor) -> Tensor:
    """Return the scales of the inputs, which stand in dim 1."""
    return _per_output(one_for_zeros(_largest(weight.transpose(0, 1)), 127), weight).transpose(0, 1)


# Where scales are too small, it shows whether codes are clamped or wrap.
CLAMPED_OR_NOT: tuple[dict[str, Any], ...] = ({}, {"clamped": _as_they_are})
ONE_OR_BOTH: tuple[dict[str, Any], ...] = (
    {"turn": _half_and_cut, "bias_turn": _half_and_cut},
    {"turn": _half_and_cut},
    {"bias_turn": _half_and_cut},
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
        partial(_quantized, largest=_of_layer),
        "Each output channel has its own scale: w_scale has shape [out].",
    ),
    *(
        Misconception(
            "looks at the largest weight instead of the largest magnitude",
            partial(_quantized, largest=largest, **end),
            NO_ABS,
        )
        for end in CLAMPED_OR_NOT
        for largest in (_largest_weight, lambda weight: _largest_weight(weight).abs())
    ),
    Misconception(
        "divides by 128",
        partial(_quantized, steps=128),
        BY_127,
    ),
    Misconception(
        "divides by 128, and uses the code -128",
        partial(_quantized, steps=128, clamped=lambda q_w: q_w.clamp(-128, 127)),
        BY_127,
    ),
    Misconception(
        "divides by 128, so that the largest weight wraps",
        partial(_quantized, steps=128, clamped=_as_they_are),
        BY_127,
    ),
    Misconception(
        "divides by 255",
        partial(_quantized, steps=255),
        BY_127,
    ),
    Misconception(
        "divides by 255, so that codes wrap",
        partial(_quantized, steps=255, clamped=_as_they_are),
        BY_127,
    ),
    Misconception(
        "gives a channel of zeros the scale 0",
        partial(_quantized, guarded=torch.div),
        "A channel of zeros has no range, and 0 / 0 is NaN: take the scale 1 for it.",
    ),
    Misconception(
        "gives a channel of zeros the scale 1 / 127",
        partial(_quantized, guarded=one_before_division),
        "The scale itself is 1 for a channel of zeros: replace it after the division by 127.",
    ),
    *(
        Misconception(
            "gives a channel of zeros a tiny scale",
            partial(_quantized, guarded=partial(bounded, least=least, before=before)),
            TINY,
        )
        for least in (1e-8, EPSILON, 1e-6, 1e-5)
        for before in (True, False)
    ),
    Misconception(
        "bounds all scales from below by 1",
        partial(_quantized, guarded=partial(bounded, least=1.0)),
        "Only a channel of zeros has the scale 1: torch.where(scale == 0, 1.0, scale).",
    ),
    Misconception(
        "keeps the dimensions of the weights in the scales",
        partial(_quantized, shaped=_per_output),
        "w_scale has the shape [out]: reshape it to [-1, 1, ...] for the division of the weights "
        "only, or the bias becomes a matrix.",
    ),
    Misconception(
        "keeps the dimensions of the weights in the scales",
        partial(
            _quantized,
            shaped=_per_output,
            step=lambda x_scale, w_scale: x_scale * w_scale.flatten(),
        ),
        "w_scale has the shape [out]: flatten it before you return it.",
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(_quantized, step=lambda x_scale, w_scale: w_scale),
        ONE_STEP,
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(_quantized, step=lambda x_scale, w_scale: x_scale * w_scale**0),
        "The bias joins sums of q_x q_w: its step is x_scale * w_scale, another one for each "
        "output.",
    ),
    Misconception(
        "divides the bias by the one scale and multiplies it by the other",
        partial(_quantized, step=lambda x_scale, w_scale: x_scale / w_scale),
        BRACKETS,
    ),
    Misconception(
        "divides the bias by the one scale and multiplies it by the other",
        partial(_quantized, step=lambda x_scale, w_scale: w_scale / x_scale),
        BRACKETS,
    ),
    Misconception(
        "counts the bias in steps of the largest scale",
        partial(_quantized, step=lambda x_scale, w_scale: x_scale * w_scale.max()),
        "Each output's accumulator has its own steps: x_scale * w_scale, without max().",
    ),
    Misconception(
        "multiplies the bias by its step",
        partial(_quantized, counted=torch.mul),
        "A scale is the length of a step: divide to count the steps.",
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(_quantized, bias_kept=lambda q_bias: q_bias.clamp(-127, 127).int()),
        IS_INT32,
    ),
    Misconception(
        "keeps the bias to 8 bits",
        partial(_quantized, bias_kept=lambda q_bias: q_bias.clamp(-128, 127).int()),
        IS_INT32,
    ),
    Misconception(
        "cuts the bias to 8 bits",
        partial(_quantized, bias_kept=lambda q_bias: q_bias.long().char()),
        IS_INT32,
    ),
    Misconception(
        "keeps the bias to 16 bits",
        partial(_quantized, bias_kept=lambda q_bias: q_bias.clamp(-(2**15), 2**15 - 1).int()),
        IS_INT32,
    ),
    Misconception(
        "cuts the bias to 16 bits",
        partial(_quantized, bias_kept=lambda q_bias: q_bias.long().short()),
        IS_INT32,
    ),
    Misconception(
        "leaves the bias real",
        partial(
            _quantized,
            counted=lambda bias, step: bias,
            bias_turn=_as_they_are,
            bias_kept=_as_they_are,
        ),
        "The accumulators are integers, and so is what is added: torch.round(bias / (x_scale * "
        "w_scale)).",
    ),
    Misconception(
        "cuts weights and bias off instead of rounding them",
        partial(_quantized, turn=torch.trunc, bias_turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "cuts the weights off instead of rounding them",
        partial(_quantized, turn=torch.trunc),
        "Converting to int8 drops what is behind the point: torch.round first.",
    ),
    *(
        Misconception(
            "adds one half and cuts off, which goes up below 0",
            partial(_quantized, **turns),
            "Converting to an integer dtype cuts towards 0, so that -2.7 + 0.5 becomes -2: "
            "torch.round.",
        )
        for turns in ONE_OR_BOTH
    ),
    Misconception(
        "rounds weights and bias down",
        partial(_quantized, turn=torch.floor, bias_turn=torch.floor),
        "// and floor go to the code below: the nearest one is torch.round's.",
    ),
    Misconception(
        "rounds the weights down",
        partial(_quantized, turn=torch.floor),
        "A code is the nearest integer: torch.round.",
    ),
    Misconception(
        "makes the weights real again",
        partial(_quantized, real=torch.mul),
        "The layer stores codes. Multiplying them by the scale is the product's business.",
    ),
    Misconception(
        "cuts the bias off instead of rounding it",
        partial(_quantized, bias_turn=torch.trunc),
        "Converting to int32 drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "returns the bias before the scales",
        partial(_quantized, ordered=lambda q_w, scale, q_bias: (q_w, q_bias, scale)),
        "The order is q_w, w_scale, q_bias.",
    ),
    Misconception(
        "divides the weights by scales along the inputs",
        partial(_quantized, lined_up=_turned),
        "w_scale[c] belongs to output c, dim 0 of the weights: reshape it to [-1, 1, ...].",
    ),
    *(
        Misconception(
            "looks at the smallest weight instead of the largest magnitude",
            partial(_quantized, largest=largest, **end),
            "A channel may have its largest weight above 0: take abs() first.",
        )
        for end in CLAMPED_OR_NOT
        for largest in (_depth, lambda weight: _depth(weight).abs())
    ),
    *(
        Misconception(
            "spreads the codes over the width of each channel",
            partial(_quantized, largest=_width, steps=steps, **end),
            "With zero point 0 the grid is the same on both sides: it must reach the weight that "
            "is farthest from 0, weight.abs(), over 127.",
        )
        for steps in (254, 255)
        for end in CLAMPED_OR_NOT
    ),
    *(
        Misconception(
            "divides by 127.5, half of all steps",
            partial(_quantized, steps=127.5, **end),
            f"That is torch's symmetric observer, with codes from -128 to 127. {BY_127}",
        )
        for end in (*CLAMPED_OR_NOT, {"clamped": lambda q_w: q_w.clamp(-128, 127)})
    ),
    *(
        Misconception(
            "makes the scales powers of two",
            partial(_quantized, scaled=as_powers(turn)),
            "A chip that only shifts wants them. Here a scale is max |w| / 127, as it is.",
        )
        for turn in (torch.ceil, torch.round)
    ),
    Misconception(
        "takes three standard deviations for the largest magnitude",
        partial(_quantized, largest=lambda weight: 3 * weight.flatten(1).std(1)),
        "Weights may lie beyond them, or end before. The scale is max |w| / 127.",
    ),
)
