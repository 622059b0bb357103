"""Exercise 4.5: a residual sum of codes on different grids."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.rules import Codes

Grid = tuple[float, int]


def add_codes(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    """Return the codes, 0 to 255, of the sum of what two tensors of codes stand for."""
    return _rounded(_real(q_a, a) + _real(q_b, b), y, relu)


def _real(q: Tensor, grid: Grid) -> Tensor:
    scale, zero_point = grid
    return (q.double() - zero_point) * scale


def _rounded(
    real: Tensor, y: Grid, relu: bool, turn: Callable[[Tensor], Tensor] = torch.round
) -> Tensor:
    scale, zero_point = y
    q = turn(real / scale) + zero_point
    return q.clamp(zero_point if relu else 0, 255).to(torch.uint8)


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


def _codes_added(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    q = q_a.int() - a[1] + q_b.int() - b[1] + y[1]
    return q.clamp(y[1] if relu else 0, 255).to(torch.uint8)


def _rounded_apart(steps: Callable[[Tensor, Grid, Grid], Tensor]) -> Callable[..., Tensor]:
    """Return the answer that rounds ``steps(q, its grid, y)`` of each input for itself."""

    def wrong(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
        q = torch.round(steps(q_a, a, y)) + torch.round(steps(q_b, b, y)) + y[1]
        return q.clamp(y[1] if relu else 0, 255).to(torch.uint8)

    return wrong


def _wraps(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    q = torch.round((_real(q_a, a) + _real(q_b, b)) / y[0]) + y[1]
    return (q.clamp(min=y[1]) if relu else q).to(torch.int64).to(torch.uint8)


def _in_uint8(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    return _rounded((q_a - a[1]).double() * a[0] + (q_b - b[1]).double() * b[0], y, relu)


def _relu_before(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    first, second = _real(q_a, a), _real(q_b, b)
    return _rounded(first.relu() + second.relu() if relu else first + second, y, relu)


def _with_zero_points(
    change: Callable[[Grid, Grid, Grid], tuple[Grid, Grid, Grid]],
) -> Callable[..., Tensor]:
    """Return the answer on other grids."""

    def wrong(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
        a, b, y = change(a, b, y)
        return add_codes(q_a, a, q_b, b, y, relu)

    return wrong


TWO_ROUNDINGS = "Two roundings lose more than one. Add first, then round once."


def _unsaturated(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    q = torch.round((_real(q_a, a) + _real(q_b, b)) / y[0]) + y[1]
    return (q.clamp(min=y[1]) if relu else q).to(torch.int32)


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
            _codes_added,
            "Codes of different scales count different steps. Bring both to the steps of the "
            "result first.",
        ),
        Misconception(
            "rounds each of the two before adding",
            _rounded_apart(lambda q, grid, y: _real(q, grid) / y[0]),
            TWO_ROUNDINGS,
        ),
        Misconception(
            "rounds each of the two before adding",
            # The same in the order of the formula: another last bit, and so other ties.
            _rounded_apart(lambda q, grid, y: grid[0] / y[0] * (q.double() - grid[1])),
            TWO_ROUNDINGS,
        ),
        Misconception(
            "leaves out the zero points of the inputs",
            _with_zero_points(lambda a, b, y: ((a[0], 0), (b[0], 0), y)),
            "A code q stands for (q - Z) S: subtract a's and b's zero point.",
        ),
        Misconception(
            "leaves out the zero point of the result",
            _with_zero_points(lambda a, b, y: (a, b, (y[0], 0))),
            "0.0 has the code y[1] in the result: add it after rounding.",
        ),
        Misconception(
            "takes the grid of the first input for the second as well",
            _with_zero_points(lambda a, b, y: (a, a, y)),
            "Each of the two was calibrated on its own.",
        ),
        Misconception(
            "lets negative sums through a ReLU",
            lambda q_a, a, q_b, b, y, relu: add_codes(q_a, a, q_b, b, y, False),
            "With relu the lowest code is that of 0.0, the zero point of the result.",
        ),
        Misconception(
            "saturates without a ReLU only",
            lambda q_a, a, q_b, b, y, relu: (_wraps if relu else add_codes)(
                q_a, a, q_b, b, y, relu
            ),
            "A sum beyond the grid wraps around in uint8, with a ReLU, too: clamp to 255.",
        ),
        Misconception(
            "does not saturate",
            _wraps,
            "A sum beyond the grid wraps around in uint8: clamp to 0 and 255 before converting.",
        ),
        Misconception(
            "subtracts the zero points in uint8",
            _in_uint8,
            "uint8 has no negative numbers: 200 - 210 is 246. Convert first, q_a.double() - a[1].",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda q_a, a, q_b, b, y, relu: _rounded(
                _real(q_a, a) + _real(q_b, b), y, relu, torch.trunc
            ),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "clamps at the zero point whether relu is set or not",
            lambda q_a, a, q_b, b, y, relu: add_codes(q_a, a, q_b, b, y, True),
            "Without relu the sum may be negative: the lowest code is 0.",
        ),
        Misconception(
            "applies the ReLU to each of the two",
            _relu_before,
            "The ReLU comes after the sum: a negative number may still take away from the other.",
        ),
        Misconception(
            "does not clamp at all",
            lambda q_a, a, q_b, b, y, relu: (
                torch.round((_real(q_a, a) + _real(q_b, b)) / y[0]).add(y[1]).to(torch.int64)
            ),
            "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp.",
        ),
        Misconception(
            "does not clamp, and wraps around",
            lambda q_a, a, q_b, b, y, relu: _wraps(q_a, a, q_b, b, y, False),
            "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp before "
            "converting to uint8.",
        ),
        Misconception(
            "does not clamp at all",
            _unsaturated,
            "There are no codes beyond 0 and 255: clamp with and without relu, before converting "
            "to uint8.",
        ),
    ),
)
