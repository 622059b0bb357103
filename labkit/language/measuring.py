"""How well a model predicts a text."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from labkit.language.metrics import Perplexity, token_losses
from labkit.language.model import Cache, LanguageModel
from labkit.language.recording import sequences
from labkit.progress_bar import progress_bar

__all__ = ["measure"]


def measure(
    model: LanguageModel,
    tokens: Tensor,
    new_cache: Callable[[], Sequence[Cache]] | None = None,
    progress: bool = False,
) -> Perplexity:
    """Return the perplexity of a model on a text, one sequence at a time.

    Parameters
    ----------
    model : LanguageModel
    tokens : Tensor
        Integers [N, tokens]; the first of each sequence is given, all others are predicted.
    new_cache : callable, optional
        Returns the caches of a sequence, to measure what keys and values in few bits do:
        ``lambda: [KVCache(Scheme(4)) for _ in model.blocks]``.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    TypeError, ValueError
        If `tokens` is no integer tensor [N, tokens].
    """
    losses = []
    with torch.inference_mode():
        for sequence in progress_bar(sequences(tokens), "measuring", progress):
            logits = model(sequence[None], new_cache() if new_cache else None)
            losses.append(token_losses(logits[0], sequence))
    return Perplexity(torch.cat(losses))
