"""Exercise 1.3: quantize."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, NARROW, UINT8, neat, uniform
from labkit.checks.rules import Codes


def quantize(x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int) -> Tensor:
    """Return the codes of `x`: clamp(round(x / scale) + zero_point, qmin, qmax)."""
    q = torch.round(x / scale) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _unrounded(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[Tensor, int, int]:
    return x.double() / scale + zero_point, qmin, qmax


def _quantize_cases(rng: torch.Generator) -> list[Case]:
    inside = neat(rng, 5).clamp(-0.9, 0.9)
    far = 9 + neat(rng, 3).clamp(-1.5, 1.5)
    ties = 0.25 + 0.5 * torch.randint(-60, 60, (6,), generator=rng)
    outlier = torch.cat([neat(rng, 10), torch.tensor([60.0, -45.0])])
    scattered = neat(rng, 3, 5, 2).permute(2, 0, 1)
    return [
        Case("one value", (torch.tensor([0.777]), 0.031, -11, *INT8)),
        Case("values inside the range", (inside, 0.05, 0, *INT8)),
        Case("a zero point that is not 0", (inside, 0.05, 7, *INT8)),
        Case("unsigned codes, all above 127", (inside.abs(), 0.01, 130, *UINT8)),
        Case(
            "values above and below the range",
            (far * torch.tensor([1.0, -1.0, 1.0]), 0.05, 3, *INT8),
        ),
        Case("values out of range, few bits", (3 * neat(rng, 7), 0.21, -3, *INT4)),
        Case("a narrow range", (torch.tensor([-40.0, 40.0, 0.3]), 0.1, 0, *NARROW)),
        Case("all values equal", (torch.full((2, 3), uniform(rng, -1.5, -1)), 0.013, 120, *UINT8)),
        Case("exact ties", (ties, 0.5, 1, *INT8)),
        Case("outliers", (outlier, 0.02, -20, *INT8)),
        Case("a tensor of three dimensions, not contiguous", (scattered, 0.017, 5, *INT8)),
    ]


def _coded(
    x: Tensor,
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    shifted: Callable[[Tensor, int], Tensor] = torch.add,
    limit: Callable[[Tensor, int, int], Tensor] = torch.clamp,
    kept: Callable[[Tensor], Tensor] = lambda q: q.to(torch.int32),
) -> Tensor:
    """Return the codes, of which any part may be another one."""
    return kept(limit(shifted(turn(steps(x, scale)), zero_point), qmin, qmax))


def _wrapped(q: Tensor, qmin: int, qmax: int) -> Tensor:
    dtype = torch.uint8 if qmin >= 0 else torch.int8
    return q.to(torch.int64).to(dtype).to(torch.int32).clamp(qmin, qmax)


# What cards know; a good test of properties need not catch it.
MORE = (
    Misconception(
        "clamps above only",
        partial(_coded, limit=lambda q, qmin, qmax: q.clamp(max=qmax)),
        "Codes end on both sides: clamp to qmin as well.",
    ),
    Misconception(
        "clamps below only",
        partial(_coded, limit=lambda q, qmin, qmax: q.clamp(min=qmin)),
        "Codes end on both sides: clamp to qmax as well.",
    ),
    Misconception(
        "puts 0 for what is out of range",
        partial(_coded, limit=lambda q, qmin, qmax: q * ((q >= qmin) & (q <= qmax))),
        "What is out of range gets the code at that end: clamp(qmin, qmax).",
    ),
    Misconception(
        "cuts off decimals before it adds the zero point",
        partial(_coded, turn=torch.trunc),
        "A conversion to integers cuts towards 0. Use torch.round instead.",
    ),
    Misconception(
        "rounds up instead of to the nearest",
        partial(_coded, turn=torch.ceil),
        "ceil is off by up to a whole step, and always to the same side. Use torch.round.",
    ),
    Misconception(
        "rounds x before it divides",
        lambda x, scale, zero_point, qmin, qmax: quantize(
            torch.round(x), scale, zero_point, qmin, qmax
        ),
        "What is rounded is the number of steps: torch.round(x / scale).",
    ),
    Misconception(
        "adds the zero point to x",
        lambda x, scale, zero_point, qmin, qmax: quantize(x + zero_point, scale, 0, qmin, qmax),
        "zero_point is a code: add it to torch.round(x / scale), not to x.",
    ),
    Misconception(
        "does not divide by the scale",
        partial(_coded, steps=lambda x, scale: x),
        "A code counts steps of length scale: x / scale.",
    ),
    Misconception(
        "clamps x instead of its code",
        lambda x, scale, zero_point, qmin, qmax: _coded(
            x.clamp(qmin, qmax), scale, zero_point, qmin, qmax, limit=lambda q, *ends: q
        ),
        "qmin and qmax are codes: divide, round and add zero_point, then clamp.",
    ),
    Misconception(
        "returns int8, whatever the range is",
        partial(_coded, kept=lambda q: q.to(torch.int64).to(torch.int8)),
        "Unsigned codes above 127 wrap around in int8, 200 becomes -56: use torch.int32.",
    ),
    Misconception(
        "returns uint8, whatever the range is",
        partial(_coded, kept=lambda q: q.to(torch.int64).to(torch.uint8)),
        "Codes below 0 wrap around in uint8, -1 becomes 255: use torch.int32.",
    ),
)


QUANTIZE = Exercise(
    id="1.3",
    title="Quantize",
    points=2,
    minutes=(10, 15),
    reference=quantize,
    cases=_quantize_cases,
    rules=(Codes(unrounded=_unrounded),),
    hints=(
        "Four steps in this order: divide, round, shift, clamp. Which of them must come before the "
        "conversion to integers?",
        "torch.round(x / scale) counts steps from 0.0; zero_point moves 0.0 to its code; "
        "torch.clamp(q, qmin, qmax) keeps what fits.",
        "q = torch.round(x / scale) + zero_point, then q.clamp(qmin, qmax), then .to(torch.int32) "
        "last of all.",
    ),
    misconceptions=(
        Misconception(
            "converts to integers before it clamps",
            partial(_coded, limit=_wrapped),
            "A code that does not fit wraps around: 170 becomes -86. Clamp first, convert last.",
        ),
        Misconception(
            "does not clamp",
            partial(_coded, limit=lambda q, qmin, qmax: q),
            "Codes outside [qmin, qmax] do not exist in the hardware: clamp them.",
        ),
        Misconception(
            "cuts off decimals instead of rounding",
            partial(_coded, turn=torch.clone),
            "A conversion to integers cuts towards 0. Use torch.round before it.",
        ),
        Misconception(
            "rounds down instead of to the nearest",
            partial(_coded, turn=torch.floor),
            "floor is off by up to a whole step, and always to the same side. Use torch.round.",
        ),
        Misconception(
            "leaves out the zero point",
            partial(_coded, shifted=lambda q, zero_point: q),
            "Add zero_point: the code of 0.0 is zero_point.",
        ),
        Misconception(
            "subtracts the zero point",
            partial(_coded, shifted=torch.sub),
            "Quantizing adds zero_point; dequantizing takes it away.",
        ),
        Misconception(
            "multiplies by the scale",
            partial(_coded, steps=torch.mul),
            "scale is the length of a step: x / scale counts the steps.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            lambda x, scale, zero_point, qmin, qmax: (
                torch.round(x / scale).clamp(qmin, qmax) + zero_point
            ).to(torch.int32),
            "The sum can leave the range again. Clamp after adding zero_point.",
        ),
        Misconception(
            "makes a scale of its own",
            lambda x, scale, zero_point, qmin, qmax: quantize(
                x, float(x.abs().max()) / qmax, zero_point, qmin, qmax
            ),
            "The scale is given, for all tensors that share it: divide by `scale`, whatever x "
            "holds.",
        ),
        *MORE,
    ),
)
