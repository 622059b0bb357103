"""Exercise 1.8: one scale per channel."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.grids import bounded, of_steps, of_turning, one_before_division, one_for_zeros
from labkit.checks.inputs import SCALE, neat, randn
from labkit.checks.rules import Codes


def quantize_per_channel(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    """Return symmetric codes of `w` and one scale for each index along `axis`."""
    qmax = 2 ** (bits - 1) - 1
    largest = _channels(w, axis).abs().amax(dim=1)
    scale = torch.where(largest > 0, largest / qmax, 1.0)
    shape = [1] * w.ndim
    shape[axis] = -1
    q = torch.round(w / scale.reshape(shape)).clamp(-qmax, qmax)
    return q.to(torch.int32), scale


def _channels(w: Tensor, axis: int) -> Tensor:
    return w.movedim(axis, 0).flatten(1)


def _real_per_channel(w: Tensor, axis: int, bits: int) -> tuple[Tensor, int, int]:
    _, scale = quantize_per_channel(w, axis, bits)
    shape = [1] * w.ndim
    shape[axis] = -1
    qmax = 2 ** (bits - 1) - 1
    return w.double() / scale.double().reshape(shape), -qmax, qmax


def _channel_cases(rng: torch.Generator) -> list[Case]:
    dead = neat(rng, 3, 4)
    dead[1] = 0
    uneven = neat(rng, 4, 3) * torch.tensor([[0.01], [1.0], [30.0], [0.2]])
    return [
        Case("two rows", (torch.tensor([[0.5, -1.0, 0.2], [4.0, 8.0, -3.0]]), 0, 8)),
        Case(
            "channels along the last axis",
            (torch.tensor([[0.5, -1.0, 9.0], [4.0, 8.0, -3.0]]), 1, 8),
        ),
        Case("a square matrix, last axis", (neat(rng, 3, 3), 1, 8)),
        Case("a channel of zeros", (dead, 0, 8)),
        Case("channels of very different size", (uneven, 0, 4)),
        Case("a convolution's weights", (randn(rng, 5, 2, 3, 3), 0, 8)),
        Case("a middle axis", (neat(rng, 2, 5, 3), 1, 4)),
        Case("one channel", (neat(rng, 1, 7), 0, 2)),
        Case("the last of three axes", (neat(rng, 2, 3, 4), 2, 8)),
        Case("the third of four axes", (neat(rng, 2, 3, 4, 2), 2, 4)),
        Case("12 bits", (neat(rng, 2, 3), 0, 12)),
        Case("not contiguous", (neat(rng, 6, 5).t(), 0, 8)),
    ]


def _ready_to_divide(scale: Tensor, w: Tensor, axis: int) -> Tensor:
    return scale.reshape([len(scale) if d == axis % w.ndim else 1 for d in range(w.ndim)])


def _in_memory(w: Tensor, axis: int) -> Tensor:
    return w.reshape(w.shape[axis], -1)


def _divided_in_memory(scale: Tensor, w: Tensor, axis: int) -> Tensor:
    return scale[:, None].expand(-1, w.numel() // len(scale)).reshape(w.shape)


def _largest(channels: Tensor) -> Tensor:
    return channels.abs().amax(1)


def _coded(
    w: Tensor,
    axis: int,
    bits: int,
    *,
    channels: Callable[[Tensor, int], Tensor] = _channels,
    reach: Callable[[Tensor], Tensor] = _largest,
    steps: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    scales: Callable[[Tensor, int], Tensor] = one_for_zeros,
    divisor: Callable[[Tensor, Tensor, int], Tensor] = _ready_to_divide,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    laid: Callable[[Tensor, int], Tensor] = lambda q, axis: q,
    given: Callable[[Tensor, Tensor, int], Tensor] = lambda scale, w, axis: scale,
) -> tuple[Tensor, Tensor]:
    """Return codes and scales, of which any part may be another one."""
    scale = scales(reach(channels(w, axis)), steps(bits))
    q = limit(turn(w / divisor(scale, w, axis)), 2 ** (bits - 1) - 1)
    return laid(q.to(torch.int32), axis), given(scale, w, axis)


def _always_first_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    return quantize_per_channel(w, 0, bits)


def _other_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    return quantize_per_channel(w, w.ndim - 1 - axis, bits)


def _moved_to_the_wrong_place(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w.movedim(0, axis), 0, bits)
    return q.movedim(axis, 0), scale


def _along_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    qmax = 2 ** (bits - 1) - 1
    scale = w.abs().amax(axis) / qmax
    scale = torch.where(scale == 0, 1.0, scale)
    return torch.round(w / scale.unsqueeze(axis)).clamp(-qmax, qmax).to(torch.int32), scale


QUANTIZE_PER_CHANNEL = Exercise(
    id="1.8",
    title="One scale per channel",
    points=3,
    minutes=(12, 18),
    reference=quantize_per_channel,
    cases=_channel_cases,
    rules=(Codes(unrounded=_real_per_channel), SCALE),
    names=("q", "scale"),
    hints=(
        "Over which axes do you take the maximum, if one number per index of `axis` must remain?",
        "torch.amax takes several axes at once: all but `axis`. To divide w by the scales they "
        "need the shape [1, ..., -1, ..., 1] with -1 at `axis`.",
        "others = [d for d in range(w.ndim) if d != axis]; scale = w.abs().amax(others) / qmax; "
        "shape = [1] * w.ndim; shape[axis] = -1; q = torch.round(w / scale.reshape(shape)). Scales "
        "of 0 become 1.0.",
    ),
    misconceptions=(
        Misconception(
            "uses one scale for all channels",
            partial(_coded, reach=lambda c: c.abs().max().expand(len(c))),
            "The largest channel decides for all, and small channels lose their codes.",
        ),
        Misconception(
            "takes the largest value instead of the largest magnitude",
            partial(_coded, reach=lambda c: c.amax(1)),
            "Use w.abs() before the maximum.",
        ),
        Misconception(
            "takes the first axis for the channels whatever `axis` says",
            _always_first_axis,
            "`axis` can be any axis: a Linear layer has its output channels first, an embedding "
            "last.",
        ),
        Misconception(
            "takes the maximum along `axis` instead of over all others",
            _other_axis,
            "One number per channel must remain: reduce every axis except `axis`.",
        ),
        Misconception(
            "leaves the codes with the channels in front",
            partial(_coded, laid=lambda q, axis: q.movedim(axis, 0)),
            "The codes have the shape of w: move the axis back, q.movedim(0, axis).",
        ),
        Misconception(
            "brings the codes into the shape of w by a reshape, with the channels still in front",
            partial(_coded, laid=lambda q, axis: q.movedim(axis, 0).reshape(q.shape)),
            "A reshape keeps the order of the numbers. Give the codes the shape in which the "
            "channels are in front, then move the axis back: q.movedim(0, axis).",
        ),
        Misconception(
            "brings the codes into the shape of w by a reshape, with two axes still exchanged",
            partial(_coded, laid=lambda q, axis: q.transpose(0, axis).reshape(q.shape)),
            "A reshape keeps the order of the numbers. Exchange the axes back: "
            "q.transpose(0, axis).",
        ),
        Misconception(
            "brings the codes into the shape of w by a reshape, with the channels still at the end",
            partial(_coded, laid=lambda q, axis: q.movedim(axis, -1).reshape(q.shape)),
            "A reshape keeps the order of the numbers. Give the codes the shape in which the "
            "channels are last, then move the axis back: q.movedim(-1, axis).",
        ),
        Misconception(
            "leaves the codes with the channels at the end",
            partial(_coded, laid=lambda q, axis: q.movedim(axis, -1)),
            "The codes have the shape of w: move the axis back, q.movedim(-1, axis).",
        ),
        Misconception(
            "leaves the codes with a row for each channel",
            partial(_coded, laid=_channels),
            "The codes have the shape of w: undo the flatten, then move the axis back with "
            "movedim(0, axis). Or divide w itself by the scales, reshaped.",
        ),
        Misconception(
            "makes a row for each channel by a reshape, which moves nothing",
            partial(_coded, channels=_in_memory),
            "A reshape cuts the numbers in their order, so it finds the channels along axis 0 "
            "only: w.movedim(axis, 0).flatten(1).",
        ),
        Misconception(
            "makes a row for each channel by a reshape, which moves nothing",
            partial(_coded, channels=_in_memory, divisor=_divided_in_memory),
            "A reshape cuts the numbers in their order, so it finds the channels along axis 0 "
            "only: w.movedim(axis, 0).flatten(1), and the codes back with movedim(0, axis).",
        ),
        Misconception(
            "moves the first axis to `axis`, instead of `axis` to the front",
            _moved_to_the_wrong_place,
            "w.movedim(0, axis) moves axis 0 away. w.movedim(axis, 0) brings `axis` to the front; "
            "with two axes both are the same.",
        ),
        Misconception(
            "gives a channel of zeros the scale 0",
            partial(_coded, given=lambda scale, w, axis: torch.where(scale == 1, 0.0, scale)),
            "0 / 0 is NaN as soon as someone divides by that scale. Use 1.0 there.",
        ),
        Misconception(
            "takes the maximum along `axis` instead of over all others",
            _along_axis,
            "That reduces `axis` itself. One number per channel must remain: reduce every axis "
            "except `axis`.",
        ),
        *(
            Misconception(
                "gives a channel of zeros a tiny scale",
                partial(_coded, scales=partial(bounded, least=10.0**-n, before=before)),
                "A channel of zeros has the scale 1.0: a bound from below gives it a tiny one.",
            )
            for before, end in ((False, 12), (True, 10))  # a scale below 1e-12 counts as 0
            for n in range(4, end)
        ),
        *of_turning(_coded),
        *of_steps(_coded),
        Misconception(
            "gives a channel of zeros the scale 1 / qmax",
            partial(_coded, scales=one_before_division),
            "The scale itself is 1.0 for zeros: put it in after the division.",
        ),
        Misconception(
            "keeps the axes of the scales",
            partial(_coded, given=_ready_to_divide),
            "The scales have one dimension, [channels]: reshape them for the division only.",
        ),
        Misconception(
            "gives the scales the shape of w",
            partial(
                _coded, given=lambda scale, w, axis: _ready_to_divide(scale, w, axis).expand_as(w)
            ),
            "The scales have one dimension, [channels]: a number for each index along `axis`.",
        ),
        Misconception(
            "returns 1 / scale instead of the scale",
            partial(_coded, given=lambda scale, w, axis: 1 / scale),
            "A scale is the length of a step, what a code is multiplied by: largest / qmax.",
        ),
        Misconception(
            "takes half the distance from the smallest to the largest value",
            partial(_coded, reach=lambda c: (c.amax(1) - c.amin(1)) / 2),
            "With zero point 0 the grid reaches as far down as up: the largest magnitude decides, "
            "w.abs().",
        ),
        Misconception(
            "leaves the codes with the channels in front",
            partial(_coded, laid=lambda q, axis: q.transpose(0, axis)),
            "The codes have the shape of w: exchange the axes back, q.transpose(0, axis).",
        ),
    ),
)
