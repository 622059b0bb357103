"""A copy of a network that nothing but its forward computes."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from labkit.ptq.given import unwrap_parts, unwrapped

# Hooks that compute a layer's weights before each call.
REPARAMETRIZATIONS = (BasePruningMethod, SpectralNorm, WeightNorm)


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a network as `baked_copy`, with attention written out."""
    plain = baked_copy(model)
    for path, module in list(plain.named_modules()):
        if path and isinstance(module, nn.MultiheadAttention) and Attention.can_be(module):
            plain.set_submodule(path, Attention(module))
    return plain


def baked_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a network whose weights are parameters, however they came about.

    What computes a weight before each call (`torch.nn.utils.parametrize`, pruning, weight and
    spectral normalization) has computed it for the last time. A network that is compiled or spread
    over devices (`DataParallel`) becomes the one inside.
    """
    model = unwrapped(model)
    # A weight that a hook computed has a history, and cannot be copied as it is.
    computed = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and value.requires_grad and not value.is_leaf
    }
    plain = copy.deepcopy(model, computed)
    unwrap_parts(plain)
    for module in plain.modules():
        if parametrize.is_parametrized(module):
            values = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
            # The class with computed weights is the original's, too, so it is left, not changed.
            module.__class__ = type(module).__bases__[0]
            del module.parametrizations
            for name, value in values.items():
                module.register_parameter(name, nn.Parameter(value))
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, REPARAMETRIZATIONS):
                hook.remove(module)
                del module._forward_pre_hooks[key]
    return plain


class Attention(nn.Module):
    """What `torch.nn.MultiheadAttention` computes, written out: four layers and two products."""

    def __init__(self, layer: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, self.batch_first = layer.num_heads, layer.batch_first
        separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        weights = separate if layer.in_proj_weight is None else layer.in_proj_weight.chunk(3)
        biases = (None,) * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
        self.query, self.key, self.value = (
            _linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)
        )
        self.out_proj = _linear(layer.out_proj.weight, layer.out_proj.bias)
        self.dropout = nn.Dropout(layer.dropout)
        self.train(layer.training)

    @staticmethod
    def can_be(layer: nn.MultiheadAttention) -> bool:
        """Tell whether a layer has nothing that is left out here."""
        return layer.bias_k is None and layer.bias_v is None and not layer.add_zero_attn

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the attention of batches, [N, L, E], or [L, N, E] if not `batch_first`."""
        operands: Any = (query, key, value)
        if not self.batch_first:
            operands = [x.transpose(0, 1) for x in operands]
        layers = (self.query, self.key, self.value)
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in zip(layers, operands, strict=True)
        )
        scale = (self.query.out_features // self.heads) ** -0.5
        scores = q.matmul(k.transpose(-2, -1)) * scale
        if attn_mask is not None:
            each = attn_mask.ndim == 3  # [N * heads, L, S], not [L, S]
            shaped = attn_mask.unflatten(0, (-1, self.heads)) if each else attn_mask
            scores = _masked(scores, shaped)
        if key_padding_mask is not None:
            scores = _masked(scores, key_padding_mask[:, None, None])  # [N, 1, 1, S]
        weights = self.dropout(scores.softmax(-1))
        x = self.out_proj(weights.matmul(v).transpose(1, 2).flatten(-2))
        averaged = weights.mean(1) if average_attn_weights else weights
        return (
            x if self.batch_first else x.transpose(0, 1),
            averaged if need_weights else None,
        )


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Add a mask, or leave out where it is true."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(mask, -math.inf)
    return scores + mask


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    for own, given in ((layer.weight, weight), (layer.bias, bias)):
        if given is not None:
            own.data = given.detach().clone()
            own.requires_grad_(given.requires_grad)
    return layer
