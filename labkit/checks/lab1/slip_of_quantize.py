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
    """Draw values of both signs, some far outside, that lie neither on the grid nor on a tie.

    Some lie beyond each end. Some lie between 0 and the value of code 0, where it shows whether Z
    is added before or after decimals are cut off.
    """
    sign = 2 * one(rng, 0, 1) - 1
    zero_point = one(rng, 5, 40)
    below_zero = whole(rng, 1, zero_point - 1, 3)
    full = torch.cat([whole(rng, 175, 230, 4), below_zero, whole(rng, 0, 230, 17)])
    signs = torch.cat([torch.tensor([1, -1, 1, -1, *[-sign] * 3]), 2 * whole(rng, 0, 1, 17) - 1])
    steps = signs * (full - 0.1 - 0.3 * torch.rand(24, generator=rng))
    scale = uniform(rng, 0.02, 0.3)
    return steps * scale, scale, sign * zero_point, *INT8


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
    signs={
        "right": "Right codes are torch.round(x / scale) + zero_point, clamped.",
        "not clamped": "Only codes that were never clamped can lie outside of [qmin, qmax].",
        "wrapped": "Wrapped codes are those that int8 makes of torch.round(x / scale) + "
        "zero_point: right inside the range, off by a multiple of 256 beyond it.",
        "rounded down": "Codes rounded down are torch.floor(x / scale) + zero_point, clamped: one "
        "less wherever x / scale lies above the middle.",
        "cut off": "Codes cut off are those of x / scale + zero_point, converted to integers after "
        "zero_point was added: towards 0, so up where the sum is negative.",
        "no zero point": "Codes without zero point are torch.round(x / scale), clamped; those at "
        "the ends of the range may be right.",
    },
)
