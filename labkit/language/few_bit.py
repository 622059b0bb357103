"""A linear layer of a language model, whose weights and inputs may be in few bits.

::

    y = A(x R) W'^T,    W' = dequantize(q), where weights are rounded                            (1)

A rounds the input to a grid, R is a Hadamard rotation that could not be folded; both are left out
by default. Computed in float: what few bits do to the numbers, not to the time. (`labkit.language.
packed` is about time.)
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from labkit.language.model import LanguageModel
from labkit.language.outliers import INT8, split_linear, token_grid
from labkit.language.rotation import rotate
from labkit.linear import QParams, Scheme, dequantize, fake_quantize

__all__ = [
    "FewBitLinear",
    "TensorGrid",
    "TokenGrid",
    "copy_that_shares",
    "few_bit_copy",
    "linear_layers",
]


@dataclass(frozen=True)
class TokenGrid:
    """Rounds inputs [..., in] to a grid for each token, chosen from the token: dynamic."""

    scheme: Scheme = INT8

    def __call__(self, x: Tensor) -> Tensor:
        """Return the rounded inputs."""
        tokens = x.reshape(-1, x.shape[-1])
        return fake_quantize(tokens, token_grid(tokens, self.scheme)).view(x.shape)


@dataclass(frozen=True, eq=False)
class TensorGrid:
    """Rounds inputs [..., in] to one grid, known before: static."""

    qparams: QParams

    def __call__(self, x: Tensor) -> Tensor:
        """Return the rounded inputs."""
        return fake_quantize(x, self.qparams)


class FewBitLinear(nn.Linear):
    """Equation (1), without a bias.

    Attributes
    ----------
    weight : Parameter
        float32 [out, in]; W' once weights are rounded.
    q, qparams : Tensor and QParams, or None
        The codes [out, in] and their grid.
    rotated : bool
        Whether the input is rotated first; `weight` is for rotated inputs then.
    activation : callable, optional
        What is done to each input, for example `TokenGrid()`.
    threshold : float, optional
        The product is `split_linear`'s then, and `activation` unused.
    """

    def __init__(self, weight: Tensor) -> None:
        out_features, in_features = weight.shape
        super().__init__(in_features, out_features, bias=False, device="meta")
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.q: Tensor | None = None
        self.qparams: QParams | None = None
        self.rotated = False
        self.activation: Callable[[Tensor], Tensor] | None = None
        self.threshold: float | None = None

    def store(self, q: Tensor, qparams: QParams) -> None:
        """Put codes in the place of the weights."""
        self.q, self.qparams = q, qparams
        self.weight.data = dequantize(q, qparams)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        x = self.turned(x)
        if self.threshold is not None:
            rows = x.reshape(-1, x.shape[-1])
            return split_linear(rows, self.weight, self.threshold).view(*x.shape[:-1], -1)
        if self.activation is not None:
            x = self.activation(x)
        return F.linear(x, self.weight)

    def turned(self, x: Tensor) -> Tensor:
        """Return x R, or x where nothing is rotated on the way."""
        return rotate(x).to(x.dtype) if self.rotated else x


def linear_layers(model: LanguageModel) -> dict[str, nn.Linear]:
    """Return the layers in the blocks by name: "blocks.0.attention.q", ... The head is not one."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != "head"
    }


def few_bit_copy(model: LanguageModel) -> LanguageModel:
    """Return a copy whose layers in the blocks are `FewBitLinear`; the head stays as it is.

    The two models share their tensors in memory until one of them gets a new one: give a parameter
    of the copy other ``data``, and never write into those that it has.
    """
    model = copy_that_shares(model)
    for name, layer in linear_layers(model).items():
        if not isinstance(layer, FewBitLinear):
            path, _, own = name.rpartition(".")
            setattr(model.get_submodule(path), own, FewBitLinear(layer.weight.detach()))
    return model.requires_grad_(False)


def copy_that_shares(model: LanguageModel) -> LanguageModel:
    """Return a copy whose parameters are its own, and their data those of the model."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), False) for p in model.parameters()}
    for layer in few_bit_layers(model).values():
        memo[id(layer.q)], memo[id(layer.qparams)] = layer.q, layer.qparams
    return copy.deepcopy(model, memo)


def few_bit_layers(model: LanguageModel) -> dict[str, FewBitLinear]:
    """Return the layers of a model that `few_bit_copy` gave."""
    return {
        n: layer for n, layer in linear_layers(model).items() if isinstance(layer, FewBitLinear)
    }
