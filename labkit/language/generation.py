"""A model writes on: greedily, or drawing each token by its probability."""

from collections.abc import Sequence

import torch
from torch import Tensor

from labkit.language.model import Cache, LanguageModel
from labkit.language.recording import sequences
from labkit.progress_bar import progress_bar
from labkit.validation import whole_number

__all__ = ["generate"]


@torch.inference_mode()
def generate(
    model: LanguageModel,
    tokens: Tensor,
    count: int,
    temperature: float = 0.0,
    seed: int = 0,
    cache: Sequence[Cache] | None = None,
    progress: bool = False,
) -> Tensor:
    """Return tokens and `count` more, each from the logits behind those before.

    Parameters
    ----------
    model : LanguageModel
    tokens : Tensor
        Integers [N, tokens]: how each text begins.
    count : int
        How many tokens to add.
    temperature : float
        0: the token with the largest logit, the lowest number of several. Else tokens are drawn
        with probabilities softmax(logits / temperature).
    seed : int
        Of the draws: the same seed gives the same text.
    cache : list of Cache, optional
        Empty caches, for example ``[KVCache(Scheme(4)) for _ in model.blocks]``: keys and values in
        few bits. By default they stay in float.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Tensor
        int64 [N, tokens + count].

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    text, count = sequences(tokens), whole_number(count, "count")
    if count < 0:
        raise ValueError(f"count is {count}; expected 0 or more.")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; expected 0 or more.")
    draw = torch.Generator().manual_seed(whole_number(seed, "seed"))
    memory, new = cache or model.new_cache(), text
    for _ in progress_bar(range(count), "writing", progress):
        logits = model(new, memory)[:, -1]
        if temperature:
            probabilities = (logits / temperature).softmax(-1)
            new = torch.multinomial(probabilities, 1, generator=draw)
        else:
            new = logits.argmax(-1, keepdim=True)
        text = torch.cat([text, new], dim=1)
    return text
