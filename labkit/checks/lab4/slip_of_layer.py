"""Exercise 4.13: which slip a quantized layer has, from its outputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.inputs import one, randn
from labkit.checks.slip_names import likeliest, name_the_slip

Layer = Callable[[Tensor, Tensor, Tensor], Tensor]


def _layer(weight: Tensor, bias: Tensor, x: Tensor, bits: int = 8) -> Tensor:
    """Return what a layer puts out whose weights are rounded to `bits` bits, per channel."""
    scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return x @ (torch.round(weight / scale) * scale).t() + bias


SLIPS: dict[str, Layer] = {
    "right": lambda w, b, x: _layer(w, b, x).relu(),
    "no bias": lambda w, b, x: _layer(w, 0 * b, x).relu(),
    "bias twice": lambda w, b, x: _layer(w, 2 * b, x).relu(),
    "no ReLU": _layer,
    "range too small": lambda w, b, x: _layer(w, b, x).relu().clamp(max=_half(w, b, x)),
    "weights of 2 bits": lambda w, b, x: _layer(w, b, x, 2).relu(),
}


def _half(weight: Tensor, bias: Tensor, x: Tensor) -> float:
    return float((x @ weight.t() + bias).max()) / 2


def slip_of_layer(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor) -> str:
    """Return the name of the slip whose outputs are nearest to `y`."""
    return likeliest(SLIPS, (weight, bias, x), y)


def _inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    out, inner = one(rng, 5, 8), one(rng, 10, 16)
    bias = (1 + torch.rand(out, generator=rng)) * randn(rng, out).sign()
    # The largest weights are negative ones.
    return randn(rng, out, inner) / 3 - 0.4, bias, randn(rng, 40, inner)


SLIP_OF_LAYER = name_the_slip(
    id="4.13",
    title="Name the slip",
    minutes=(12, 18),
    reference=slip_of_layer,
    slips=SLIPS,
    inputs=_inputs,
    hints=(
        "Compute relu(x @ weight.t() + bias) in real numbers. The right layer is off by a little "
        "everywhere; how is each slip off?",
        "Negative outputs say one thing at once. A maximum of half of the real one says another. "
        "The mean error of each channel, where both are positive, is about -bias, +bias or 0.",
        "Compute what each slip would give in real numbers, and return the name with the smallest "
        "(y - that).abs().sum(). For 2 bits: scale = weight.abs().amax(1, keepdim=True), "
        "torch.round(weight / scale) * scale.",
    ),
    confusions=(
        (
            "weights of 2 bits",
            "range too small",
            "Coarse weights are off everywhere and to both sides; a small range only at the top.",
        ),
        (
            "range too small",
            "right",
            "Most outputs are right then. Compare the largest ones: they end at half of what the "
            "real layer reaches, (x @ weight.t() + bias).max() / 2.",
        ),
        (
            "bias twice",
            "no bias",
            "The mean error of a channel has the sign of its bias, or the other one.",
        ),
    ),
    signs={
        "right": "The right layer is not equal to the real one: its weights have 8 bits, so that "
        "outputs differ by a few hundredths. Take the nearest explanation.",
        "no bias": "Without bias it is near relu(x @ weight.t()), not equal to it: weights of 8 "
        "bits add some noise.",
        "bias twice": "With the bias twice it is near relu(x @ weight.t() + 2 * bias), not equal "
        "to it: weights of 8 bits add some noise.",
        "no ReLU": "Without ReLU some outputs are negative.",
        "range too small": "With a range too small no output lies above half of the largest real "
        "one, which is where many of them end; the others are right.",
        "weights of 2 bits": "With weights of 2 bits it is relu(x @ coarse.t() + bias), bias and "
        "ReLU as ever, with coarse = torch.round(weight / scale) * scale and scale = "
        "weight.abs().amax(1, keepdim=True): off everywhere, to both sides.",
    },
)
