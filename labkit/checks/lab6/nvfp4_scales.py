"""Exercise 6.10: a scale for each block, and one for the tensor."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def nvfp4_scales(x: Tensor) -> tuple[float, Tensor]:
    """Return the scale of the tensor, which is not all 0, and those of its blocks in E4M3."""
    tensor_scale = float(x.abs().max()) / (6 * 448)
    return tensor_scale, _e4m3(_largest(x) / 6 / tensor_scale)


def _largest(x: Tensor) -> Tensor:
    return x.reshape(-1, 16).abs().amax(1)


def _e4m3(x: Tensor) -> Tensor:
    return x.to(torch.float8_e4m3fn).float()


def _cases(rng: torch.Generator) -> list[Case]:
    uneven = randn(rng, 64) * torch.logspace(-3, 1, 4).repeat_interleave(16)
    outlier = randn(rng, 96)
    outlier[50] = -300.0
    return [
        Case("one block", (randn(rng, 16),)),
        Case("four blocks", (randn(rng, 64),)),
        Case("small weights", (1e-3 * randn(rng, 64),)),
        Case("large values", (1e4 * randn(rng, 48),)),
        Case("blocks of different sizes", (uneven,)),
        Case("a negative outlier", (outlier,)),
    ]


def _one_level(x: Tensor) -> tuple[float, Tensor]:
    return 1.0, _e4m3(_largest(x) / 6)


def _by(divisor: float):
    def wrong(x: Tensor) -> tuple[float, Tensor]:
        scale = float(x.abs().max()) / divisor
        return scale, _e4m3(_largest(x) / 6 / scale)

    return wrong


def _signed(x: Tensor) -> tuple[float, Tensor]:
    scale = float(x.max()) / (6 * 448)
    return scale, _e4m3(x.reshape(-1, 16).amax(1) / 6 / scale)


def _to(dtype: torch.dtype, x: Tensor) -> tuple[float, Tensor]:
    scale = nvfp4_scales(x)[0]
    return scale, (_largest(x) / 6 / scale).to(dtype).float()


def _sevenths(x: Tensor) -> tuple[float, Tensor]:
    scale = float(x.abs().max()) / (7 * 448)
    return scale, _e4m3(_largest(x) / 7 / scale)


def _distant(x: Tensor) -> tuple[float, Tensor]:
    scale = nvfp4_scales(x)[0]
    return scale, _e4m3(x.reshape(16, -1).abs().amax(0) / 6 / scale)


NVFP4_SCALES = Exercise(
    id="6.10",
    title="A scale of two levels",
    points=2,
    reference=nvfp4_scales,
    cases=_cases,
    rules=(Rule(relative=1e-4), Rule(relative=1e-4)),
    names=("tensor scale", "block scales"),
    hints=(
        "The largest value of the whole tensor shall become the largest level times the largest "
        "block scale: 6 * 448. That is the tensor's scale.",
        "A block's scale is its largest value over 6, counted in units of the tensor's scale, and "
        "rounded to E4M3: .to(torch.float8_e4m3fn).float().",
        "tensor_scale = float(x.abs().max()) / (6 * 448); largest = x.reshape(-1, 16).abs().amax(1)"
        "; return tensor_scale, (largest / 6 / tensor_scale).to(torch.float8_e4m3fn).float().",
    ),
    misconceptions=(
        Misconception(
            "has no scale for the tensor",
            _one_level,
            "E4M3 ends at 448 and, below, at 2^-9: the weights of a network would fall off its "
            "lower end. The tensor's scale moves all blocks up.",
        ),
        Misconception(
            "leaves the block scales in float32",
            lambda x: (nvfp4_scales(x)[0], _largest(x) / 6 / nvfp4_scales(x)[0]),
            "A block's scale has 8 bits: round it to E4M3.",
        ),
        Misconception(
            "forgets to divide by the tensor's scale",
            lambda x: (nvfp4_scales(x)[0], _e4m3(_largest(x) / 6)),
            "A weight is level * block scale * tensor scale: a block's scale counts in units of "
            "the tensor's.",
        ),
        Misconception(
            "scales the largest value to 448",
            _by(448),
            "448 is the largest block scale. A level of up to 6 multiplies it: 6 * 448.",
        ),
        Misconception(
            "scales the largest value to 6",
            _by(6),
            "Then no block scale is above 1, and E4M3 has no use for its upper binades: 6 * 448.",
        ),
        Misconception(
            "leaves out the 6 in the blocks",
            lambda x: (nvfp4_scales(x)[0], _e4m3(_largest(x) / nvfp4_scales(x)[0])),
            "The largest level is 6, not 1: divide the block's largest value by 6.",
        ),
        Misconception(
            "looks at positive values only",
            _signed,
            "The largest magnitude: abs() before the maximum.",
        ),
        Misconception(
            "gives all blocks the same scale",
            lambda x: (nvfp4_scales(x)[0], torch.full((len(x) // 16,), 448.0)),
            "Each block of 16 has a scale of its own: its own largest value decides.",
        ),
        Misconception(
            "rounds to E5M2",
            lambda x: _to(torch.float8_e5m2, x),
            "Block scales are E4M3, torch.float8_e4m3fn: a bit more of mantissa, a smaller range.",
        ),
        Misconception(
            "takes 7 for the largest level",
            _sevenths,
            "7 is the largest code of four-bit integers. The levels are E2M1 (6.9), which ends at "
            "6.",
        ),
        Misconception(
            "takes 240 for the largest block scale",
            _by(6 * 240),
            "240 is the end of the E4M3 that keeps its highest exponent for infinity. That of "
            "torch and of NVFP4, `e4m3fn`, ends at 448.",
        ),
        Misconception(
            "makes blocks of distant values",
            _distant,
            "A block are 16 neighbours: reshape(-1, 16), a row each.",
        ),
        Misconception(
            "multiplies the block scales by the tensor's",
            lambda x: (nvfp4_scales(x)[0], nvfp4_scales(x)[1] * nvfp4_scales(x)[0]),
            "Both scales are stored apart, and a block's is the E4M3 number itself: they are "
            "multiplied when a weight is read.",
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
