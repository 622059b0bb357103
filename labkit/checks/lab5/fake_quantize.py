"""Exercise 5.1: fake quantization."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.lab5.inputs import INT4, INT8, TERNARY, UINT4, UINT8, between_ties
from labkit.checks.rules import Rule


def fake_quantize(x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int) -> Tensor:
    """Return `x` rounded to the grid, as real numbers."""
    q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax)
    return (q - zero_point) * scale


def _cases(rng: torch.Generator) -> list[Case]:
    s = [uniform(rng, 0.03, 0.9) for _ in range(8)]
    beyond = torch.tensor([100.0, -100.0, 0.0])
    zero_point = int(torch.randint(3, 12, (), generator=rng))
    # float32 has the multiples of 1024 up to 2^34. The range is narrow enough to list it.
    far, end = 2**33, 2**33 + 2**16
    thousands = 1024.0 * torch.tensor([0, one(rng, 1, 63), one(rng, 65, 99), -one(rng, 1, 9)])
    return [
        Case("one number", (between_ties(rng, s[6], 1, 6, 1), s[6], 0, *INT4)),
        Case("4 bits", (between_ties(rng, s[0], -7, 7, 9), s[0], 0, *INT4)),
        Case(
            "a zero point that is not 0", (between_ties(rng, s[1], -3, 12, 3, 4), s[1], 3, *UINT4)
        ),
        Case("values above and below the range", (beyond, s[7], zero_point, *UINT4)),
        Case("some out of range", (between_ties(rng, s[2], -20, 20, 4, 5), s[2], -2, *INT4)),
        Case("ternary", (between_ties(rng, s[3], -3, 3, 3, 2, 2), s[3], 0, *TERNARY)),
        Case("8 bits, unsigned", (between_ties(rng, s[4], -90, 250, 40), s[4], 77, *UINT8)),
        Case("codes that int32 does not hold", (thousands, 1.0, far, far, end)),
        Case("8 bits, signed", (between_ties(rng, s[5], -150, 150, 40), s[5], 0, *INT8)),
    ]


FAKE_QUANTIZE = Exercise(
    id="5.1",
    title="Fake quantization",
    points=1,
    minutes=(8, 12),
    reference=fake_quantize,
    cases=_cases,
    rules=(Rule(relative=1e-5, absolute=1e-6),),
    hints=(
        "Quantize as in lab 1, then dequantize at once. Nothing has to become an integer dtype.",
        "q = clamp(round(x / scale) + zero_point, qmin, qmax) can stay float32: torch.round and "
        "clamp work on real tensors. Then come back.",
        "q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax); return (q - zero_point) * "
        "scale.",
    ),
    misconceptions=(
        Misconception(
            "returns the codes",
            lambda x, scale, zero_point, qmin, qmax: (torch.round(x / scale) + zero_point).clamp(
                qmin, qmax
            ),
            "The next layer computes with real numbers: turn the codes back, (q - Z) * scale.",
        ),
        Misconception(
            "leaves the zero point in",
            lambda x, scale, zero_point, qmin, qmax: (
                (torch.round(x / scale) + zero_point).clamp(qmin, qmax) * scale
            ),
            "On the way back the zero point comes off again: (q - Z) * scale.",
        ),
        Misconception(
            "does not clamp",
            lambda x, scale, zero_point, qmin, qmax: torch.round(x / scale) * scale,
            "Codes beyond qmin and qmax do not exist. Without the clamp the network learns to use "
            "numbers that it will not have.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            lambda x, scale, zero_point, qmin, qmax: (
                torch.round(x / scale).clamp(qmin, qmax) * scale
            ),
            "qmin and qmax are codes: add zero_point first, then clamp.",
        ),
        Misconception(
            "rounds down",
            lambda x, scale, zero_point, qmin, qmax: (
                ((torch.floor(x / scale) + zero_point).clamp(qmin, qmax) - zero_point) * scale
            ),
            "floor goes to the code below, off by up to a whole step. Use torch.round.",
        ),
        Misconception(
            "multiplies by the scale on the way in",
            lambda x, scale, zero_point, qmin, qmax: (
                ((torch.round(x * scale) + zero_point).clamp(qmin, qmax) - zero_point) / scale
            ),
            "scale is the length of a step: divide to count steps, multiply to come back.",
        ),
        Misconception(
            "does not round",
            lambda x, scale, zero_point, qmin, qmax: (
                ((x / scale + zero_point).clamp(qmin, qmax) - zero_point) * scale
            ),
            "Without torch.round nothing is quantized: only whole codes exist.",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda x, scale, zero_point, qmin, qmax: (
                ((torch.trunc(x / scale) + zero_point).clamp(qmin, qmax) - zero_point) * scale
            ),
            "Converting to an integer dtype drops what is behind the point (and the gradient). Use "
            "torch.round, and stay real.",
        ),
        Misconception(
            "clamps x instead of its code",
            lambda x, scale, zero_point, qmin, qmax: (
                torch.round(x.clamp(qmin, qmax) / scale) * scale
            ),
            "qmin and qmax are codes: divide by scale, round and add zero_point before you clamp.",
        ),
        Misconception(
            "goes through int32",
            lambda x, scale, zero_point, qmin, qmax: (
                (
                    (
                        (torch.round(x / scale) + zero_point)
                        .clamp(qmin, qmax)
                        .clamp(-(2.0**31), 2.0**31)
                    )
                    .to(torch.int64)
                    .to(torch.int32)
                    - zero_point
                )
                * scale
            ),
            "A conversion to an integer dtype cuts the gradient off, and int32 ends at 2^31. Stay "
            "real: torch.round and clamp do.",
        ),
        Misconception(
            "clamps to 8 bits",
            lambda x, scale, zero_point, qmin, qmax: (
                ((torch.round(x / scale) + zero_point).clamp(-128, 127) - zero_point) * scale
            ),
            "The range is an argument: clamp to qmin and qmax.",
        ),
        Misconception(
            "takes the zero point off after scaling",
            lambda x, scale, zero_point, qmin, qmax: (
                (torch.round(x / scale) + zero_point).clamp(qmin, qmax) * scale - zero_point
            ),
            "zero_point is a code: take it off first, then multiply by the scale.",
        ),
        Misconception(
            "has the zero point's sign turned round",
            lambda x, scale, zero_point, qmin, qmax: fake_quantize(
                x, scale, -zero_point, qmin, qmax
            ),
            "q = round(x / scale) + zero_point on the way in, q - zero_point on the way back.",
        ),
    ),
)
