"""Integer kernels: the arithmetic of a layer on 8-bit codes, exact and fast.

The reference is written to be read; the fast backend gives the same integers, always, on every
processor. `linear` and `conv2d` have both, `QuantizedLinear` and `QuantizedConv2d` hold prepacked
weights.

The modules, each on top of those before:

- `output_stage` turns accumulators into codes; `requantization` has the other published rules;
- `window` and `layer` check and fold what is constant in a layer;
- `pairs` shares weights out for processors that add pairs of products in int16;
- `reference` has the formulas;
- `exact` computes them with floating-point products, `engines` with torch's int8 operators on
  x86, `qnnpack` with those on ARM; `kept` holds on to what they prepare (`quantized_tensors`);
- `roads` chooses among those, `backend` says what there is; `modules` and `functional` are the
  doors.
"""

from labkit.kernels.backend import BackendInfo, backend_info
from labkit.kernels.functional import conv2d, linear
from labkit.kernels.layer import quantize_bias
from labkit.kernels.modules import QuantizedConv2d, QuantizedLinear
from labkit.kernels.reference import add, gemm, im2col
from labkit.kernels.requantization import (
    ROUNDINGS,
    quantize_multiplier,
    requantize,
    rounding_right_shift,
    saturating_rounding_doubling_high_multiply,
)

__all__ = [
    "ROUNDINGS",
    "BackendInfo",
    "QuantizedConv2d",
    "QuantizedLinear",
    "add",
    "backend_info",
    "conv2d",
    "gemm",
    "im2col",
    "linear",
    "quantize_bias",
    "quantize_multiplier",
    "requantize",
    "rounding_right_shift",
    "saturating_rounding_doubling_high_multiply",
]
