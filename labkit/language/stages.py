"""Through a model on calibration text, block after block, with a stop before each layer.

Four times in a block an input is read by one or several layers. At each such place a pass looks at
the input, and changes the layers that read it (and those that write it); what comes after is
computed with the changed layers. So every layer is shown what it will really get: the output of the
*already changed* layers before it. Memory holds the inputs of one place, not of the whole model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.language.few_bit import FewBitLinear, few_bit_copy
from labkit.language.model import Block, LanguageModel, angles
from labkit.language.recording import sequences
from labkit.progress_bar import progress_bar

__all__ = ["STAGES", "Stage", "block_by_block"]

STAGES = ("attention", "mix", "mlp", "inner")
AT_ONCE = 4  # sequences


@dataclass(frozen=True, eq=False)
class Stage:
    """A place where an input is read.

    Attributes
    ----------
    name : str
        Of the place in its block, one of `STAGES`.
    block : Block
        The block.
    layers : list of FewBitLinear
        Those that read the input: q, k, v; o; gate, up; down.
    x : Tensor
        float32 [tokens, in], the input; behind a rotation on the way, as the weights expect it.
    """

    name: str
    block: Block
    layers: list[FewBitLinear]
    x: Tensor


@torch.no_grad()
def block_by_block(
    model: LanguageModel,
    tokens: Tensor,
    change: Callable[[Stage], None],
    finish: Callable[[Block], None] = lambda block: None,
    title: str = "",
    progress: bool = False,
) -> LanguageModel:
    """Return a changed copy of a model.

    Parameters
    ----------
    model : LanguageModel
        Stays as it is.
    tokens : Tensor
        Integers [N, tokens], the calibration text.
    change : callable
        Called at each `Stage`.
    finish : callable
        Called with each block after its last stage, before its output is computed.
    title, progress
        Of the bar, and whether there is one.

    Raises
    ------
    TypeError, ValueError
        If `tokens` is no integer tensor [N, tokens].
    """
    tokens = sequences(tokens)
    model = few_bit_copy(model)
    config = model.config
    turn = angles(torch.arange(tokens.shape[1]), config.head_width, config.rope_base)
    x = model.embedding(tokens)
    for block in progress_bar(model.blocks, title, progress):
        for stage in _stages(block, x, turn):
            change(stage)
        finish(block)
        x = torch.cat([block(piece, *turn) for piece in x.split(AT_ONCE)])
    return model


def _stages(block: Block, x: Tensor, turn: tuple[Tensor, Tensor]) -> Iterator[Stage]:
    """Compute a block's forward in steps. Each goes on with the layers as they are by then."""
    attention, mlp = block.attention, block.mlp
    readers = [attention.q, attention.k, attention.v]
    yield _stage("attention", block, readers, block.attention_norm(x))

    def mixed() -> Tensor:
        h = block.attention_norm(x)
        return torch.cat([attention.mix(piece, *turn) for piece in h.split(AT_ONCE)])

    yield _stage("mix", block, [attention.o], mixed())
    x = x + attention.o(mixed())
    yield _stage("mlp", block, [mlp.gate, mlp.up], block.mlp_norm(x))
    yield _stage("inner", block, [mlp.down], mlp.inner(block.mlp_norm(x)))


def _stage(name: str, block: Block, layers: list, x: Tensor) -> Stage:
    return Stage(name, block, layers, layers[0].turned(x.flatten(0, 1)))
