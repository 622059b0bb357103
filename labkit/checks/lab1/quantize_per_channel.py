"""Exercise 1.8: one scale per channel."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, neat, randn
from labkit.checks.lab1.quantize_symmetric import quantize_symmetric
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


def _one_scale(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_symmetric(w, bits)
    return q, torch.full((w.shape[axis],), scale)


def _signed_maximum(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    qmax = 2 ** (bits - 1) - 1
    largest = _channels(w, axis).amax(dim=1)
    scale = torch.where(largest != 0, largest / qmax, 1.0)
    shape = [1] * w.ndim
    shape[axis] = -1
    return torch.round(w / scale.reshape(shape)).clamp(-qmax, qmax).to(torch.int32), scale


def _always_first_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    return quantize_per_channel(w, 0, bits)


def _other_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    return quantize_per_channel(w, w.ndim - 1 - axis, bits)


def _moved_to_the_wrong_place(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w.movedim(0, axis), 0, bits)
    return q.movedim(axis, 0), scale


def _left_in_front(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w, axis, bits)
    return q.movedim(axis, 0), scale


def _zero_channel_nan(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    qmax = 2 ** (bits - 1) - 1
    scale = _channels(w, axis).abs().amax(dim=1) / qmax
    q, _ = quantize_per_channel(w, axis, bits)
    return q, scale


def _along_axis(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    qmax = 2 ** (bits - 1) - 1
    scale = w.abs().amax(axis) / qmax
    scale = torch.where(scale == 0, 1.0, scale)
    return torch.round(w / scale.unsqueeze(axis)).clamp(-qmax, qmax).to(torch.int32), scale


def _half_distance(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    qmax = 2 ** (bits - 1) - 1
    channels = _channels(w, axis)
    scale = (channels.amax(1) - channels.amin(1)) / 2 / qmax
    scale = torch.where(scale == 0, 1.0, scale)
    shape = [1] * w.ndim
    shape[axis] = -1
    return torch.round(w / scale.reshape(shape)).clamp(-qmax, qmax).to(torch.int32), scale


def _left_exchanged(w: Tensor, axis: int, bits: int) -> tuple[Tensor, Tensor]:
    q, scale = quantize_per_channel(w, axis, bits)
    return q.transpose(0, axis), scale


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
            _one_scale,
            "The largest channel decides for all, and small channels lose their codes.",
        ),
        Misconception(
            "takes the largest value instead of the largest magnitude",
            _signed_maximum,
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
            _left_in_front,
            "The codes have the shape of w: move the axis back, q.movedim(0, axis).",
        ),
        Misconception(
            "moves the first axis to `axis`, instead of `axis` to the front",
            _moved_to_the_wrong_place,
            "w.movedim(0, axis) moves axis 0 away. w.movedim(axis, 0) brings `axis` to the front; "
            "with two axes both are the same.",
        ),
        Misconception(
            "gives a channel of zeros the scale 0",
            _zero_channel_nan,
            "0 / 0 is NaN as soon as someone divides by that scale. Use 1.0 there.",
        ),
        Misconception(
            "takes the maximum along `axis` instead of over all others",
            _along_axis,
            "That reduces `axis` itself. One number per channel must remain: reduce every axis "
            "except `axis`.",
        ),
        Misconception(
            "takes half the distance from the smallest to the largest value",
            _half_distance,
            "With zero point 0 the grid reaches as far down as up: the largest magnitude decides, "
            "w.abs().",
        ),
        Misconception(
            "leaves the codes with the channels in front",
            _left_exchanged,
            "The codes have the shape of w: exchange the axes back, q.transpose(0, axis).",
        ),
    ),
)
