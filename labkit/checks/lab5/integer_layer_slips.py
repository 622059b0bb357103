"""Slips in what an integer layer stores, for exercise 5.7."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception


def _joined(
    w: Tensor,
    w_scale: Tensor,
    bias: Tensor,
    x_scale: float,
    y_scale: float,
    qmax: int,
    *,
    scales: Callable[[Tensor, Tensor, int], Tensor] = lambda w_scale, w, qmax: w_scale,
    spread: Callable[[Tensor], Tensor] = lambda w_scale: w_scale[:, None],
    steps: Callable[[Tensor, Tensor], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    bias_scale: Callable[..., Tensor] = lambda s_x, s_w, s_y: s_x * s_w,
    bias_turn: Callable[[Tensor], Tensor] = torch.round,
    bias_limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q,
    factor: Callable[..., Tensor] = lambda s_x, s_w, s_y: s_x * s_w / s_y,
    stored: Callable[[Tensor, Tensor], Tensor] = lambda q, scale: q.to(torch.int32),
) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes, bias and multiplier, of which any part may be another one."""
    of_rows = scales(w_scale, w, qmax)
    all_three = x_scale, of_rows, y_scale
    q_w = limit(turn(steps(w, spread(of_rows))), qmax)
    q_bias = bias_limit(bias_turn(bias / bias_scale(*all_three)), qmax)
    return stored(q_w, spread(of_rows)), q_bias.to(torch.int32), factor(*all_three)


def _along_inputs(w_scale: Tensor, w: Tensor) -> Tensor:
    return w_scale if w.shape[0] == w.shape[1] else w_scale[:, None]


