"""Exercise 1.4: dequantize."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Rule


def dequantize(q: Tensor, scale: float, zero_point: int) -> Tensor:
    """Return the real values that the codes `q` stand for: (q - zero_point) * scale."""
    return (q.to(torch.int32) - zero_point) * scale


def _dequantize_cases(rng: torch.Generator) -> list[Case]:
    def codes(low: int, high: int, count: int = 3) -> Tensor:
        return torch.randint(low, high, (count,), generator=rng)

    wide = torch.randint(-500, 500, (5, 3), generator=rng, dtype=torch.int32)
    far = torch.randint(-32000, -30000, (2,), generator=rng, dtype=torch.int16)
    return [
        Case("the code of 0.0", (torch.tensor([7], dtype=torch.int8), 0.37, 7)),
        Case("zero point 0", (codes(-90, 90).char(), 0.1, 0)),
        Case("a zero point that is not 0", (codes(-90, 90).char(), 0.25, 5)),
        Case(
            "unsigned codes below the zero point",
            (torch.cat([codes(0, 100), codes(200, 256)]).byte(), 0.02, 128),
        ),
        Case(
            "signed codes far from the zero point",
            (torch.cat([codes(100, 128), codes(-128, -100)]).char(), 0.5, -120),
        ),
        Case("codes of 16 bits, far from the zero point", (far, 0.002, 9000)),
        Case("a matrix of 32-bit codes", (wide, 0.013, -77)),
        Case("codes of 64 bits", (codes(-90, 90), 0.3, 12)),
        Case("all codes equal", (codes(-100, 100, 1).char().expand(2, 2), 0.013, -4)),
    ]


def _wraps(q: Tensor, scale: float, zero_point: int) -> Tensor:
    return (q - torch.tensor(zero_point).to(q.dtype)) * scale


def _wraps_in_16_bits(q: Tensor, scale: float, zero_point: int) -> Tensor:
    return (q.to(torch.int16) - zero_point) * scale


DEQUANTIZE = Exercise(
    id="1.4",
    title="Dequantize",
    points=1,
    minutes=(5, 8),
    reference=dequantize,
    cases=_dequantize_cases,
    # q * scale - zero_point * scale, in float32, is right as well: about 1e-6 off.
    rules=(Rule(relative=1e-5, absolute=1e-5, dtype="float32"),),
    hints=(
        "Undo the steps of quantize, the last one first.",
        "Which dtype has q - zero_point if q is uint8? Try torch.tensor([3]).byte() - 128.",
        "(q.to(torch.int32) - zero_point) * scale: make room before you subtract.",
    ),
    misconceptions=(
        Misconception(
            "subtracts in 8 bits",
            _wraps,
            "The difference wraps around: 3 - 128 is 131 in uint8. Convert q to int32 or float32 "
            "first.",
        ),
        Misconception(
            "subtracts in 16 bits",
            _wraps_in_16_bits,
            "A difference of 16-bit codes needs 17 bits, and wraps around. Convert q to int32 or "
            "float32 first.",
        ),
        Misconception(
            "returns float64",
            lambda q, scale, zero_point: (q.double() - zero_point) * scale,
            "It takes twice the bytes, and no layer in float32 accepts it: end with .float().",
        ),
        Misconception(
            "leaves out the zero point",
            lambda q, scale, zero_point: q.to(torch.int32) * scale,
            "The code zero_point stands for 0.0: subtract it first.",
        ),
        Misconception(
            "adds the zero point",
            lambda q, scale, zero_point: (q.to(torch.int32) + zero_point) * scale,
            "Quantizing added it, so take it away.",
        ),
        Misconception(
            "subtracts the zero point after scaling",
            lambda q, scale, zero_point: q.to(torch.int32) * scale - zero_point,
            "zero_point is a code, not a real value: subtract it before you multiply.",
        ),
        Misconception(
            "divides by the scale",
            lambda q, scale, zero_point: (q.to(torch.int32) - zero_point) / scale,
            "scale is the real length of one step: steps times length.",
        ),
    ),
)
