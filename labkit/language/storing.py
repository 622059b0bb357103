"""Language models in safetensors files: tensors, and sizes and vocabulary as metadata."""

import json
from dataclasses import asdict
from os import PathLike, fspath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from labkit.language.model import Config, LanguageModel
from labkit.language.tokenizers import CharacterTokenizer

__all__ = ["read_model", "save_model"]


def save_model(model: LanguageModel, tokenizer: CharacterTokenizer, path: str | PathLike) -> None:
    """Write a float model and its characters, in the dtype that its weights have.

    A head that is the embedding's matrix is written once.
    """
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    metadata = {
        "config": json.dumps(asdict(model.config)),
        "characters": json.dumps(tokenizer.characters),
    }
    save_file(tensors, fspath(path), metadata)


def read_model(path: str | PathLike) -> tuple[LanguageModel, CharacterTokenizer]:
    """Read what `save_model` wrote, as float32, in eval mode.

    Raises
    ------
    ValueError
        If the file is of another kind.
    """
    try:
        with safe_open(fspath(path), "pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = Config(**json.loads(metadata["config"]))
        characters = json.loads(metadata["characters"])
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{fspath(path)} cannot be read as a language model ({error}); expected a file from "
            "labkit.language.save_model."
        ) from error
    with torch.device("meta"):
        model = LanguageModel(config)
    model.place({name: tensor.float() for name, tensor in tensors.items()})
    return model.eval(), CharacterTokenizer(characters)
