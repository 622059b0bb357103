"""Quantization-aware training: the network learns to live with its grid.

The modules, each on top of those before:

- `straight_through` gives rounding a gradient;
- `quantizers` put a tensor on its grid, and follow or learn the grid in training;
- `prepare` puts quantizers into a network where its integer version rounds;
- `training` fine-tunes it, `checkpoint` lets that stop and go on;
"""

from labkit.qat.prepare import BINARY, prepare, weight_quantizer
from labkit.qat.quantizers import LSQ, Binary, FakeQuantize, Quantizer
from labkit.qat.straight_through import fake_quantize, sign
from labkit.qat.training import History, freeze_observers, learning_rate, train

__all__ = [
    "BINARY",
    "LSQ",
    "Binary",
    "FakeQuantize",
    "History",
    "Quantizer",
    "fake_quantize",
    "freeze_observers",
    "learning_rate",
    "prepare",
    "sign",
    "train",
    "weight_quantizer",
]
