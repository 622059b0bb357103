"""Exercise 3.11: an activation function for free."""

import math
from collections.abc import Callable, Collection
from functools import partial

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
        ("unsigned codes", six_at(60, 110, 0.7), one(rng, 70, 110), UINT8),
        ("a zero point at the lower end", six_at(140, 230, 0.3), -128, INT8),
        ("a zero point of 0", six_at(60, 110, 0.7), 0, INT8),
        ("steps so small that 6 is out of range", six_at(200, 600, 0.3), one(rng, 2, 40), INT8),
        ("4 bits", six_at(5, 8, 0.7), one(rng, -6, -3), INT4),
        # Cutting off rounds up below the code 0, whatever was added before.
        ("6.0 below the code 0", six_at(20, 40, 0.3), one(rng, -120, -70), INT8),
        ("6.0 a little below a code below 0", six_at(20, 40, 0.8), one(rng, -120, -70), INT8),
    ]
    return [
        Case(f"{activation}: {label}", (activation, scale, zero_point, *codes))
        for activation in ("none", "relu", "relu6")
        for label, scale, zero_point, codes in grids
    ]


BOTH = frozenset({"relu", "relu6"})


def _ranged(
    activation: str,
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    zero: Callable[[int], int] = lambda zero_point: zero_point,
    ends: Callable[[int, int], tuple[int, int]] = lambda qmin, qmax: (qmin, qmax),
    least: Callable[[int, int], int] = lambda zero, qmin: zero,
    low_for: Collection[str] = BOTH,
    steps: Callable[[float], float] = lambda scale: round(6 / scale),
    six: Callable[[float, int], float] = lambda steps, zero: zero + steps,
    capped: Callable[[float, int], float] = min,
    high_for: Collection[str] = frozenset({"relu6"}),
    ordered: Callable[[float, float], tuple[float, float]] = lambda low, high: (low, high),
) -> tuple[float, float]:
    """Return the ends of the codes, of which any part may be another one."""
    code = zero(zero_point)
    bottom, top = ends(qmin, qmax)
    low = least(code, qmin) if activation in low_for else bottom
    high = capped(six(steps(scale), code), qmax) if activation in high_for else top
    return ordered(low, high)


def _always(codes: tuple[int, int]) -> Callable[[int, int], tuple[int, int]]:
    return lambda qmin, qmax: codes


def _real_steps(scale: float) -> float:
    return 6 / scale


