"""How the zoo's networks are fine-tuned at each number of bits, and what that reached."""

import json
from dataclasses import dataclass
from importlib import resources
from statistics import mean
from typing import Any, NamedTuple

from labkit.qat.prepare import BINARY
from labkit.qparams import Scheme

__all__ = ["EPOCHS", "RECIPES", "Reached", "Recipe", "mean_results", "stored_results"]

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


class Reached(NamedTuple):
    """What a network reached at some bits, the mean over the seeds.

    Attributes
    ----------
    accuracy : float
        On the 10,000 test images, 0 to 1.
    standard_error : float
        Of the accuracy.
    lost : float
        Against FP32, 0 to 1.
    """

    accuracy: float
    standard_error: float
    lost: float


def mean_results() -> dict[str, dict[str, dict[str, Reached]]]:
    """Return the stored results of each network, by method ("FP32", "PTQ", "QAT") and bits.

    Bits are those of `RECIPES`, in that order, and "FP32" alone for the method "FP32".
    """
    runs = stored_results()

    def reached(network: str, method: str, bits: str) -> Reached:
        kind = (network, method, bits)
        same = [r for r in runs if (r["network"], r["method"], r["bits"]) == kind]
        return Reached(*(mean(run[field] for run in same) for field in Reached._fields))

    order = {"FP32": ["FP32"], "PTQ": list(RECIPES), "QAT": list(RECIPES)}
    return {
        network: {
            method: {bits: reached(network, method, bits) for bits in names}
            for method, names in order.items()
        }
        for network in EPOCHS
    }
