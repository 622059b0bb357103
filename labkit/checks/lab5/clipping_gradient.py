"""Exercise 5.3: the gradient of fake quantization."""

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
    def case(label: str, zero_point: int, ends: tuple[int, int], *shape: int) -> Case:
        scale = uniform(rng, 0.05, 0.8)
        low, high = ends[0] - zero_point - 6, ends[1] - zero_point + 6
        x = between_ties(rng, scale, low, high, *shape)
        low, high = ends[0] - zero_point, ends[1] - zero_point
        x = clear_of_ends(x, scale, low, high)
        # Clipped, if barely: floor and ceil would take them for the last codes.
        x.view(-1)[:2] = scale * torch.tensor([low - 0.7, high + 0.7])
        return Case(label, (x, scale, zero_point, *ends, gradients(rng, *shape)))

    middle = torch.tensor([0.3, -0.2, 9.0])[torch.randperm(3, generator=rng)]
    return [
        Case("two inside, one clipped", (middle, 0.1, 0, *INT4, gradients(rng, 3))),
        case("symmetric", 0, INT4, 20),
        case("a zero point that is not 0", 5, UINT4, 20),
        case("a matrix", -3, INT4, 4, 6),
        case("ternary", 0, TERNARY, 4, 3, 2),
        case("8 bits, unsigned", 200, UINT8, 60),
    ]


def _clipped(x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int) -> Tensor:
    code = torch.round(x / scale) + zero_point
    return (code < qmin) | (code > qmax)


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
            lambda x, scale, zero_point, qmin, qmax, dy: dy.clone(),
            "A clipped value gives the same result wherever it goes, so its slope is 0: keep dy "
            "only where qmin <= code <= qmax, with the code as it is before the clamp.",
        ),
        Misconception(
            "keeps what is clipped and drops what is not",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * _clipped(x, scale, zero_point, qmin, qmax)
            ),
            "The mask is the wrong way round: inside the range dy goes through.",
        ),
        Misconception(
            "leaves out the zero point",
            lambda x, scale, zero_point, qmin, qmax, dy: dy * ~_clipped(x, scale, 0, qmin, qmax),
            "qmin and qmax are codes: compare them with round(x / scale) + zero_point.",
        ),
        Misconception(
            "compares real numbers with codes",
            lambda x, scale, zero_point, qmin, qmax, dy: dy * ((x >= qmin) & (x <= qmax)),
            "x is in units of the data, qmin and qmax count steps: divide x by scale first.",
        ),
        Misconception(
            "multiplies by the scale",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * ~_clipped(x, scale, zero_point, qmin, qmax) * scale
            ),
            "Dividing by scale on the way in and multiplying on the way out cancel: the slope is "
            "1.",
        ),
        Misconception(
            "checks only the upper end",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * (torch.round(x / scale) + zero_point <= qmax)
            ),
            "Values below qmin are clipped as well.",
        ),
        Misconception(
            "checks only the lower end",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * (torch.round(x / scale) + zero_point >= qmin)
            ),
            "Values above qmax are clipped as well.",
        ),
        Misconception(
            "leaves the last codes out",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * ~_clipped(x, scale, zero_point, qmin + 1, qmax - 1)
            ),
            "What rounds to qmin or qmax is rounded, not clipped: use <=, not <.",
        ),
        Misconception(
            "subtracts the zero point",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * ~_clipped(x, scale, -zero_point, qmin, qmax)
            ),
            "A code is round(x / scale) + zero_point: the zero point is added on the way in.",
        ),
        Misconception(
            "goes to the code below",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                dy * ~_clipped(torch.floor(x / scale), 1.0, zero_point, qmin, qmax)
            ),
            "Whether a value is clipped is decided by the code that it rounds to: torch.round.",
        ),
        Misconception(
            "gives no gradient at all",
            lambda x, scale, zero_point, qmin, qmax, dy: torch.zeros_like(dy),
            "That is the true slope of a staircase (5.1). Straight through: inside the range "
            "rounding counts as slope 1.",
        ),
        Misconception(
            "forgets the gradient that comes from above",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                ~_clipped(x, scale, zero_point, qmin, qmax)
            ).float(),
            "The mask is the slope of this step. Multiply it by dy.",
        ),
        Misconception(
            "compares x with -1 and 1, as in binary networks",
            lambda x, scale, zero_point, qmin, qmax, dy: dy * (x.abs() <= 1),
            "|x| <= 1 belongs to signs. Here the range is qmin to qmax, in codes: round(x / scale) "
            "+ zero_point.",
        ),
        Misconception(
            "divides the gradient by the scale",
            lambda x, scale, zero_point, qmin, qmax, dy: (
                fake_quantize_backward(x, scale, zero_point, qmin, qmax, dy) / scale
            ),
            "The way back multiplies by the scale again: the two cancel, and the slope inside is "
            "1.",
        ),
        Misconception(
            "clamps the gradient",
            lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(
                (qmin - zero_point) * scale, (qmax - zero_point) * scale
            ),
            "dy itself has no range to keep: it passes whole, or not at all. The codes of x "
            "decide.",
        ),
        Misconception(
            "clamps the gradient",
            lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(qmin * scale, qmax * scale),
            "dy itself has no range to keep: it passes whole, or not at all. The codes of x "
            "decide.",
        ),
        Misconception(
            "clamps the gradient",
            lambda x, scale, zero_point, qmin, qmax, dy: dy.clamp(qmin, qmax),
            "dy itself has no range to keep: it passes whole, or not at all. The codes of x "
            "decide.",
        ),
    ),
)
