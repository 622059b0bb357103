"""Exercise 6.10: a scale for each block, and one for the tensor."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule

HAIR = 1e-6  # more than what rounding to float32 moves


def nvfp4_scales(x: Tensor) -> tuple[float, Tensor]:
    """Return the scale of the tensor, which is not all 0, and those of its blocks in E4M3."""
    return _scales(x)


def _e4m3(x: Tensor) -> Tensor:
    return x.to(torch.float8_e4m3fn).float()


def _powers(scales: Tensor, turn: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.where(scales > 0, torch.exp2(turn(torch.log2(scales))), 0.0)


def _scales(
    x: Tensor,
    *,
    magnitude: Callable[[Tensor], Tensor] = torch.abs,
    blocks: Callable[[Tensor], Tensor] = lambda x: x.reshape(-1, 16),
    level: float = 6,
    block_level: float | None = None,
    end: float = 448,
    units: Callable[[float], float] = lambda scale: scale,
    stored: Callable[[Tensor], Tensor] = _e4m3,
    given: Callable[[Tensor, float], Tensor] = lambda scales, tensor_scale: scales,
    told: Callable[[float], float] = lambda tensor_scale: tensor_scale,
) -> tuple[float, Tensor]:
    tensor_scale = float(magnitude(x).max()) / (level * end)
    largest = magnitude(blocks(x)).amax(1)
    scales = stored(largest / (block_level or level) / units(tensor_scale))
    return told(tensor_scale), given(scales, tensor_scale)


def _cases(rng: torch.Generator) -> list[Case]:
    while True:
        cases = _drawn(rng)
        if all(_clear(*case.args) for case in cases):
            return cases


def _clear(x: Tensor) -> bool:
    """Whether no block scale lies so near to a tie that the dtype of S_t would decide it."""
    _, low = _scales(x, units=lambda scale: scale * (1 + HAIR))
    _, high = _scales(x, units=lambda scale: scale * (1 - HAIR))
    return torch.equal(low, high)


def _drawn(rng: torch.Generator) -> list[Case]:
    uneven = randn(rng, 64) * torch.logspace(-3, 1, 4).repeat_interleave(16)
    outlier = randn(rng, 96)
    outlier[50] = -300.0

    def with_zeros() -> Tensor:
        sizes = torch.tensor([0.0, 1.0, 1e-7])  # the last is too small for E4M3
        return (sizes[torch.randperm(3, generator=rng)][:, None] * randn(rng, 3, 16)).flatten()

    return [
        Case("one block", (randn(rng, 16),)),
        Case("four blocks", (randn(rng, 64),)),
        Case("small weights", (1e-3 * randn(rng, 64),)),
        Case("large values", (1e4 * randn(rng, 48),)),
        Case("blocks of different sizes", (uneven,)),
        Case("a negative outlier", (outlier,)),
        Case("a block of zeros, and one too small for E4M3", (with_zeros(),)),
    ]


def _one_level(x: Tensor) -> tuple[float, Tensor]:
    return 1.0, _e4m3(x.reshape(-1, 16).abs().amax(1) / 6)


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
            partial(_scales, stored=torch.clone),
            "A block's scale has 8 bits: round it to E4M3.",
        ),
        Misconception(
            "rounds the block scales to whole numbers",
            partial(_scales, stored=lambda scales: scales.round().clamp(1, 448)),
            "E4M3 is a float: three bits of mantissa, at any size. "
            ".to(torch.float8_e4m3fn).float().",
        ),
        *(
            Misconception(
                "keeps the block scales above 0",
                partial(_scales, stored=stored),
                "A block of zeros has the scale 0, and so has one too small for E4M3: round, and "
                "leave it at that.",
            )
            for stored in (
                lambda scales: _e4m3(scales).clamp(min=2.0**-9),
                lambda scales: _e4m3(scales).clamp(min=2.0**-6),
                lambda scales: torch.where(_e4m3(scales) == 0, 1.0, _e4m3(scales)),
                lambda scales: torch.where(scales == 0, 1.0, _e4m3(scales)),
            )
        ),
        *(
            Misconception(
                "rounds the block scales to powers of two",
                partial(_scales, stored=partial(_powers, turn=turn)),
                "Powers of two are the scales of MXFP4. Those of NVFP4 are E4M3, with three bits "
                "of mantissa: .to(torch.float8_e4m3fn).float().",
            )
            for turn in (torch.floor, torch.round, torch.ceil)
        ),
        Misconception(
            "forgets to divide by the tensor's scale",
            partial(_scales, units=lambda scale: 1.0),
            "A weight is level * block scale * tensor scale: a block's scale counts in units of "
            "the tensor's.",
        ),
        Misconception(
            "multiplies by the tensor's scale",
            partial(_scales, units=lambda scale: 1 / scale),
            "A block's scale counts in units of the tensor's: divide by it.",
        ),
        Misconception(
            "scales the largest value to 448",
            partial(_scales, level=1, block_level=6),
            "448 is the largest block scale. A level of up to 6 multiplies it: 6 * 448.",
        ),
        Misconception(
            "scales the largest value to 6",
            partial(_scales, end=1),
            "Then no block scale is above 1, and E4M3 has no use for its upper binades: 6 * 448.",
        ),
        Misconception(
            "leaves out the 6 in the blocks",
            partial(_scales, block_level=1),
            "The largest level is 6, not 1: divide the block's largest value by 6.",
        ),
        Misconception(
            "leaves out the 6 of both scales",
            partial(_scales, level=1),
            "The largest level is 6, not 1: divide the largest value by 6 * 448, and each block's "
            "by 6.",
        ),
        Misconception(
            "looks at positive values only",
            partial(_scales, magnitude=torch.clone),
            "The largest magnitude: abs() before the maximum.",
        ),
        Misconception(
            "gives all blocks the same scale",
            partial(_scales, blocks=lambda x: x.expand(len(x) // 16, -1)),
            "Each block of 16 has a scale of its own: its own largest value decides.",
        ),
        Misconception(
            "rounds to E5M2",
            partial(_scales, stored=lambda scales: scales.to(torch.float8_e5m2).float()),
            "Block scales are E4M3, torch.float8_e4m3fn: a bit more of mantissa, a smaller range.",
        ),
        Misconception(
            "takes 7 for the largest level",
            partial(_scales, level=7),
            "7 is the largest code of four-bit integers. The levels are E2M1 (6.9), which ends at "
            "6.",
        ),
        Misconception(
            "takes 240 for the largest block scale",
            partial(_scales, end=240),
            "240 is the end of the E4M3 that keeps its highest exponent for infinity. That of "
            "torch and of NVFP4, `e4m3fn`, ends at 448.",
        ),
        Misconception(
            "rounds to the E4M3 that ends at 240",
            partial(_scales, stored=lambda scales: scales.to(torch.float8_e4m3fnuz).float()),
            "torch.float8_e4m3fnuz has another bias and ends at 240. NVFP4 has E4M3 with the end "
            "448: torch.float8_e4m3fn.",
        ),
        Misconception(
            "returns the inverse of the tensor's scale",
            partial(_scales, told=lambda scale: 1 / scale),
            "Libraries hand the inverse, 6 * 448 / max |x|, to their kernels. The scale itself is "
            "max |x| / (6 * 448).",
        ),
        Misconception(
            "makes blocks of distant values",
            partial(_scales, blocks=lambda x: x.reshape(16, -1).T),
            "A block are 16 neighbours: reshape(-1, 16), a row each.",
        ),
        Misconception(
            "multiplies the block scales by the tensor's",
            partial(_scales, given=lambda scales, tensor_scale: scales * tensor_scale),
            "Both scales are stored apart, and a block's is the E4M3 number itself: they are "
            "multiplied when a weight is read.",
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
