"""Exercise 5.11: which slip a gradient has."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.inputs import randn, uniform, whole
from labkit.checks.slip_names import likeliest, name_the_slip

Backward = Callable[[Tensor, float, int, int, Tensor], Tensor]


def _inside(x: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return (x / scale >= qmin) & (x / scale <= qmax)


SLIPS: dict[str, Backward] = {
    "right": lambda x, s, qmin, qmax, dy: dy * _inside(x, s, qmin, qmax),
    "not clipped": lambda x, s, qmin, qmax, dy: dy.clone(),
    "cut off": lambda x, s, qmin, qmax, dy: 0 * dy,
    "outside instead of inside": lambda x, s, qmin, qmax, dy: dy * ~_inside(x, s, qmin, qmax),
    "x compared with codes": lambda x, s, qmin, qmax, dy: dy * _inside(x, 1.0, qmin, qmax),
    "times the scale": lambda x, s, qmin, qmax, dy: s * dy * _inside(x, s, qmin, qmax),
}


def slip_of_gradient(x: Tensor, scale: float, qmin: int, qmax: int, dy: Tensor, dx: Tensor) -> str:
    """Return the name of the slip that gives the gradient `dx`, by trying all of them."""
    return likeliest(SLIPS, (x, scale, qmin, qmax, dy), dx)


def _inputs(
    rng: torch.Generator, least: float, most: float, qmin: int, qmax: int
) -> tuple[Tensor, float, int, int, Tensor]:
    """Draw values inside, just outside and far outside.

    None lies between an end of the range and the tie beyond it: there "the code lies in the range"
    as 5.3 means it, after rounding, and x / scale disagree.
    """
    scale = uniform(rng, least, most)
    signs = torch.cat([torch.tensor([1, -1]), 2 * whole(rng, 0, 1, 22) - 1])
    full = torch.cat([torch.tensor([qmax, -qmin]), whole(rng, 0, 30, 22)])
    steps = signs * (full + 0.6 + 0.3 * torch.rand(24, generator=rng))
    dy = randn(rng, 24)
    return steps * scale, scale, qmin, qmax, dy + 0.1 * dy.sign()


SLIP_OF_GRADIENT = name_the_slip(
    id="5.11",
    title="Name the slip",
    minutes=(10, 15),
    reference=slip_of_gradient,
    slips=SLIPS,
    inputs=(
        partial(_inputs, least=0.2, most=0.7, qmin=-8, qmax=7),
        partial(_inputs, least=1.5, most=2.5, qmin=-8, qmax=7),
        partial(_inputs, least=0.2, most=0.7, qmin=0, qmax=15),
    ),
    hints=(
        "Look at dx / dy: it is 0, 1 or one other number. Where is it 0?",
        "Everywhere, nowhere, inside, outside: four slips are told by where dx is 0. One more "
        "compares x with qmin and qmax, where x / scale belongs. And one has another factor.",
        "inside = (x / scale >= qmin) & (x / scale <= qmax). Compare dx with dy * inside, dy, "
        "0 * dy, dy * ~inside, dy * ((x >= qmin) & (x <= qmax)) and scale * dy * inside.",
    ),
    confusions=(
        (
            "times the scale",
            "right",
            "The zeros are in the right places, but the others are no copies of dy: look at dx / "
            "dy.",
        ),
        (
            "x compared with codes",
            "not clipped",
            "Some far values are clipped, others are not: at qmin and qmax instead of at "
            "qmin * scale and qmax * scale.",
        ),
        (
            "cut off",
            "right",
            "Values inside the range must get dy. No gradient at all means that nothing learns.",
        ),
    ),
    signs={
        "right": "The right dx is dy where qmin <= x / scale <= qmax, and 0 elsewhere.",
        "not clipped": "Not clipped means that dx is dy everywhere.",
        "cut off": "Cut off means that dx is 0 everywhere.",
        "outside instead of inside": "Outside instead of inside means 0 where qmin <= x / scale <= "
        "qmax, and dy elsewhere.",
        "x compared with codes": "x compared with codes means dy where qmin <= x <= qmax, with x "
        "as it is: neither divided by scale nor multiplied.",
        "times the scale": "Times the scale means 0 in the right places, and scale * dy elsewhere; "
        "compare with torch.isclose, since a quotient of rounded numbers is hardly ever equal.",
    },
)
