"""The methods on whole models: weights in few bits, and inputs in 8.

Each returns a changed copy, whose layers in the blocks are `FewBitLinear`. Embedding, head and
normalizations stay in float.
"""

from dataclasses import replace

import torch
from torch import Tensor

from labkit.language.awq import awq
from labkit.language.few_bit import (
    FewBitLinear,
    TensorGrid,
    TokenGrid,
    few_bit_copy,
    few_bit_layers,
)
from labkit.language.folding import fold_scales
from labkit.language.gptq import gptq, hessian
from labkit.language.groups import best_grid
from labkit.language.model import Block, LanguageModel
from labkit.language.outliers import INT8, tensor_grid
from labkit.language.recording import sequences
from labkit.language.stages import Stage, block_by_block
from labkit.linear import QParams, Scheme, choose_qparams, quantize
from labkit.progress_bar import progress_bar

__all__ = ["awq_model", "gptq_model", "quantize_activations", "round_model", "split_model"]

ALPHAS = tuple(step / 10 for step in range(11))


def round_model(
    model: LanguageModel, scheme: Scheme, group_size: int | None = None
) -> LanguageModel:
    """Round every weight in the blocks to the nearest code.

    Parameters
    ----------
    model : LanguageModel
        Stays as it is.
    scheme : Scheme
        The integers to use.
    group_size : int, optional
        Neighbours in a row that share a scale; None: a scale for each row.
    """
    model = few_bit_copy(model)
    for layer in few_bit_layers(model).values():
        grid = _grid(layer.weight, scheme, group_size)
        layer.store(quantize(layer.weight, grid), grid)
    return model


def gptq_model(
    model: LanguageModel,
    tokens: Tensor,
    scheme: Scheme,
    group_size: int | None = None,
    damping: float = 0.01,
    act_order: bool = True,
    clip: bool = True,
    progress: bool = False,
) -> LanguageModel:
    """Round weights with `gptq`, layer after layer.

    The Hessian of each layer is that of the inputs it will get: behind layers that are rounded
    already. With those of the float model, a layer would make up for errors on inputs that it
    never gets.

    Parameters
    ----------
    model, scheme, group_size
        As in `round_model`.
    tokens : Tensor
        Integers [N, tokens], the calibration text.
    damping, act_order
        As in `gptq`.
    clip : bool
        Whether ranges are searched for with `best_grid`; else they are those of the weights.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    def change(stage: Stage) -> None:
        # Rows do not depend on one another: all that read one input are rounded in one go.
        h, w = hessian(stage.x), torch.cat([layer.weight for layer in stage.layers])
        grid = _grid(w, scheme, group_size, h if clip else None)
        _store(stage.layers, gptq(w, h, grid, damping, act_order=act_order), grid)

    return block_by_block(model, tokens, change, title="gptq", progress=progress)


def awq_model(
    model: LanguageModel,
    tokens: Tensor,
    scheme: Scheme,
    group_size: int,
    clip: bool = True,
    progress: bool = False,
) -> LanguageModel:
    """Scale columns with `awq`, fold the scales, and round to the nearest code, block after block.

    The input of o is left as it is, since several heads share what writes it.

    Parameters
    ----------
    model, tokens, scheme, group_size, clip, progress
        As in `gptq_model`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    hessians: dict = {}

    def change(stage: Stage) -> None:
        h = hessian(stage.x)
        if stage.name != "mix":
            together = torch.cat([layer.weight for layer in stage.layers])
            magnitude = stage.x.abs().mean(0)
            s = awq(together, magnitude, h, scheme, group_size, ALPHAS).scales
            fold_scales(stage, s)
            h = h / torch.outer(s, s)
        hessians.update(dict.fromkeys(stage.layers, h))

    def finish(block: Block) -> None:
        for layer, h in hessians.items():
            grid = _grid(layer.weight, scheme, group_size, h if clip else None)
            layer.store(quantize(layer.weight, grid), grid)
        hessians.clear()

    return block_by_block(model, tokens, change, finish, "awq", progress)


@torch.no_grad()
def quantize_activations(
    model: LanguageModel,
    tokens: Tensor | None = None,
    scheme: Scheme = INT8,
    progress: bool = False,
) -> LanguageModel:
    """Round the inputs of all layers in the blocks.

    Parameters
    ----------
    model : LanguageModel
        Stays as it is; its weights may be rounded or not.
    tokens : Tensor, optional
        Integers [N, tokens], a calibration text: then each layer has one grid for all tokens, whose
        end is the largest magnitude on that text (static). Without: a grid for each token, from
        the token itself (dynamic).
    scheme : Scheme
        The integers to use.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    TypeError, ValueError
        If `tokens` is no integer tensor [N, tokens].
    """
    model = few_bit_copy(model)
    layers = few_bit_layers(model)
    if tokens is None:
        for layer in layers.values():
            layer.activation = TokenGrid(scheme)
        return model
    tokens = sequences(tokens)
    seen = {name: _Largest() for name in layers}
    for name, layer in layers.items():
        layer.activation = seen[name]
    for sequence in progress_bar(tokens, "calibrating", progress):
        model.hidden(sequence[None])
    for name, layer in layers.items():
        layer.activation = TensorGrid(tensor_grid(seen[name].value, scheme))
    return model


def split_model(model: LanguageModel, threshold: float = 6.0) -> LanguageModel:
    """Multiply in every layer as LLM.int8 does, with `split_linear`.

    Parameters
    ----------
    model : LanguageModel
        A float model; it stays as it is. Weights are rounded at each product, since which columns
        stay in float depends on the input: this is about numbers, not about speed.
    threshold : float
        From which magnitude on a channel of an input is an outlier.

    Raises
    ------
    ValueError
        If `threshold` is negative or NaN.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is {threshold}; expected a magnitude, 0 or more.")
    model = few_bit_copy(model)
    for layer in few_bit_layers(model).values():
        layer.threshold = float(threshold)
    return model


class _Largest:
    """Stands where a grid will, behind a rotation on the way, and lets inputs pass."""

    value = torch.tensor(0.0)

    def __call__(self, x: Tensor) -> Tensor:
        self.value = torch.maximum(self.value, x.abs().amax())
        return x


def _store(layers: list[FewBitLinear], q: Tensor, grid: QParams) -> None:
    """Give each layer its rows of codes, scales and zero points."""
    rows = [layer.out_features for layer in layers]
    parts = (part.split(rows) for part in (q, grid.scale, grid.zero_point))
    for layer, codes, scale, zero_point in zip(layers, *parts, strict=True):
        layer.store(
            codes.clone(), replace(grid, scale=scale.clone(), zero_point=zero_point.clone())
        )


def _grid(
    w: Tensor, scheme: Scheme, group_size: int | None, hessian: Tensor | None = None
) -> QParams:
    """Choose a grid for each row or group; with a Hessian, search for the best ranges."""
    if hessian is not None:
        return best_grid(w, scheme, group_size or w.shape[1], hessian.diagonal().to(w))
    if group_size is None:
        return choose_qparams(w, scheme, axis=0)
    return choose_qparams(w, scheme, axis=1, group_size=group_size)
