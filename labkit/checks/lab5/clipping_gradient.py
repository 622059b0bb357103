"""Exercise 5.3: the gradient of fake quantization."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.lab5.inputs import (
    INT4,
    TERNARY,
    UINT4,
    UINT8,
    between_ties,
    clear_of_ends,
    gradients,
)
from labkit.checks.rules import Rule


def fake_quantize_backward(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int, dy: Tensor
) -> Tensor:
    """Return the gradient of `x`: `dy` where the code fits, 0 where it is clipped."""
    code = torch.round(x / scale) + zero_point
    return dy * ((code >= qmin) & (code <= qmax))


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, zero_point: int, ends: tuple[int, int], *shape: int, least: float = 0.05
    ) -> Case:
        scale = uniform(rng, least, least + 0.75)
        low, high = ends[0] - zero_point - 6, ends[1] - zero_point + 6
        x = between_ties(rng, scale, low, high, *shape)
        low, high = ends[0] - zero_point, ends[1] - zero_point
        x = clear_of_ends(x, scale, low, high)
        # Clipped, if barely: floor and ceil would take them for the last codes.
        x.view(-1)[:2] = scale * torch.tensor([low - 0.7, high + 0.7])
        # The first code and the last one.
        x.view(-1)[2:4] = scale * torch.tensor([low + 0.2, high - 0.2])
        return Case(label, (x, scale, zero_point, *ends, gradients(rng, *shape)))

    middle = torch.tensor([0.3, -0.2, 9.0])[torch.randperm(3, generator=rng)]
    return [
        Case("two inside, one clipped", (middle, 0.1, 0, *INT4, gradients(rng, 3))),
        case("symmetric", 0, INT4, 20),
        case("a zero point that is not 0", 5, UINT4, 20),
        case("a scale above 1", -3, INT4, 4, 6, least=1.1),
        case("ternary", 0, TERNARY, 4, 3, 2),
        case("8 bits, unsigned", 200, UINT8, 60),
    ]


def _within(q: Tensor, qmin: int, qmax: int) -> Tensor:
    return (q >= qmin) & (q <= qmax)


def _as_it_is(x: Tensor, other: float) -> Tensor:
    return x


def _passed(
    x: Tensor,
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    dy: Tensor,
    *,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    shifted: Callable[[Tensor, int], Tensor] = torch.add,
    inside: Callable[[Tensor, int, int], Tensor] = _within,
    back: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda dy, inside, x: dy * inside,
    factor: Callable[[float], float] = lambda scale: 1.0,
) -> Tensor:
    """Return the gradient of x, of which any part may be another one."""
    q = shifted(turn(steps(x, scale)), zero_point)
    return back(dy, inside(q, qmin, qmax), x) * factor(scale)


CLIPPING_GRADIENT = Exercise(
    id="5.3",
    title="Clipping gradient",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=fake_quantize_backward,
    cases=_cases,
    rules=(Rule(relative=1e-5, absolute=1e-7),),
    hints=(
        "Rounding lets the gradient through. What does clamp do to it, inside and outside?",
        "Move a clipped value a little: the result stays at the end of the range, so its slope "
        "is 0. Which values are clipped? Those whose code is below qmin or above qmax.",
        "code = torch.round(x / scale) + zero_point; return dy where (code >= qmin) & (code <= "
        "qmax), else 0.",
    ),
    misconceptions=(
        Misconception(
            "lets the gradient of clipped values through",
            partial(_passed, inside=lambda q, qmin, qmax: torch.ones_like(q)),
            "A clipped value gives the same result wherever it goes, so its slope is 0: keep dy "
            "only where qmin <= code <= qmax, with the code as it is before the clamp.",
        ),
        Misconception(
            "lets the gradient of clipped values through where it leads them back",
            partial(_passed, back=lambda dy, inside, x: dy * (inside | (x * dy > 0))),
            "Some do that, so that no value stays clipped for good. The slope of a clipped value "
            "is 0 all the same, whatever dy asks for: dy alone where qmin <= code <= qmax.",
        ),
        Misconception(
            "lets no gradient through below 0",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * ((x >= 0) & (torch.round(x / scale) + zero_point <= qmax))
            ),
            "Clipping begins at 0 behind a ReLU, as in PACT. Here the lower end is qmin.",
        ),
        Misconception(
            "returns only the gradients that pass",
            partial(_passed, back=lambda dy, inside, x: dy[inside]),
            "The result has the shape of x: 0 where a value is clipped, torch.where(inside, dy, "
            "0.0).",
        ),
        Misconception(
            "keeps what is clipped and drops what is not",
            partial(_passed, inside=lambda q, qmin, qmax: ~_within(q, qmin, qmax)),
            "The mask is the wrong way round: inside the range dy goes through.",
        ),
        Misconception(
            "leaves out the zero point",
            partial(_passed, shifted=_as_it_is),
            "qmin and qmax are codes: compare them with round(x / scale) + zero_point.",
        ),
        Misconception(
            "compares real numbers with codes",
            partial(_passed, steps=_as_it_is, turn=torch.clone, shifted=_as_it_is),
            "x is in units of the data, qmin and qmax count steps: divide x by scale first.",
        ),
        Misconception(
            "does not divide by the scale",
            partial(_passed, steps=_as_it_is),
            "A code is round(x / scale) + zero_point: divide x by scale before you round it.",
        ),
        Misconception(
            "multiplies x by the scale",
            partial(_passed, steps=torch.mul),
            "scale is the length of a step: x / scale counts the steps.",
        ),
        Misconception(
            "multiplies the gradient by the scale",
            partial(_passed, factor=lambda scale: scale),
            "Dividing by scale on the way in and multiplying on the way out cancel: the slope is "
            "1.",
        ),
        Misconception(
            "checks only the upper end",
            partial(_passed, inside=lambda q, qmin, qmax: q <= qmax),
            "Values below qmin are clipped as well.",
        ),
        Misconception(
            "checks only the lower end",
            partial(_passed, inside=lambda q, qmin, qmax: q >= qmin),
            "Values above qmax are clipped as well.",
        ),
        Misconception(
            "leaves the last codes out",
            partial(_passed, inside=lambda q, qmin, qmax: (q > qmin) & (q < qmax)),
            "What rounds to qmin or qmax is rounded, not clipped: use <=, not <.",
        ),
        Misconception(
            "leaves the last code out",
            partial(_passed, inside=lambda q, qmin, qmax: (q >= qmin) & (q < qmax)),
            "What rounds to qmax is rounded, not clipped: <= qmax, not <.",
        ),
        Misconception(
            "leaves the first code out",
            partial(_passed, inside=lambda q, qmin, qmax: (q > qmin) & (q <= qmax)),
            "What rounds to qmin is rounded, not clipped: >= qmin, not >.",
        ),
        Misconception(
            "takes the range for symmetric",
            partial(_passed, inside=lambda q, qmin, qmax: q.abs() <= qmax),
            "Not every range reaches as far down as up: compare with qmin on the lower side.",
        ),
        Misconception(
            "subtracts the zero point",
            partial(_passed, shifted=torch.sub),
            "A code is round(x / scale) + zero_point: the zero point is added on the way in.",
        ),
        Misconception(
            "rounds down",
            partial(_passed, turn=torch.floor),
            "Whether a value is clipped is decided by the code that it rounds to: torch.round.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_passed, turn=torch.trunc),
            "A conversion to integers goes towards 0, and a clipped value seems to fit: "
            "torch.round before you compare.",
        ),
        Misconception(
            "keeps the codes in int8",
            partial(_passed, turn=lambda q: torch.round(q).to(torch.int64).to(torch.int8)),
            "Codes far outside wrap around in int8, back into the range: keep them real, or in "
            "int32, until they are compared.",
        ),
        Misconception(
            "gives no gradient at all",
            partial(_passed, inside=lambda q, qmin, qmax: torch.zeros_like(q)),
            "That is the true slope of a staircase (5.1). Straight through: inside the range "
            "rounding counts as slope 1.",
        ),
        Misconception(
            "forgets the gradient that comes from above",
            partial(_passed, back=lambda dy, inside, x: inside.float()),
            "The mask is the slope of this step. Multiply it by dy.",
        ),
        Misconception(
            "multiplies x instead of dy by the mask",
            partial(_passed, back=lambda dy, inside, x: x * inside),
            "What passes inside the range is the gradient that comes from above: dy.",
        ),
        Misconception(
            "multiplies by x",
            partial(_passed, back=lambda dy, inside, x: dy * inside * x),
            "The slope of this step is 1 inside and 0 outside, whatever x is: dy alone.",
        ),
        Misconception(
            "adds the gradients up",
            partial(_passed, back=lambda dy, inside, x: (dy * inside).sum()),
            "Each value of x has a gradient of its own: the result has the shape of x.",
        ),
        Misconception(
            "compares x with -1 and 1, as in binary networks",
            lambda x, scale, zero_point, qmin, qmax, dy: dy * (x.abs() <= 1),
            "|x| <= 1 belongs to signs. Here the range is qmin to qmax, in codes: round(x / scale) "
            "+ zero_point.",
        ),
        Misconception(
            "adds the zero point to x",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * _within(torch.round((x + zero_point) / scale), qmin, qmax)
            ),
            "zero_point counts steps: divide x by scale first, then add it.",
        ),
        Misconception(
            "divides the gradient by the scale",
            partial(_passed, factor=lambda scale: 1 / scale),
            "The way back multiplies by the scale again: the two cancel, and the slope inside is "
            "1.",
        ),
        *(
            Misconception(
                "clamps the gradient",
                clamped,
                "dy itself has no range to keep: it passes whole, or not at all. The codes of x "
                "decide.",
            )
            for clamped in (
                lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(
                    (qmin - zero_point) * scale, (qmax - zero_point) * scale
                ),
                lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(qmin * scale, qmax * scale),
                lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(qmin, qmax),
            )
        ),
    ),
)
