"""Exercise 1.4: dequantize."""

from collections.abc import Callable
from functools import partial

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


def _valued(
    q: Tensor,
    scale: float,
    zero_point: int,
    *,
    wide: Callable[[Tensor], Tensor] = lambda q: q.to(torch.int32),
    centred: Callable[[Tensor, int], Tensor] = torch.sub,
    back: Callable[[Tensor, float, int], Tensor] = lambda steps, scale, zero_point: steps * scale,
    kept: Callable[[Tensor], Tensor] = lambda y: y,
) -> Tensor:
    """Return the values, of which any part may be another one."""
    return kept(back(centred(wide(q), zero_point), scale, zero_point))


def _as_it_is(q: Tensor, zero_point: int) -> Tensor:
    return q


def _in_its_dtype(q: Tensor, zero_point: int) -> Tensor:
    return q - torch.tensor(zero_point).to(q.dtype)


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
            "subtracts in the dtype of the codes",
            partial(_valued, wide=torch.clone, centred=_in_its_dtype),
            "The difference wraps around: 3 - 128 is 131 in uint8. Convert q to int32 or float32 "
            "first.",
        ),
        Misconception(
            "subtracts in 16 bits",
            partial(_valued, wide=lambda q: q.to(torch.int16)),
            "A difference of 16-bit codes needs 17 bits, and wraps around. Convert q to int32 or "
            "float32 first.",
        ),
        Misconception(
            "converts the codes to int8 first",
            partial(_valued, wide=lambda q: q.to(torch.int8).to(torch.int32)),
            "Unsigned codes above 127 turn negative in int8, and wider ones lose their upper bits: "
            "q.to(torch.int32).",
        ),
        Misconception(
            "converts the codes to uint8 first",
            partial(_valued, wide=lambda q: q.to(torch.uint8).to(torch.int32)),
            "Signed codes below 0 become large in uint8, -1 becomes 255: q.to(torch.int32).",
        ),
        Misconception(
            "returns float64",
            partial(_valued, kept=lambda y: y.double()),
            "It takes twice the bytes, and no layer in float32 accepts it: end with .float().",
        ),
        Misconception(
            "leaves out the zero point",
            partial(_valued, centred=_as_it_is),
            "The code zero_point stands for 0.0: subtract it first.",
        ),
        Misconception(
            "adds the zero point",
            partial(_valued, centred=torch.add),
            "Quantizing added it, so take it away.",
        ),
        Misconception(
            "subtracts the code from the zero point",
            partial(_valued, centred=lambda q, zero_point: zero_point - q),
            "A code above the zero point stands for a positive value: q - zero_point.",
        ),
        Misconception(
            "subtracts the zero point after scaling",
            partial(
                _valued,
                centred=_as_it_is,
                back=lambda q, scale, zero_point: q * scale - zero_point,
            ),
            "zero_point is a code, not a real value: subtract it before you multiply.",
        ),
        Misconception(
            "divides by the scale",
            partial(_valued, back=lambda steps, scale, zero_point: steps / scale),
            "scale is the real length of one step: steps times length.",
        ),
        Misconception(
            "leaves out the scale",
            partial(_valued, back=lambda steps, scale, zero_point: steps.float()),
            "q - zero_point counts steps: multiply by their length, scale.",
        ),
        Misconception(
            "adds the scale",
            partial(_valued, back=lambda steps, scale, zero_point: steps + scale),
            "q - zero_point counts steps of length scale: multiply.",
        ),
        Misconception(
            "rounds the result",
            partial(_valued, kept=torch.round),
            "What comes back are real values: (q - zero_point) * scale, without rounding.",
        ),
        Misconception(
            "converts the result to integers",
            partial(_valued, kept=lambda y: y.to(torch.int32)),
            "What comes back are real values: the decimals must stay.",
        ),
        Misconception(
            "drops the signs",
            partial(_valued, kept=torch.abs),
            "Codes below the zero point stand for negative values: return (q - zero_point) * "
            "scale without abs().",
        ),
        Misconception(
            "puts 0 for negative values",
            partial(_valued, kept=torch.relu),
            "Codes below the zero point stand for negative values: clamp nothing.",
        ),
    ),
)
