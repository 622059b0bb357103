"""Exercise 3.11: an activation function for free."""

import math
from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, UINT8, one
from labkit.checks.rules import Codes


def activation_range(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    """Return the codes between which clamping applies `activation`: "none", "relu" or "relu6".

    The zero point lies in [qmin, qmax].
    """
    low, high = qmin, qmax
    if activation in ("relu", "relu6"):
        low = zero_point
    if activation == "relu6":
        high = min(qmax, zero_point + round(6 / scale))
    return low, high


def _real_high(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, int, int]:
    return zero_point + (6 / scale if activation == "relu6" else float(qmax)), qmin, qmax


def _activation_cases(rng: torch.Generator) -> list[Case]:
    def six_at(fewest: int, most: int, beyond: float) -> float:
        """Return a scale of which 6.0 is fewest to most whole steps and a little beyond."""
        return round(6 / (one(rng, fewest, most) + beyond), 5)

    grids = [
        ("signed codes", six_at(50, 90, 0.3), one(rng, -50, -10), INT8),
        ("unsigned codes", six_at(60, 110, 0.7), one(rng, 20, 90), UINT8),
        ("a zero point at the lower end", six_at(140, 230, 0.3), -128, INT8),
        ("a zero point of 0", six_at(60, 110, 0.7), 0, INT8),
        ("steps so small that 6 is out of range", six_at(200, 600, 0.3), one(rng, 2, 40), INT8),
        ("4 bits", six_at(5, 8, 0.7), one(rng, -6, -3), INT4),
    ]
    return [
        Case(f"{activation}: {label}", (activation, scale, zero_point, *codes))
        for activation in ("none", "relu", "relu6")
        for label, scale, zero_point, codes in grids
    ]


def _zero_as_low(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    low, high = activation_range(activation, scale, zero_point, qmin, qmax)
    return (low if activation == "none" else 0), high


def _beyond_qmax(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    return activation_range(
        activation, scale, zero_point, qmin, qmax if activation != "relu6" else 2**31
    )


def _six_at(end: Callable[[float, int], float]) -> Callable[..., tuple[int, float]]:
    """Return a range whose relu6 ends at ``end(scale, zero_point)``, or at qmax."""

    def wrong(
        activation: str, scale: float, zero_point: int, qmin: int, qmax: int
    ) -> tuple[int, float]:
        low, high = activation_range(activation, scale, zero_point, qmin, qmax)
        return low, min(qmax, end(scale, zero_point)) if activation == "relu6" else high

    return wrong


def _relu6_from_qmin(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    low, high = activation_range(activation, scale, zero_point, qmin, qmax)
    return (qmin if activation == "relu6" else low), high


ACTIVATION_RANGE = Exercise(
    id="3.11",
    title="An activation function for free",
    points=1,
    minutes=(5, 8),
    extra=True,
    reference=activation_range,
    cases=_activation_cases,
    rules=(Codes(), Codes(unrounded=_real_high)),
    names=("low", "high"),
    hints=(
        "relu(y) = max(y, 0). Which code stands for 0.0?",
        "Clamping at zero_point from below is relu. For relu6 find the code of 6.0 as in lab 1.",
        "low = zero_point for relu and relu6, else qmin. high = min(qmax, zero_point + "
        "round(6 / scale)) for relu6, else qmax.",
    ),
    misconceptions=(
        Misconception(
            "forgets the zero point",
            lambda activation, scale, zero_point, qmin, qmax: activation_range(
                activation, scale, 0, qmin, qmax
            ),
            "0.0 has the code zero_point, and 6.0 lies round(6 / scale) steps above it.",
        ),
        Misconception(
            "clamps at the code 0",
            _zero_as_low,
            "0.0 has the code zero_point: that is where relu clamps.",
        ),
        Misconception(
            "lets relu6 end beyond qmax",
            _beyond_qmax,
            "A code above qmax does not exist: min(qmax, ...).",
        ),
        Misconception(
            "counts the steps up to 6 from the code 0",
            _six_at(lambda scale, zero_point: round(6 / scale)),
            "0.0 lies at zero_point, so 6.0 lies at zero_point + round(6 / scale).",
        ),
        Misconception(
            "takes 6 for a number of codes",
            _six_at(lambda scale, zero_point: zero_point + 6),
            "6 is a real number: it is 6 / scale steps above 0.0.",
        ),
        Misconception(
            "takes 6 for a code",
            _six_at(lambda scale, zero_point: 6),
            "6 is a real number: it is 6 / scale steps above 0.0, and 0.0 lies at zero_point.",
        ),
        Misconception(
            "multiplies 6 by the scale",
            _six_at(lambda scale, zero_point: zero_point + round(6 * scale)),
            "scale is the length of a step: 6 is 6 / scale steps.",
        ),
        Misconception(
            "takes the zero point away",
            _six_at(lambda scale, zero_point: round(6 / scale) - zero_point),
            "On the way to codes it is added: zero_point + round(6 / scale).",
        ),
        Misconception(
            "cuts off the decimals of 6 / scale",
            _six_at(lambda scale, zero_point: zero_point + int(6 / scale)),
            "The code of 6.0 is the nearest, as in quantization: round(6 / scale).",
        ),
        Misconception(
            "rounds 6 / scale up",
            _six_at(lambda scale, zero_point: zero_point + math.ceil(6 / scale)),
            "The code of 6.0 is the nearest, as in quantization: round(6 / scale).",
        ),
        Misconception(
            "does not round 6 / scale",
            _six_at(lambda scale, zero_point: zero_point + 6 / scale),
            "A code is whole: round(6 / scale).",
        ),
        Misconception(
            "treats relu6 as relu",
            lambda activation, scale, zero_point, qmin, qmax: activation_range(
                activation[:4], scale, zero_point, qmin, qmax
            ),
            "relu6 has an upper end as well, the code of 6.0.",
        ),
        Misconception(
            "leaves out the lower end of relu6",
            _relu6_from_qmin,
            "relu6 is relu with an upper end: clamp at zero_point as well.",
        ),
        Misconception(
            "returns the upper end first",
            lambda *args: activation_range(*args)[::-1],
            "The lower end comes first: return low, high.",
        ),
        Misconception(
            "applies relu even where there is none",
            lambda activation, scale, zero_point, qmin, qmax: activation_range(
                "relu" if activation == "none" else activation, scale, zero_point, qmin, qmax
            ),
            'With "none" all codes are allowed, from qmin to qmax.',
        ),
    ),
)
