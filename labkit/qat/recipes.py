"""How the zoo's networks are fine-tuned at each number of bits, and what that reached."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from labkit.qat.prepare import BINARY
from labkit.qparams import Scheme

__all__ = ["EPOCHS", "RECIPES", "Recipe", "stored_results"]

EPOCHS = {"resnet": 1, "mobilenet": 2}
"""Passes over the 10,000 calibration images."""


@dataclass(frozen=True)
class Recipe:
    """What `prepare` and `train` are called with.

    Attributes
    ----------
    weight_scheme, activation_scheme
        As in `prepare`.
    peak : float
        The largest learning rate. The fewer bits, the larger: a weight changes its code only after
        half a step of the grid.
    """

    weight_scheme: Scheme | str
    activation_scheme: Scheme
    peak: float


def _weights(bits: int) -> Scheme:
    return Scheme(bits, symmetric=True, narrow=True)


RECIPES = {
    "W8A8": Recipe(_weights(8), Scheme(8, signed=False), 1e-4),
    "W4A8": Recipe(_weights(4), Scheme(8, signed=False), 5e-4),
    "W4A4": Recipe(_weights(4), Scheme(4, signed=False), 5e-4),
    "W2A8": Recipe(_weights(2), Scheme(8, signed=False), 3e-3),
    "W1A8": Recipe(BINARY, Scheme(8, signed=False), 3e-3),
}
"""By name: bits of the weights, and bits of the activations. W1 are binary weights."""


def stored_results() -> list[dict[str, Any]]:
    """Return what ``tests/benchmarks/qat.py --save`` measured, a dict for each run.

    Returns
    -------
    list of dict
        network, bits ("W4A4"), method ("FP32", "PTQ", "QAT" and variants), seed, accuracy and its
        standard_error, lost against FP32 and its lost_error (all 0 to 1), seconds, cpu_seconds,
        threads and more.
    """
    file = resources.files("labkit.data") / "qat_results.json"
    return json.loads(file.read_text(encoding="utf-8"))
