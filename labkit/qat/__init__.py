"""Quantization-aware training: the network learns to live with its grid.

The modules, each on top of those before:

- `straight_through` gives rounding a gradient;
- `quantizers` put a tensor on its grid, and follow or learn the grid in training.
"""

from labkit.qat.quantizers import LSQ, Binary, FakeQuantize, Quantizer
from labkit.qat.straight_through import fake_quantize, sign

__all__ = ["LSQ", "Binary", "FakeQuantize", "Quantizer", "fake_quantize", "sign"]
