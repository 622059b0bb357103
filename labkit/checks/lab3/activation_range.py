"""Exercise 3.11: an activation function for free."""

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, UINT8, uniform
from labkit.checks.rules import Codes


def activation_range(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    """Return the codes between which clamping applies `activation`: "none", "relu" or "relu6"."""
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
    grids = [
        ("signed codes", 0.1, -20, INT8),
        ("unsigned codes", 0.07, 40, UINT8),
        ("a zero point at the lower end", 0.023, -128, INT8),
        ("a zero point of 0", 0.05, 0, INT8),
        ("steps so small that 6 is out of range", 0.01, 3, INT8),
        ("4 bits", 0.9, -5, INT4),
        ("drawn at random", uniform(rng, 0.04, 0.2), -33, INT8),
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


def _from_code_zero(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    low, high = activation_range(activation, scale, zero_point, qmin, qmax)
    return low, min(qmax, round(6 / scale)) if activation == "relu6" else high


def _six_as_code(
    activation: str, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[int, int]:
    low, high = activation_range(activation, scale, zero_point, qmin, qmax)
    return low, min(qmax, zero_point + 6) if activation == "relu6" else high


ACTIVATION_RANGE = Exercise(
    id="3.11",
    title="An activation function for free",
    points=1,
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
            _from_code_zero,
            "0.0 lies at zero_point, so 6.0 lies at zero_point + round(6 / scale).",
        ),
        Misconception(
            "takes 6 for a number of codes",
            _six_as_code,
            "6 is a real number: it is 6 / scale steps above 0.0.",
        ),
        Misconception(
            "treats relu6 as relu",
            lambda activation, scale, zero_point, qmin, qmax: activation_range(
                activation[:4], scale, zero_point, qmin, qmax
            ),
            "relu6 has an upper end as well, the code of 6.0.",
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
