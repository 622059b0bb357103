"""A language model into a GGUF file, in the block formats of lab 6, as llama.cpp expects it."""

from os import PathLike, stat
from typing import Any

import numpy as np
from torch import Tensor

from labkit.blocks import BlockTensor, write_gguf
from labkit.language.few_bit import few_bit_layers
from labkit.language.gguf_model import CHARACTERS, CONTROL, SIZES, gguf_name
from labkit.language.model import LanguageModel
from labkit.language.tokenizers import BytePairTokenizer, CharacterTokenizer

__all__ = ["EXPORT_FORMATS", "export_gguf"]

EXPORT_FORMATS = ("q8_0", "q4_0", "q4_1")
TEXT = 1  # in "tokenizer.ggml.token_type"


def export_gguf(
    model: LanguageModel,
    tokenizer: BytePairTokenizer | CharacterTokenizer,
    path: str | PathLike,
    format: str = "q4_0",
    embedding_format: str = "q8_0",
) -> int:
    """Write a model with its tokenizer; return the size of the file in bytes.

    Parameters
    ----------
    model : LanguageModel
        Float, smoothed or not. Weights that are rounded to another grid are rounded once more.
    tokenizer : BytePairTokenizer or CharacterTokenizer
        llama.cpp knows the first kind.
    path : path
        Replaced if it exists.
    format : str
        Of the matrices in the blocks, one of `EXPORT_FORMATS`.
    embedding_format : str
        Of the embedding, and of a head that has its own matrix. Normalizations stay float32.

    Raises
    ------
    ImportError
        If the package gguf is not installed.
    ValueError
        If there is no such format; if rows are not whole blocks; if the model does on the way what
        the file cannot say (rotations, rounded inputs).
    """
    for name in (format, embedding_format):
        if name not in EXPORT_FORMATS:
            raise ValueError(f"format is {name!r}; expected one of {EXPORT_FORMATS}.")
    for name, layer in few_bit_layers(model).items():
        if layer.rotated or layer.activation is not None:
            raise ValueError(
                f"{name} rotates or rounds its input, which a GGUF file cannot say; expected a "
                "float or smoothed model, or one with rounded weights only."
            )
    tensors: dict[str, Tensor | BlockTensor] = {}
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    if model.head.weight is not model.embedding.weight:
        parameters["head.weight"] = model.head.weight
    for name, parameter in parameters.items():
        weight = parameter.detach().float()
        of_block = name.startswith("blocks.")
        if weight.ndim == 2:
            chosen = format if of_block else embedding_format
            tensors[gguf_name(name)] = BlockTensor.of(weight, chosen)
        else:
            tensors[gguf_name(name)] = weight
    write_gguf(path, tensors, _sizes(model) | _vocabulary(tokenizer), architecture="llama")
    return stat(path).st_size


def _sizes(model: LanguageModel) -> dict[str, Any]:
    """Return the sizes under llama.cpp's names, whole numbers as uint32 and others as float32."""
    config = model.config
    sizes = {f"llama.{name}": getattr(config, own) for own, name in SIZES.items()}
    sizes["llama.vocab_size"] = config.vocabulary
    sizes["llama.rope.dimension_count"] = config.head_width
    return {k: np.uint32(v) if isinstance(v, int) else np.float32(v) for k, v in sizes.items()}


def _vocabulary(tokenizer: BytePairTokenizer | CharacterTokenizer) -> dict[str, Any]:
    if isinstance(tokenizer, CharacterTokenizer):
        return {
            "tokenizer.ggml.model": CHARACTERS,
            "tokenizer.ggml.tokens": list(tokenizer.characters),
        }
    special = set(tokenizer.special)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(tokenizer.tokens),
        "tokenizer.ggml.token_type": [CONTROL if t in special else TEXT for t in tokenizer.tokens],
        "tokenizer.ggml.merges": list(tokenizer.merges),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
    }
