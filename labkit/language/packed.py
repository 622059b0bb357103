"""Weights in 4 or 8 bits, multiplied by torch's own CPU kernels, and how long a token takes.

This one file talks to the kernels. Both read codes and unpack them on the way into the product, in
bfloat16::

    4 bits:  w' = (code - 8) scale + zero,    a scale and a zero for each group of a row         (1)
    8 bits:  w' = code scale,                 a scale for each row                               (2)

With our codes ``q = code + qmin`` and zero point Z, ``zero = (8 + qmin - Z) scale`` in (1).
"""

import time
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.language.few_bit import copy_that_shares, few_bit_layers
from labkit.language.generation import generate
from labkit.language.model import LanguageModel
from labkit.language.recording import sequences
from labkit.linear import QParams, Scheme, choose_qparams, dequantize, quantize
from labkit.validation import whole_number

__all__ = ["PackedLinear", "Speed", "kernels_usable", "pack_model", "speed"]

GROUP_SIZES = (32, 64, 128, 256)


class PackedLinear(nn.Module):
    """A linear layer on packed codes, [..., in] -> [..., out] in bfloat16.

    Parameters
    ----------
    q : Tensor
        Codes [out, in].
    qparams : QParams
        4 bits in groups of 32, 64, 128 or 256 along the rows; or 8 bits, signed and symmetric, with
        a scale for each row.

    Raises
    ------
    ValueError
        If the kernels have no such grid.
    """

    def __init__(self, q: Tensor, qparams: QParams) -> None:
        super().__init__()
        scheme, size = qparams.scheme, qparams.group_size
        self.bits, self.group_size = scheme.bits, size
        self.out_features, self.in_features = q.shape
        if not _has_kernel(qparams) or (size is not None and q.shape[1] % size):
            raise ValueError(
                f"weights [{q.shape[0]}, {q.shape[1]}] have {scheme} with axis={qparams.axis} and "
                f"group_size={size}; expected 4 bits in groups of {GROUP_SIZES} that fill the "
                "rows, or 8 bits, signed and symmetric, with axis=0."
            )
        if self.bits == 4:
            zero = (8 + scheme.qmin - qparams.zero_point) * qparams.scale
            pairs = torch.stack([qparams.scale.T, zero.T], dim=-1).bfloat16().contiguous()
            packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.int() - scheme.qmin, 1)
        else:
            pairs, packed = qparams.scale.bfloat16(), q.contiguous()
        self.register_buffer("packed", packed)
        self.register_buffer("scale", pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the product."""
        rows = x.reshape(-1, self.in_features).bfloat16()
        if self.bits == 4:
            y = torch.ops.aten._weight_int4pack_mm_for_cpu(
                rows, self.packed, self.group_size, self.scale
            )
        else:
            y = torch.ops.aten._weight_int8pack_mm(rows, self.packed, self.scale)
        return y.view(*x.shape[:-1], self.out_features)


def _has_kernel(qparams: QParams) -> bool:
    scheme = qparams.scheme
    if scheme.bits == 4:
        return qparams.axis == 1 and qparams.group_size in GROUP_SIZES
    rows = qparams.axis == 0 and qparams.group_size is None
    return scheme.bits == 8 and scheme.signed and scheme.symmetric and rows


@cache
def kernels_usable() -> bool:
    """Tell whether the kernels are here and compute (1) and (2): measured once."""
    draw = torch.Generator().manual_seed(0)
    w, x = torch.randn(32, 64, generator=draw), torch.randn(3, 64, generator=draw)
    four = choose_qparams(w, Scheme(4), 1, 32)
    eight = choose_qparams(w, Scheme(8, symmetric=True), 0)
    for grid in (four, eight):
        q = quantize(w, grid)
        try:
            y = PackedLinear(q, grid)(x).float()
        except (RuntimeError, AttributeError):  # Not on this processor, or another torch.
            return False
        if not torch.allclose(y, F.linear(x, dequantize(q, grid)), rtol=0.05, atol=0.2):
            return False
    return True


def pack_model(model: LanguageModel) -> LanguageModel:
    """Return a bfloat16 copy, whose rounded layers are `PackedLinear`.

    Raises
    ------
    ValueError
        If a rounded layer has a grid that the kernels do not, or inputs that are changed on the
        way; if torch's kernels do not work on this machine.
    """
    if not kernels_usable():
        raise ValueError("torch's kernels for packed weights do not work on this machine.")
    model = copy_that_shares(model)
    for name, layer in few_bit_layers(model).items():
        if layer.rotated or layer.activation is not None:
            raise ValueError(
                f"{name} rotates or rounds its input, which is simulated in float only; expected a "
                "model from round_model, gptq_model or awq_model."
            )
        if layer.q is not None and layer.qparams is not None:
            path, _, own = name.rpartition(".")
            setattr(model.get_submodule(path), own, PackedLinear(layer.q, layer.qparams))
    return model.bfloat16()


@dataclass(frozen=True)
class Speed:
    """How fast a model reads and writes, at its best.

    Attributes
    ----------
    decode : float
        Milliseconds a token, one after the other: the bytes of all weights are read for each.
    prefill : float
        Tokens of the prompt a second, all at once: operations count.
    """

    decode: float
    prefill: float

    def __str__(self) -> str:
        return f"{self.decode:.3g} ms a token written, {self.prefill:.3g} tokens/s read"


def speed(model: LanguageModel, prompt: Tensor, count: int = 16, repeats: int = 3) -> Speed:
    """Measure a model's speed: the best of several runs, in processor time of this process.

    Processor time rather than the clock's, so that a busy machine says nearly the same; with
    several threads it is divided by their number.

    Parameters
    ----------
    model : LanguageModel
    prompt : Tensor
        Integers [1, tokens].
    count : int
        Tokens to write behind the prompt.
    repeats : int
        Runs of each.

    Raises
    ------
    TypeError, ValueError
        If `prompt` is no integer tensor [N, tokens], or a number is below 1.
    """
    prompt = sequences(prompt)
    if min(whole_number(count, "count"), whole_number(repeats, "repeats")) < 1:
        raise ValueError(f"count is {count}, repeats {repeats}; expected 1 or more each.")

    def seconds(tokens: int) -> float:
        start = time.process_time()
        generate(model, prompt, tokens)
        return (time.process_time() - start) / torch.get_num_threads()

    read = min(seconds(1) for _ in range(repeats))
    written = min(seconds(1 + count) for _ in range(repeats)) - read
    return Speed(1000 * max(written, 0.0) / count, prompt.numel() / read)
