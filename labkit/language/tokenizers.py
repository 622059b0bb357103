"""From text to tokens and back."""

from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["BytePairTokenizer", "CharacterTokenizer", "Tokenizer"]


class Tokenizer(Protocol):
    """From text to tokens and back."""

    def encode(self, text: str) -> Tensor:
        """Return the tokens of a text, int64 [tokens]."""

    def decode(self, tokens: Tensor) -> str:
        """Return the text of tokens [tokens]."""


class CharacterTokenizer:
    """A token for each character.

    Parameters
    ----------
    characters : str
        The vocabulary; the first is token 0.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._numbers = {character: number for number, character in enumerate(characters)}

    def encode(self, text: str) -> Tensor:
        """Return the tokens of a text, int64 [tokens].

        Raises
        ------
        ValueError
            If the text has a character that is not in the vocabulary.
        """
        unknown = sorted(set(text) - self._numbers.keys())
        if unknown:
            raise ValueError(
                f"text has {', '.join(map(repr, unknown[:5]))}; this model knows the "
                f"{len(self.characters)} characters {self.characters!r} only."
            )
        return torch.tensor([self._numbers[character] for character in text], dtype=torch.int64)

    def decode(self, tokens: Tensor) -> str:
        """Return the text of tokens [tokens]."""
        return "".join(self.characters[token] for token in tokens.tolist())


class BytePairTokenizer:
    """Byte pairs merged as often as the vocabulary allows, digits one by one, as in SmolLM2.

    Source: Sennrich et al. 2016, arXiv:1508.07909; on bytes, as GPT-2. Computed by the package
    tokenizers.

    Parameters
    ----------
    tokens : sequence of str
        The vocabulary; the first is token 0.
    merges : sequence of str
        Pairs "left right", the most frequent first.
    special : sequence of str
        Tokens that stand for no text, such as the end of a message.
    """

    def __init__(
        self, tokens: Sequence[str], merges: Sequence[str], special: Sequence[str] = ()
    ) -> None:
        package = _package()
        self.tokens, self.merges, self.special = tokens, merges, special
        vocabulary = {token: number for number, token in enumerate(tokens)}
        pairs = [tuple(merge.split(" ")) for merge in merges]
        self._tokenizer = package.Tokenizer(package.models.BPE(vocabulary, pairs))
        parts = package.pre_tokenizers
        self._tokenizer.pre_tokenizer = parts.Sequence(
            [parts.Digits(individual_digits=True), parts.ByteLevel(add_prefix_space=False)]
        )
        self._tokenizer.decoder = package.decoders.ByteLevel()
        self._tokenizer.add_special_tokens(list(special))

    def encode(self, text: str) -> Tensor:
        """Return the tokens of a text, int64 [tokens]."""
        return torch.tensor(self._tokenizer.encode(text).ids, dtype=torch.int64)

    def decode(self, tokens: Tensor) -> str:
        """Return the text of tokens [tokens], without special ones."""
        return self._tokenizer.decode(tokens.tolist())


def _package() -> ModuleType:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "This model needs the package tokenizers, which is not installed; install it with "
            'pip install -e ".[language]" in the folder of the course.'
        ) from error
    return tokenizers
