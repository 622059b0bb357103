"""The two models of the lab, by name."""

import importlib.util
from importlib import resources

from labkit.downloads import cached
from labkit.language.gguf_model import load_gguf_model
from labkit.language.model import LanguageModel
from labkit.language.storing import read_model
from labkit.language.tokenizers import Tokenizer

__all__ = ["MODELS", "load_model", "why_missing"]

MODELS = ("shakespeare", "smollm2")
PACKAGES = ("gguf", "tokenizers")


def why_missing(name: str) -> str | None:
    """Return what to do before a model can be loaded, or None if it can.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"name is {name!r}; expected one of {MODELS}.")
    if name == "shakespeare":
        return None
    return _missing_packages(name) or _missing_file(name)


def load_model(name: str) -> tuple[LanguageModel, Tokenizer]:
    """Return a trained model, float32 in eval mode, and its tokenizer.

    Parameters
    ----------
    name : str
        "shakespeare", the built-in model, whose tokens are characters
        (``data/MODEL_CARD_LANGUAGE.md``); or "smollm2", SmolLM2-135M-Instruct, which is what its
        Q4_1 file stands for, after ``labkit get smollm2``.

    Raises
    ------
    ValueError
        If there is no such model.
    FileNotFoundError, ImportError
        If it is not on this machine, or a package is missing; with what to do.
    """
    if name == "shakespeare":
        with resources.as_file(resources.files("labkit.data") / f"{name}.safetensors") as file:
            model, tokenizer = read_model(file)
        if tokenizer is None:
            raise ValueError(f"{file} has no characters; expected the file that is shipped.")
        return model, tokenizer
    reason = why_missing(name)
    path = cached(name)
    if path is None or reason is not None:
        raise (FileNotFoundError if path is None else ImportError)(reason)
    return load_gguf_model(path)


def _missing_packages(name: str) -> str | None:
    packages = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    needed = " and ".join(packages)
    return f'{name} needs {needed}: pip install -e ".[language]"' if packages else None


def _missing_file(name: str) -> str | None:
    if cached(name) is None:
        return f"{name} is not on this machine; to fetch it (93 MB): labkit get {name}"
    return None
