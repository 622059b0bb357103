"""Exercise 1.13: which slip gave these codes."""

import torch
from torch import Tensor

from labkit.checks.inputs import INT8, one, uniform, whole
from labkit.checks.lab1.quantize import QUANTIZE, quantize
from labkit.checks.slip_names import likeliest, name_the_slip

WRONG = {mistake.name: mistake.wrong for mistake in QUANTIZE.misconceptions}
SLIPS = {
    "right": quantize,
    "not clamped": WRONG["does not clamp"],
    "wrapped": WRONG["converts to integers before it clamps"],
    "rounded down": WRONG["rounds down instead of to the nearest"],
    "cut off": WRONG["cuts off decimals instead of rounding"],
    "no zero point": WRONG["leaves out the zero point"],
}


def slip_of_quantize(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int, q: Tensor
) -> str:
    """Return the name of the slip that gives the codes `q`, by trying all of them."""
    return likeliest(SLIPS, (x, scale, zero_point, qmin, qmax), q)


def _inputs(rng: torch.Generator) -> tuple[Tensor, float, int, int, int]:
    """Draw values of both signs, some far outside, that lie neither on the grid nor on a tie."""
    off = 0.1 + 0.3 * torch.rand(24, generator=rng)
    steps = whole(rng, -230, 230, 24) + off * (2 * whole(rng, 0, 1, 24) - 1)
    scale = uniform(rng, 0.02, 0.3)
    return steps * scale, scale, one(rng, 5, 40) * (2 * one(rng, 0, 1) - 1), *INT8


SLIP_OF_QUANTIZE = name_the_slip(
    id="1.13",
    title="Name the slip",
    minutes=(10, 15),
    reference=slip_of_quantize,
    slips=SLIPS,
    inputs=_inputs,
    hints=(
        "Compute the right codes and look at the difference to q: where is it, and how large?",
        "Codes outside [qmin, qmax] can mean one thing only. A difference of zero_point nearly "
        "everywhere, too. Wrapped codes are off where x is far outside; rounding is off by 1.",
        "Write each slip as a line, for instance torch.floor(x / scale) + zero_point, clamped; and "
        "return the name of the one that gives q exactly. Cutting off goes towards 0 after the "
        "zero point was added: (x / scale + zero_point).clamp(qmin, qmax).to(torch.int32).",
    ),
    confusions=(
        (
            "cut off",
            "rounded down",
            "They differ below code 0 only: cutting goes towards 0, floor goes down.",
        ),
        (
            "wrapped",
            "right",
            "Wrapped codes are inside the range, too. Look at those of the largest x.",
        ),
        (
            "not clamped",
            "wrapped",
            "A code that was never clamped can lie beyond qmax; a wrapped one cannot.",
        ),
        (
            "rounded down",
            "right",
            "Off by one on about half of the values is no rounding noise: no x here is near a tie.",
        ),
    ),
)
