"""What leaves a model's outputs as they are: scales and rotations, folded into the weights.

Scales of a layer's input move between the layers that read it and what writes it: `fold_scales`,
and `smooth_model`, which chooses them. Rotations of the stream go into all that writes and reads
it: `rotate_model`.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from labkit.language.few_bit import few_bit_copy
from labkit.language.model import Block, LanguageModel
from labkit.language.outliers import channel_maxima
from labkit.language.rotation import rotate
from labkit.language.smoothing import smoothing_scales
from labkit.language.stages import STAGES, Stage, block_by_block

__all__ = ["fold_scales", "rotate_model", "smooth_model"]


def smooth_model(
    model: LanguageModel,
    tokens: Tensor,
    alpha: float = 0.5,
    stages: Collection[str] = STAGES,
    progress: bool = False,
) -> LanguageModel:
    """Smooth the inputs of layers, and fold the division into what writes them.

    Parameters
    ----------
    model : LanguageModel
        A float model; it stays as it is.
    tokens : Tensor
        Integers [N, tokens], the calibration text.
    alpha : float
        As in `smoothing_scales`: how much of the difficulty moves to the weights.
    stages : collection of str
        Which inputs: "attention" (of q, k, v) and "mlp" (of gate, up), behind a normalization, as
        in the paper; "mix" (of o), behind v, and "inner" (of down), behind up.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    LanguageModel
        With the same outputs, up to rounding in float32.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or weights are rounded or rotated already.
    """
    unknown = sorted(set(stages) - set(STAGES))
    if unknown:
        raise ValueError(f"stages has {unknown[0]!r}; expected some of {STAGES}.")

    def change(stage: Stage) -> None:
        if stage.name in stages:
            weight = torch.cat([layer.weight for layer in stage.layers])
            x_maxima = _of_shared_heads(stage, channel_maxima(stage.x))
            w_maxima = _of_shared_heads(stage, channel_maxima(weight))
            fold_scales(stage, smoothing_scales(x_maxima, w_maxima, alpha))

    return block_by_block(model, tokens, change, title="smoothing", progress=progress)


def fold_scales(stage: Stage, s: Tensor) -> None:
    """Divide the input of a stage by s, channel by channel, and multiply the columns that read it.

    The division goes into what writes the input: a normalization's weight, or the rows of v or up,
    since what they give is multiplied further on, never added to. Heads that share a v need the
    same scales.

    Parameters
    ----------
    stage : Stage
        Its layers are changed, and its block.
    s : Tensor
        Positive [in].
    """
    block = stage.block
    if stage.name == "mix":
        shared = s.unflatten(0, (block.attention.kv_heads, -1, _head_width(block)))[:, 0]
        _replace(block.attention.v, block.attention.v.weight / shared.flatten()[:, None])
    elif stage.name == "inner":
        _replace(block.mlp.up, block.mlp.up.weight / s[:, None])
    else:
        norm = block.attention_norm if stage.name == "attention" else block.mlp_norm
        _replace(norm, norm.weight / s)
    for layer in stage.layers:
        _replace(layer, layer.weight * s)


def _of_shared_heads(stage: Stage, maxima: Tensor) -> Tensor:
    """Return maxima [in], in front of o the largest of all heads that share a v."""
    if stage.name != "mix":
        return maxima
    heads = maxima.unflatten(0, (stage.block.attention.kv_heads, -1, _head_width(stage.block)))
    return heads.amax(1, keepdim=True).expand_as(heads).flatten()


def _head_width(block: Block) -> int:
    return block.attention.v.out_features // block.attention.kv_heads


@torch.no_grad()
def rotate_model(model: LanguageModel) -> LanguageModel:
    """Rotate all inputs of layers by Hadamard matrices.

    Between blocks the stream x becomes x R: R goes into the embedding and into o and down, which
    write it, and R^T into q, k, v, gate, up and the head, which read it. The weight of a
    normalization would stand in between, and goes into the layers behind it first. In front of o
    each head is rotated on its own, folded into v and o. In front of down, behind a product, the
    rotation is computed on the way (`FewBitLinear.rotated`).

    Parameters
    ----------
    model : LanguageModel
        A float model, smoothed or not; it stays as it is.

    Returns
    -------
    LanguageModel
        With the same outputs, up to rounding in float32; its head has a matrix of its own.

    Raises
    ------
    ValueError
        If there is no Hadamard matrix of a size that is needed, or weights are rounded already.

    Notes
    -----
    Ashkboos et al., "QuaRot", NeurIPS 2024, arXiv:2404.00456, section 4, without its rotation of
    keys.
    """
    model = few_bit_copy(model)
    config = model.config
    _replace(model.head, rotate(model.head.weight * model.norm.weight))
    _replace(model.embedding, rotate(model.embedding.weight))
    _replace(model.norm, torch.ones_like(model.norm.weight))
    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        for norm, readers in (
            (block.attention_norm, (attention.q, attention.k, attention.v)),
            (block.mlp_norm, (mlp.gate, mlp.up)),
        ):
            for layer in readers:
                _replace(layer, rotate(layer.weight * norm.weight))
            _replace(norm, torch.ones_like(norm.weight))
        for writer in (attention.o, mlp.down):
            _replace(writer, rotate(writer.weight.T).T)
        heads = attention.v.weight.T.unflatten(1, (config.kv_heads, -1))
        _replace(attention.v, rotate(heads).flatten(1).T)
        heads = attention.o.weight.unflatten(1, (config.heads, -1))
        _replace(attention.o, rotate(heads).flatten(1))
        _replace(mlp.down, rotate(mlp.down.weight))
        mlp.down.rotated = True  # type: ignore[assignment]  # a FewBitLinear
    return model


def _replace(layer: nn.Module, weight: Tensor) -> None:
    if getattr(layer, "q", None) is not None or getattr(layer, "rotated", False):
        raise ValueError(
            "model is rounded or rotated already; expected a float model. "
            "Smooth first, then rotate, then round."
        )
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
