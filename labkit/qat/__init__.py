"""Quantization-aware training: the network learns to live with its grid.

The modules, each on top of those before:

- `straight_through` gives rounding a gradient;
- `quantizers` put a tensor on its grid, and follow or learn the grid in training;
- `prepare` puts quantizers into a network where its integer version rounds;
- `training` fine-tunes it, `checkpoint` lets that stop and go on;
- `convert` makes it the integer network of `labkit.ptq`, and compares the two;
- `recipes` say how to fine-tune the networks of the zoo, and what that reached.
"""

from labkit.qat.convert import Agreement, compare, convert
from labkit.qat.prepare import BINARY, activation_quantizers, prepare, weight_quantizers
from labkit.qat.quantizers import LSQ, Binary, FakeQuantize, Quantizer
from labkit.qat.recipes import (
    EPOCHS,
    RECIPES,
    Reached,
    Recipe,
    mean_results,
    stored_results,
)
from labkit.qat.straight_through import fake_quantize, sign
from labkit.qat.training import History, freeze_observers, learning_rate, train

__all__ = [
    "BINARY",
    "EPOCHS",
    "LSQ",
    "RECIPES",
    "Agreement",
    "Binary",
    "FakeQuantize",
    "History",
    "Quantizer",
    "Reached",
    "Recipe",
    "activation_quantizers",
    "compare",
    "convert",
    "fake_quantize",
    "freeze_observers",
    "learning_rate",
    "mean_results",
    "prepare",
    "sign",
    "stored_results",
    "train",
    "weight_quantizers",
]
