"""Weights as torch's quantized tensors, packed for one of its engines.

Those tensors are to be removed (pytorch#184982): nothing but this file, `labkit.kernels.kept` and
`labkit.kernels.qnnpack` knows of them.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.kernels.output_stage import OutputStage


def packed(
    engine: str, prepack: Callable[..., Any], weight: Tensor, output: OutputStage, *moves: Any
) -> Any:
    """Return what an engine makes of weights and offsets, to be multiplied with codes of scale 1.

    An engine of torch's own would fold scales into the output; here the weights' scales are the
    multipliers, so that what comes out is ``acc * multiplier + offset``.

    Parameters
    ----------
    engine : str
        Which: "onednn" or "qnnpack".
    prepack : callable
        The operator that packs a tensor of weights, its offsets and `moves`.
    weight : Tensor
        int8 [out, ...].
    output : OutputStage
        With one multiplier and one offset per output.
    *moves
        Of a convolution: stride, padding, dilation and groups.

    Raises
    ------
    AttributeError, RuntimeError
        If torch lacks such tensors, or the engine.
    """
    scales, zeros = output.multiplier.flatten().double(), torch.zeros(len(weight)).long()
    before = torch.backends.quantized.engine
    with warnings.catch_warnings(action="ignore"):  # that quantized tensors are to be removed
        try:
            # The packed weights remember their engine.
            torch.backends.quantized.engine = engine
            real = torch._make_per_channel_quantized_tensor(weight.contiguous(), scales, zeros, 0)
            return prepack(real, output.offset.flatten().contiguous(), *moves)
        finally:
            torch.backends.quantized.engine = before
