"""A language model from a GGUF file: sizes, weights and tokenizer."""

from os import PathLike
from typing import Any

import torch

from labkit.blocks import GGUFFile, read_gguf
from labkit.language.model import Config, LanguageModel
from labkit.language.tokenizers import BytePairTokenizer, CharacterTokenizer

__all__ = ["TENSORS", "gguf_config", "gguf_model", "gguf_tokenizer", "load_gguf_model"]

# Names of llama.cpp for the parameters of a block and of the whole.
OF_A_BLOCK = {
    "attention_norm.weight": "attn_norm.weight",
    "attention.q.weight": "attn_q.weight",
    "attention.k.weight": "attn_k.weight",
    "attention.v.weight": "attn_v.weight",
    "attention.o.weight": "attn_output.weight",
    "mlp_norm.weight": "ffn_norm.weight",
    "mlp.gate.weight": "ffn_gate.weight",
    "mlp.up.weight": "ffn_up.weight",
    "mlp.down.weight": "ffn_down.weight",
}
SIZES = {
    "width": "embedding_length",
    "hidden": "feed_forward_length",
    "blocks": "block_count",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "context": "context_length",
    "rope_base": "rope.freq_base",
    "epsilon": "attention.layer_norm_rms_epsilon",
}
CONTROL = 3  # in "tokenizer.ggml.token_type": no text, such as the end of a message
CHARACTERS = "labkit characters"  # in "tokenizer.ggml.model": a `CharacterTokenizer`
TENSORS = {
    "embedding.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "head.weight": "output.weight",
}


def gguf_name(parameter: str) -> str:
    """Return what llama.cpp calls a parameter: "blocks.3.mlp.up.weight" is "blk.3.ffn_up.weight".

    Raises
    ------
    ValueError
        If the model has no such parameter.
    """
    if parameter in TENSORS:
        return TENSORS[parameter]
    start, _, rest = parameter.partition(".")
    number, _, own = rest.partition(".")
    if start != "blocks" or own not in OF_A_BLOCK:
        raise ValueError(
            f"parameter is {parameter!r}; expected a name from LanguageModel.named_parameters()."
        )
    return f"blk.{number}.{OF_A_BLOCK[own]}"


def gguf_config(metadata: dict[str, Any]) -> Config:
    """Return the sizes that a file's metadata state.

    Raises
    ------
    ValueError
        If the file holds no model of Llama's shape, or lacks one of the sizes.
    """
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise ValueError(
            f"the file holds a model of architecture {architecture!r}; expected 'llama'."
        )
    try:
        sizes = {own: metadata[f"llama.{name}"] for own, name in SIZES.items()}
        return Config(vocabulary=len(metadata["tokenizer.ggml.tokens"]), **sizes)
    except KeyError as error:
        raise ValueError(
            f"the file lacks {error.args[0]!r}; expected a whole language model with its tokenizer."
        ) from error


def gguf_model(file: GGUFFile) -> LanguageModel:
    """Return the float model that the weights in a file stand for, in eval mode.

    llama.cpp has reordered q and k so that (7) turns neighbouring pairs, as `LanguageModel` does.

    Raises
    ------
    ValueError
        If a tensor is missing or has another shape.
    """
    with torch.device("meta"):
        model = LanguageModel(gguf_config(file.metadata))
    names = [name for name, _ in model.named_parameters()]
    if TENSORS["head.weight"] in file.tensors:
        names.append("head.weight")
    missing = [gguf_name(name) for name in names if gguf_name(name) not in file.tensors]
    if missing:
        raise ValueError(f"the file lacks {missing[0]!r}; expected a whole language model.")
    model.place({name: file.tensors[gguf_name(name)].decode() for name in names})
    return model.eval()


def gguf_tokenizer(metadata: dict[str, Any]) -> BytePairTokenizer | CharacterTokenizer:
    """Return the tokenizer in a file's metadata.

    Raises
    ------
    ImportError
        If the package tokenizers is not installed.
    ValueError
        If it is of another kind than SmolLM2's (byte pairs, digits one by one) or the built-in
        model's.
    """
    if metadata.get("tokenizer.ggml.model") == CHARACTERS:
        return CharacterTokenizer("".join(metadata["tokenizer.ggml.tokens"]))
    kind = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise ValueError(f"the file's tokenizer is {kind}; expected ('gpt2', 'smollm').")
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    return BytePairTokenizer(
        tokens,
        metadata["tokenizer.ggml.merges"],
        special=[token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL],
    )


def load_gguf_model(
    path: str | PathLike,
) -> tuple[LanguageModel, BytePairTokenizer | CharacterTokenizer]:
    """Read a model and its tokenizer.

    Raises
    ------
    ImportError
        If the package gguf or tokenizers is not installed.
    ValueError
        If the file is no GGUF file, or holds another kind of model.
    """
    file = read_gguf(path)
    return gguf_model(file), gguf_tokenizer(file.metadata)