def _for_squares(
    w: Tensor, w_scale: Tensor, bias: Tensor, x_scale: float, y_scale: float, qmax: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the answer with the scales along the inputs, where that is no error."""
    along = partial(_joined, spread=lambda w_scale: _along_inputs(w_scale, w))
    return along(w, w_scale, bias, x_scale, y_scale, qmax)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "does not clamp the weights",
        partial(_joined, limit=lambda q, qmax: q),
        "In training they were clamped to [-qmax, qmax]: without that it is another network.",
    ),
    Misconception(
        "uses one scale for all outputs",
        partial(_joined, spread=torch.mean),
        "Each output, a row of w, has its own scale: w_scale[:, None].",
    ),
    Misconception(
        "uses the largest scale for all outputs",
        partial(_joined, spread=torch.max),
        "Each output, a row of w, has its own scale: w_scale[:, None].",
    ),
    Misconception(
        "makes the scales anew from the largest weights",
        partial(
            _joined,
            scales=lambda w_scale, w, qmax: w.abs().amax(1) / qmax,
        ),
        "Training has used w_scale, and clipped what lies beyond it: with other scales it is "
        "another network.",
    ),
    Misconception(
        "returns real weights",
        partial(_joined, stored=torch.mul),
        "What the integer layer stores are codes: do not multiply by the scale again.",
    ),
    Misconception(
        "multiplies the weights by their scales",
        partial(_joined, steps=torch.mul),
        "A code counts steps: divide w by w_scale[:, None].",
    ),
    Misconception(
        "quantizes the bias at the scale of the weights",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_w),
        "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
    ),
    Misconception(
        "quantizes the bias at the scale of the output",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_y),
        "The bias is added before requantization, to sums in steps of S_x * S_w.",
    ),
    Misconception(
        "quantizes the bias at the scale of the input",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x),
        "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
    ),
    Misconception(
        "takes the scale of the output for that of the input in the bias",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_y * s_w),
        "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
    ),
    Misconception(
        "divides the bias by the multiplier",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x * s_w / s_y),
        "The bias is added before the multiplier has its turn: it counts in steps of S_x * S_w.",
    ),
    Misconception(
        "divides the bias by S_x alone, and multiplies it by S_w",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x / s_w),
        "Without brackets, bias / x_scale * w_scale multiplies by w_scale: bias / (x_scale * "
        "w_scale).",
    ),
    Misconception(
        "multiplies the bias by its scale",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: 1 / (s_x * s_w)),
        "A code counts steps: divide the bias by x_scale * w_scale.",
    ),
    Misconception(
        "quantizes the bias at one scale for all outputs",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x * s_w.max()),
        "Each output has its own step, S_x * S_w, and its bias counts in that.",
    ),
    Misconception(
        "quantizes the bias at one scale for all outputs",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x * s_w.mean()),
        "Each output has its own step, S_x * S_w, and its bias counts in that.",
    ),
    Misconception(
        "rounds the bias without dividing it by its step",
        partial(_joined, bias_scale=lambda s_x, s_w, s_y: torch.ones_like(s_w)),
        "The bias joins sums that count in steps of S_x * S_w: divide by that, then round.",
    ),
    Misconception(
        "clamps the bias to the codes of the weights",
        partial(_joined, bias_limit=lambda q, qmax: q.clamp(-qmax, qmax)),
        "The bias is an int32 beside the accumulator: it needs no clamp to qmax.",
    ),
    Misconception(
        "clamps the bias to the codes of the weights",
        partial(_joined, bias_limit=lambda q, qmax: q.clamp(-qmax - 1, qmax)),
        "The bias is an int32 beside the accumulator: it needs no clamp to qmax.",
    ),
    Misconception(
        "clamps the bias to 8 bits",
        partial(_joined, bias_limit=lambda q, qmax: q.clamp(-128, 127)),
        "The bias is an int32 beside the accumulator: it needs no clamp.",
    ),
    Misconception(
        "clamps the bias to 16 bits",
        partial(_joined, bias_limit=lambda q, qmax: q.clamp(-(2**15), 2**15 - 1)),
        "The bias is an int32 beside the accumulator: it needs no clamp.",
    ),
    Misconception(
        "has the multiplier upside down",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_y / (s_x * s_w)),
        "acc * S_x * S_w is the real result; divided by S_y it is a code: S_x * S_w / S_y.",
    ),
    Misconception(
        "multiplies by the output scale",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_x * s_w * s_y),
        "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
    ),
    Misconception(
        "leaves the output scale out of the multiplier",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_x * s_w),
        "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
    ),
    Misconception(
        "leaves the input scale out of the multiplier",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_w / s_y),
        "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y.",
    ),
    Misconception(
        "leaves the scale of the weights out of the multiplier",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_x / s_y * torch.ones_like(s_w)),
        "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y, one for each output.",
    ),
    Misconception(
        "has x_scale and y_scale exchanged in the multiplier",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_y * s_w / s_x),
        "From steps of S_x * S_w to steps of S_y: M = S_x S_w / S_y.",
    ),
    Misconception(
        "divides by the scale of the weights in the multiplier",
        partial(_joined, factor=lambda s_x, s_w, s_y: s_x / (s_w * s_y)),
        "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y.",
    ),
    Misconception(
        "rounds the multiplier to a power of 2",
        partial(
            _joined,
            factor=lambda s_x, s_w, s_y: 2 ** torch.round(torch.log2(s_x * s_w / s_y)),
        ),
        "Some chips have shifts alone. Here the multiplier is S_x S_w / S_y itself.",
    ),
    *(
        Misconception(
            "makes an integer of the multiplier",
            partial(_joined, factor=factor),
            "Fixed-point numbers came in lab 3. Here the multiplier is the real number S_x S_w / "
            "S_y.",
        )
        for factor in (
            lambda s_x, s_w, s_y: torch.round(s_x * s_w / s_y * 2**31),
            lambda s_x, s_w, s_y: torch.round(s_x * s_w / s_y * 2**16),
            lambda s_x, s_w, s_y: torch.round(s_x * s_w / s_y),
        )
    ),
    Misconception(
        "uses the mean of all multipliers",
        partial(_joined, factor=lambda s_x, s_w, s_y: (s_x * s_w / s_y).mean().expand(len(s_w))),
        "Each output has its own: x_scale * w_scale[c] / y_scale.",
    ),
    Misconception(
        "uses the largest multiplier for all outputs",
        partial(_joined, factor=lambda s_x, s_w, s_y: (s_x * s_w / s_y).max().expand(len(s_w))),
        "Each output has its own: x_scale * w_scale[c] / y_scale.",
    ),
    Misconception(
        "uses the scales along the inputs",
        _for_squares,
        "w / w_scale spreads the scales over the columns. They belong to the rows, the "
        "outputs: w_scale[:, None].",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(_joined, turn=torch.trunc, bias_turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "cuts the weights off instead of rounding them",
        partial(_joined, turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "cuts the bias off instead of rounding it",
        partial(_joined, bias_turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "rounds the weights down",
        partial(_joined, turn=torch.floor),
        "Training rounded to the nearest code: torch.round.",
    ),
    Misconception(
        "rounds the bias down",
        partial(_joined, bias_turn=torch.floor),
        "A code is the nearest integer: torch.round.",
    ),
    Misconception(
        "uses the code -qmax - 1",
        partial(_joined, limit=lambda q, qmax: q.clamp(-qmax - 1, qmax)),
        "The range is narrow, -qmax to qmax, as it was in training.",
    ),
    Misconception(
        "clamps to 8 bits, whatever qmax is",
        partial(_joined, limit=lambda q, qmax: q.clamp(-128, 127)),
        "The range is an argument: clamp the weights to -qmax and qmax.",
    ),
    Misconception(
        "gives the weights unsigned codes",
        partial(_joined, limit=lambda q, qmax: q.clamp(0, qmax)),
        "Weights have both signs: the codes go from -qmax to qmax.",
    ),
)
