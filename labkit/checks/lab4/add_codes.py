"""Exercise 4.5: a residual sum of codes on different grids."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.rules import Codes

Grid = tuple[float, int]


def add_codes(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    """Return the codes, 0 to 255, of the sum of what two tensors of codes stand for."""
    scale, zero_point = y
    q = torch.round((_real(q_a, a) + _real(q_b, b)) / scale) + zero_point
    return q.clamp(zero_point if relu else 0, 255).to(torch.uint8)


def _real(q: Tensor, grid: Grid) -> Tensor:
    scale, zero_point = grid
    return (q.double() - zero_point) * scale


def _unrounded(
    q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool
) -> tuple[Tensor, int, int]:
    real = (_real(q_a, a) + _real(q_b, b)) / y[0] + y[1]
    return real, y[1] if relu else 0, 255


def _cases(rng: torch.Generator) -> list[Case]:
    def codes(*shape: int) -> Tensor:
        return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)

    def grid(low: int, high: int) -> Grid:
        zero_point = int(torch.randint(low, high, (), generator=rng))
        return uniform(rng, 0.01, 0.04), zero_point

    def case(label: str, shape: tuple[int, ...], y_scale: float, *ends: int, relu: bool) -> Case:
        y = round(y_scale * uniform(rng, 0.9, 1.1), 4), grid(*ends)[1]
        return Case(label, (codes(*shape), grid(60, 180), codes(*shape), grid(60, 180), y, relu))

    after = codes(3, 5), (0.02, 0), codes(3, 5), (0.02, 0), (0.02, 0)
    return [
        case("two numbers", (2,), 0.05, 90, 160, relu=False),
        case("rows", (3, 7), 0.05, 90, 160, relu=False),
        case("with a ReLU", (4, 6), 0.05, 90, 160, relu=True),
        case("a ReLU with zero point 0", (4, 6), 0.03, 0, 1, relu=True),
        case("sums beyond the grid", (5, 6), 0.008, 90, 160, relu=False),
        case("sums beyond the grid, with a ReLU", (5, 6), 0.008, 90, 160, relu=True),
        case("a batch of images", (2, 3, 4, 4), 0.06, 90, 160, relu=True),
        Case("three times the same grid", (*after, False)),
    ]


def _clamped_real(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    real = _real(q_a, a) + _real(q_b, b)
    clamped = real.clamp(min=y[1]) if relu else real
    return _bytes((torch.round(clamped / y[0]) + y[1]).clamp(0, 255))


def _in_bits(bits: int) -> Callable[[Tensor, float, float], Tensor]:
    """Return steps by a factor that is rounded to so many bits behind the point."""
    return lambda q, scale, y_scale: q * round(scale / y_scale * 2**bits) / 2**bits


def _bytes(q: Tensor) -> Tensor:
    return q.to(torch.int64).to(torch.uint8)


def _added(
    q_a: Tensor,
    a: Grid,
    q_b: Tensor,
    b: Grid,
    y: Grid,
    relu: bool,
    *,
    second: Callable[[Grid, Grid], Grid] = lambda a, b: b,
    zeros: Callable[[int, int], tuple[int, int]] = lambda a, b: (a, b),
    centred: Callable[[Tensor, int], Tensor] = lambda q, zero_point: q.double() - zero_point,
    result: Callable[[Grid, Grid, Grid], Grid] = lambda a, b, y: y,
    steps: Callable[[Tensor, float, float], Tensor] = lambda q, scale, y_scale: q * scale / y_scale,
    each: Callable[[Tensor, bool], Tensor] = lambda steps, relu: steps,
    turn: Callable[[Tensor], Tensor] = torch.round,
    shifted: Callable[[Tensor, int], Tensor] = torch.add,
    low: Callable[[int, bool], int | None] = lambda zero_point, relu: zero_point if relu else 0,
    high: Callable[[int, bool], int] = lambda zero_point, relu: 255,
    coded: Callable[[Tensor], Tensor] = _bytes,
) -> Tensor:
    """Return the codes, of which any part may be another one."""
    b = second(a, b)
    y = result(a, b, y)
    first, other = (
        each(steps(centred(q, zero_point), scale, y[0]), relu)
        for q, scale, zero_point in zip((q_a, q_b), (a[0], b[0]), zeros(a[1], b[1]), strict=True)
    )
    q = shifted(turn(first + other), y[1])
    return coded(q.clamp(low(y[1], relu), high(y[1], relu)))


def _each_rounded(steps: Callable[[Tensor, float, float], Tensor]) -> Callable[..., Tensor]:
    return partial(_added, steps=lambda *given: torch.round(steps(*given)))


def _wide(q: Tensor) -> Tensor:
    return q.to(torch.int32)


TWO_ROUNDINGS = "Two roundings lose more than one. Add first, then round once."
NO_BOUND = 2**31
NO_END = "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp."
TO_255 = "The codes of the result are uint8, 0 to 255: clamp(y[1] if relu else 0, 255)."
AFTER_THE_SUM = (
    "The ReLU comes after the sum: a negative number may still take away from the other."
)


ADD_CODES = Exercise(
    id="4.5",
    title="A residual sum",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=add_codes,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded),),
    hints=(
        "Two codes can be added when they count the same steps from the same zero. Which steps "
        "does the result count?",
        "Take the zero points away, bring both to steps of y with a factor each, S_a / S_y and "
        "S_b / S_y, add, round once, add Z_y, clamp. uint8 wraps, so convert before subtracting.",
        "real = (q_a.double() - a[1]) * a[0] + (q_b.double() - b[1]) * b[0]; q = torch.round(real "
        "/ y[0]) + y[1]; return q.clamp(y[1] if relu else 0, 255).to(torch.uint8).",
    ),
    misconceptions=(
        Misconception(
            "adds the codes",
            partial(_added, steps=lambda q, scale, y_scale: q),
            "Codes of different scales count different steps. Bring both to the steps of the "
            "result first.",
        ),
        Misconception(
            "rounds each of the two before adding",
            _each_rounded(lambda q, scale, y_scale: q * scale / y_scale),
            TWO_ROUNDINGS,
        ),
        Misconception(
            "rounds each of the two before adding",
            # The same in the order of the formula: another last bit, and so other ties.
            _each_rounded(lambda q, scale, y_scale: scale / y_scale * q),
            TWO_ROUNDINGS,
        ),
        Misconception(
            "leaves out the zero points of the inputs",
            partial(_added, centred=lambda q, zero_point: q.double()),
            "A code q stands for (q - Z) S: subtract a's and b's zero point.",
        ),
        Misconception(
            "adds the zero points of the inputs",
            partial(_added, centred=lambda q, zero_point: q.double() + zero_point),
            "A code q stands for (q - Z) S: subtract a's and b's zero point.",
        ),
        Misconception(
            "subtracts the zero points in uint8",
            partial(_added, centred=lambda q, zero_point: (q - zero_point).double()),
            "uint8 has no negative numbers: 200 - 210 is 246. Convert first, q_a.double() - a[1].",
        ),
        Misconception(
            "takes the grid of the first input for the second as well",
            partial(_added, second=lambda a, b: a),
            "Each of the two was calibrated on its own.",
        ),
        Misconception(
            "takes the first input's scale for the second as well",
            partial(_added, second=lambda a, b: (a[0], b[1])),
            "Each of the two was calibrated on its own: b[0] for q_b.",
        ),
        Misconception(
            "takes the first input's zero point for the second as well",
            partial(_added, second=lambda a, b: (b[0], a[1])),
            "Each of the two was calibrated on its own: b[1] for q_b.",
        ),
        Misconception(
            "does not divide by the scale of the result",
            partial(_added, steps=lambda q, scale, y_scale: q * scale),
            "The sum is a real number: over y[0] it counts steps of the result.",
        ),
        Misconception(
            "multiplies by the scale of the result",
            partial(_added, steps=lambda q, scale, y_scale: q * scale * y_scale),
            "A real number over the scale is a code: divide by y[0].",
        ),
        Misconception(
            "has the factors of the inputs upside down",
            partial(_added, steps=lambda q, scale, y_scale: q * y_scale / scale),
            "(q - Z) S is the real number, and over y[0] it counts steps: S_a / S_y, S_b / S_y.",
        ),
        Misconception(
            "applies the ReLU to each of the two",
            partial(_added, each=lambda steps, relu: steps.relu() if relu else steps),
            AFTER_THE_SUM,
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_added, turn=torch.trunc),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "adds one half and cuts off, which goes up below 0",
            partial(_added, turn=lambda steps: torch.trunc(steps + 0.5)),
            "Converting to an integer dtype cuts towards 0, so that -2.7 + 0.5 becomes -2: "
            "torch.round first.",
        ),
        Misconception(
            "rounds down",
            partial(_added, turn=torch.floor),
            "//, floor and a conversion to an integer dtype go to the code below: torch.round "
            "first.",
        ),
        Misconception(
            "leaves out the zero point of the result",
            partial(_added, shifted=lambda q, zero_point: q),
            "0.0 has the code y[1] in the result: add it after rounding.",
        ),
        Misconception(
            "leaves out the zero point of the result",
            partial(_added, shifted=lambda q, zero_point: q, low=lambda zero_point, relu: 0),
            "0.0 has the code y[1] in the result: add it after rounding.",
        ),
        Misconception(
            "lets negative sums through a ReLU",
            partial(_added, low=lambda zero_point, relu: 0),
            "With relu the lowest code is that of 0.0, the zero point of the result.",
        ),
        Misconception(
            "clamps at the zero point whether relu is set or not",
            partial(_added, low=lambda zero_point, relu: zero_point),
            "Without relu the sum may be negative: the lowest code is 0.",
        ),
        *(
            Misconception(
                "clamps to -128 ... 127",
                partial(_added, low=low, high=lambda zero_point, relu: 127, coded=_wide),
                TO_255,
            )
            for low in (
                lambda zero_point, relu: -128,
                lambda zero_point, relu: zero_point if relu else -128,
            )
        ),
        Misconception(
            "clamps at 127",
            partial(_added, high=lambda zero_point, relu: 127),
            TO_255,
        ),
        *(
            Misconception(
                "adds the zero point of the result after it has clamped",
                partial(_added, low=low, high=lambda zero_point, relu: 255 + zero_point, coded=end),
                "Results leave the codes again: add y[1] first, then clamp(y[1] if relu else 0, "
                "255).",
            )
            for low in (
                lambda zero_point, relu: zero_point if relu else 0,
                lambda zero_point, relu: zero_point,
            )
            for end in (_bytes, _wide)
        ),
        Misconception(
            "saturates without a ReLU only",
            partial(_added, high=lambda zero_point, relu: NO_BOUND if relu else 255),
            "A sum beyond the grid wraps around in uint8, with a ReLU, too: clamp to 255.",
        ),
        Misconception(
            "does not saturate",
            partial(
                _added,
                low=lambda zero_point, relu: zero_point if relu else -NO_BOUND,
                high=lambda zero_point, relu: NO_BOUND,
            ),
            "A sum beyond the grid wraps around in uint8: clamp to 0 and 255 before converting.",
        ),
        Misconception(
            "does not clamp, and wraps around",
            partial(
                _added,
                low=lambda zero_point, relu: -NO_BOUND,
                high=lambda zero_point, relu: NO_BOUND,
            ),
            "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp before "
            "converting to uint8.",
        ),
        Misconception(
            "does not clamp at all",
            partial(
                _added,
                low=lambda zero_point, relu: -NO_BOUND,
                high=lambda zero_point, relu: NO_BOUND,
                coded=_wide,
            ),
            NO_END,
        ),
        Misconception(
            "does not clamp at all",
            partial(
                _added,
                low=lambda zero_point, relu: zero_point if relu else -NO_BOUND,
                high=lambda zero_point, relu: NO_BOUND,
                coded=_wide,
            ),
            "There are no codes beyond 0 and 255: clamp with and without relu, before converting "
            "to uint8.",
        ),
        Misconception(
            "takes both zero points off each of the two",
            partial(_added, zeros=lambda a, b: (a + b, a + b)),
            "A code q stands for (q - Z) S with the zero point of its own grid: a[1] for q_a, b[1] "
            "for q_b.",
        ),
        Misconception(
            "exchanges the zero points of the two",
            partial(_added, zeros=lambda a, b: (b, a)),
            "A code q stands for (q - Z) S with the zero point of its own grid: a[1] for q_a, b[1] "
            "for q_b.",
        ),
        Misconception(
            "divides by the sum of the two scales",
            partial(_added, result=lambda a, b, y: (a[0] + b[0], y[1])),
            "The result has a grid of its own, which was calibrated: divide by y[0].",
        ),
        Misconception(
            "divides by the larger of the two scales",
            partial(_added, result=lambda a, b, y: (max(a[0], b[0]), y[1])),
            "The result has a grid of its own, which was calibrated: divide by y[0].",
        ),
        Misconception(
            "rounds the factors of the inputs to whole numbers",
            partial(_added, steps=lambda q, scale, y_scale: q * round(scale / y_scale)),
            "S_a / S_y is no whole number, and often below 1: multiply by it as it is, then round "
            "the sum.",
        ),
        *(
            Misconception(
                f"rounds the factors of the inputs to {bits} bits behind the point",
                partial(
                    _added,
                    steps=_in_bits(bits),
                ),
                "So few bits are too coarse for sums of codes up to 255: multiply by S_a / S_y as "
                "it is, or keep 16 bits and more.",
            )
            for bits in (4, 6, 8)
        ),
        Misconception(
            "clamps the real sum at the zero point, which is a code",
            _clamped_real,
            "In real numbers a ReLU clamps at 0.0; among codes at y[1]. Clamp the codes: "
            "clamp(y[1] if relu else 0, 255).",
        ),
    ),
)