NEAREST = "The code of 6.0 is the nearest, as in quantization: round(6 / scale)."
IS_ZERO = "0.0 has the code zero_point, which is where relu clamps: low = zero_point."
FROM_ZERO = "0.0 lies at zero_point, so 6.0 lies at zero_point + round(6 / scale)."
NO_SUCH_CODE = "A code above qmax does not exist: min(qmax, ...)."


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
        "low = zero_point for relu and relu6, else qmin. high = min(qmax, zero_point + round(6 / "
        "scale)) for relu6, else qmax.",
    ),
    misconceptions=(
        Misconception(
            "forgets the zero point",
            partial(_ranged, zero=lambda zero_point: 0),
            "0.0 has the code zero_point, and 6.0 lies round(6 / scale) steps above it.",
        ),
        Misconception(
            "clamps at the code 0",
            partial(_ranged, least=lambda zero, qmin: 0),
            IS_ZERO,
        ),
        Misconception(
            "clamps at the larger of the zero point and the code 0",
            partial(_ranged, least=lambda zero, qmin: max(zero, 0)),
            IS_ZERO,
        ),
        Misconception(
            "clamps one above the zero point",
            partial(_ranged, least=lambda zero, qmin: zero + 1),
            "0.0 itself is a result of relu, with the code zero_point: clamp there.",
        ),
        Misconception(
            "clamps at minus the zero point",
            partial(_ranged, least=lambda zero, qmin: -zero),
            IS_ZERO,
        ),
        Misconception(
            "adds the zero point to `qmin` for the lower end",
            partial(_ranged, least=lambda zero, qmin: qmin + zero),
            IS_ZERO,
        ),
        Misconception(
            "lets relu6 end beyond qmax",
            partial(_ranged, capped=lambda code, qmax: code),
            NO_SUCH_CODE,
        ),
        Misconception(
            "takes the larger of the two upper ends",
            partial(_ranged, capped=max),
            "Both ends hold, so the lower one of the two counts: min(qmax, zero_point + round(6 "
            "/ scale)).",
        ),
        Misconception(
            "ends at 255, whatever qmax is",
            partial(_ranged, capped=lambda code, qmax: min(code, 255)),
            "Codes may be signed, or have 4 bits: min(qmax, ...).",
        ),
        Misconception(
            "counts the steps up to 6 from the code 0",
            partial(_ranged, six=lambda steps, zero: steps),
            FROM_ZERO,
        ),
        Misconception(
            "takes 6 for a number of codes",
            partial(_ranged, steps=lambda scale: 6),
            "6 is a real number: it is 6 / scale steps above 0.0.",
        ),
        Misconception(
            "takes 6 for a code",
            partial(_ranged, steps=lambda scale: 6, six=lambda steps, zero: steps),
            "6 is a real number: it is 6 / scale steps above 0.0, and 0.0 lies at zero_point.",
        ),
        Misconception(
            "multiplies 6 by the scale",
            partial(_ranged, steps=lambda scale: round(6 * scale)),
            "scale is the length of a step: 6 is 6 / scale steps.",
        ),
        Misconception(
            "subtracts the zero point",
            partial(_ranged, six=lambda steps, zero: steps - zero),
            "On the way to codes it is added: zero_point + round(6 / scale).",
        ),
        Misconception(
            "takes the steps off the zero point",
            partial(_ranged, six=lambda steps, zero: zero - steps),
            "6.0 lies above 0.0: zero_point + round(6 / scale).",
        ),
        Misconception(
            "cuts off the decimals of 6 / scale",
            partial(_ranged, steps=lambda scale: int(6 / scale)),
            NEAREST,
        ),
        Misconception(
            "rounds 6 / scale up",
            partial(_ranged, steps=lambda scale: math.ceil(6 / scale)),
            NEAREST,
        ),
        Misconception(
            "does not round 6 / scale",
            partial(_ranged, steps=_real_steps),
            "A code is whole: round(6 / scale).",
        ),
        Misconception(
            "divides 1 by the scale",
            partial(_ranged, steps=lambda scale: round(1 / scale)),
            "relu6 ends at 6.0, which is 6 / scale steps above 0.0.",
        ),
        Misconception(
            "treats relu6 as relu",
            partial(_ranged, high_for=()),
            "relu6 has an upper end as well, the code of 6.0.",
        ),
        Misconception(
            "ends relu at 6 as well",
            partial(_ranged, high_for=BOTH),
            'relu has no upper end: only relu6 has, so ask for "relu6" exactly.',
        ),
        Misconception(
            "leaves out the lower end of relu6",
            partial(_ranged, low_for=("relu",)),
            "relu6 is relu with an upper end: clamp at zero_point as well.",
        ),
        Misconception(
            "leaves out the lower end of relu",
            partial(_ranged, low_for=("relu6",)),
            "relu(y) = max(y, 0): both of them clamp at zero_point.",
        ),
        Misconception(
            "leaves out the lower ends",
            partial(_ranged, low_for=()),
            "relu(y) = max(y, 0): relu and relu6 clamp at zero_point.",
        ),
        Misconception(
            "returns the upper end first",
            partial(_ranged, ordered=lambda low, high: (high, low)),
            "The lower end comes first: return low, high.",
        ),
        Misconception(
            "applies relu even where there is none",
            partial(_ranged, low_for=("none", "relu", "relu6")),
            'With "none" all codes are allowed, from qmin to qmax.',
        ),
        Misconception(
            "applies relu6 even where there is none",
            partial(_ranged, low_for=("none", "relu", "relu6"), high_for=("none", "relu6")),
            'With "none" all codes are allowed, from qmin to qmax.',
        ),
        Misconception(
            "ends at 127, whatever qmax is",
            partial(_ranged, capped=lambda code, qmax: min(code, 127)),
            "Codes may be unsigned, or have 4 bits: min(qmax, ...).",
        ),
        *(
            Misconception(
                f"takes {low} and {high} for the ends of the codes, whatever qmin and qmax are",
                partial(_ranged, ends=_always((low, high))),
                "Codes may be signed, unsigned, or have 4 bits: their ends are qmin and qmax.",
            )
            for low, high in (INT8, UINT8)
        ),
        Misconception(
            "takes the zero point off 6 before it divides by the scale",
            partial(
                _ranged,
                six=lambda steps, zero: round(steps - zero * (steps / 6)),
                steps=_real_steps,
            ),
            "6 is a real number, the zero point a code: zero_point + round(6 / scale).",
        ),
        Misconception(
            "ends relu6 one code below 6.0",
            partial(_ranged, six=lambda steps, zero: zero + steps - 1),
            "6.0 itself is a result of relu6: its code, zero_point + round(6 / scale), is the end.",
        ),
        Misconception(
            "cuts off the decimals of the code of 6.0",
            partial(_ranged, steps=_real_steps, six=lambda steps, zero: int(steps + zero)),
            f"Below 0 that is one code too many, above 0 one too few. {NEAREST}",
        ),
        Misconception(
            "adds one half to the code of 6.0 and cuts off, which goes up below 0",
            partial(_ranged, steps=_real_steps, six=lambda steps, zero: int(steps + zero + 0.5)),
            f"int() cuts towards 0, so that -27.6 + 0.5 becomes -27. {NEAREST}",
        ),
    ),
)
