"""The KV cache: keys and values of all tokens so far, in few bits.

Each token leaves a key and a value in each layer, and each new token reads all of them. Keys have
outlier channels, as activations have, so a key's grid belongs to a channel, over a group of tokens;
values have none, so a value's grid belongs to its token. Source: Liu et al., "KIVI", ICML 2024,
arXiv:2402.02750, section 3.
"""

import torch
from torch import Tensor

from labkit.linear import QParams, Scheme, choose_qparams, dequantize, quantize
from labkit.qparams import positive_group_size
from labkit.validation import instance_of, real_tensor, whole_number

__all__ = ["KVCache", "cache_bytes", "key_grid", "value_grid"]


def cache_bytes(
    tokens: int, layers: int, heads: int, width: int, bits: int = 16, beside: float = 0.0
) -> float:
    """Return the bytes of a cache: ``2 * tokens * layers * heads * width * (bits + beside) / 8``.

    Parameters
    ----------
    tokens, layers : int
        How many of each.
    heads, width : int
        Key-value heads of a layer, which several query heads may share, and channels of a head.
    bits : int
        Of a number.
    beside : float
        Bits a number for scales and zero points, for example 32 / 64.

    Raises
    ------
    TypeError, ValueError
        If a count is no whole number or below 0.
    """
    numbers = 2
    for name, count in (("tokens", tokens), ("layers", layers), ("heads", heads), ("width", width)):
        if whole_number(count, name) < 0:
            raise ValueError(f"{name} is {count}; expected 0 or more.")
        numbers *= count
    return numbers * (whole_number(bits, "bits") + beside) / 8


def key_grid(keys: Tensor, scheme: Scheme, group_size: int = 32) -> QParams:
    """Choose a grid for each channel of keys [..., tokens, width], over groups of tokens.

    Returns
    -------
    QParams
        scale [..., tokens / group_size, width].

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    return choose_qparams(_with_tokens(keys, "keys"), scheme, -2, group_size)


def value_grid(values: Tensor, scheme: Scheme) -> QParams:
    """Choose a grid for each token of values [..., tokens, width]; raises as `key_grid`.

    Returns
    -------
    QParams
        scale [..., tokens, 1].
    """
    values = _with_tokens(values, "values")
    return choose_qparams(values, scheme, -1, values.shape[-1])


class KVCache:
    """Keys and values of one layer, in the integers of `scheme`.

    A group of keys can be rounded when its last token has come. Until then it stays real, fewer
    than `group_size` tokens; values are rounded at once.

    Parameters
    ----------
    scheme : Scheme
        The integers to use, for example ``Scheme(4)``.
    group_size : int
        How many tokens share a scale of a key's channel.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    def __init__(self, scheme: Scheme, group_size: int = 32) -> None:
        self.scheme = instance_of(scheme, Scheme, "scheme", "Scheme(4)")
        self.group_size = positive_group_size(group_size)
        self._keys: list[tuple[Tensor, QParams]] = []
        self._values: list[tuple[Tensor, QParams]] = []
        self._recent: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add tokens, and return all keys and values so far as they are read from now on.

        Parameters
        ----------
        keys, values : Tensor
            Real [..., tokens, width]; the same but for `tokens` at every call.

        Returns
        -------
        tuple of Tensor
            float32 [..., all tokens, width] each.

        Raises
        ------
        TypeError, ValueError
            If the two are no finite real tensors, or differ in the number of tokens.
        """
        keys, values = _with_tokens(keys, "keys"), _with_tokens(values, "values")
        if keys.shape[-2] != values.shape[-2]:
            raise ValueError(
                f"keys has {keys.shape[-2]} tokens and values {values.shape[-2]}; expected as many."
            )
        grid = value_grid(values, self.scheme)
        self._values.append((quantize(values, grid), grid))
        recent = keys if self._recent is None else torch.cat([self._recent, keys], dim=-2)
        full = recent.shape[-2] // self.group_size * self.group_size
        if full:
            grid = key_grid(recent[..., :full, :], self.scheme, self.group_size)
            self._keys.append((quantize(recent[..., :full, :], grid), grid))
        self._recent = recent[..., full:, :].float()
        rounded = [dequantize(q, grid) for q, grid in self._keys]
        return (
            torch.cat([*rounded, self._recent], dim=-2),
            torch.cat([dequantize(q, grid) for q, grid in self._values], dim=-2),
        )

    def __len__(self) -> int:
        return sum(q.shape[-2] for q, _ in self._values)

    @property
    def bytes(self) -> float:
        """What is stored: codes, scales and recent keys in 16 bits, zero points as codes."""
        total = 0.0 if self._recent is None else 16.0 * self._recent.numel()
        beside = 16 + (0 if self.scheme.symmetric else self.scheme.bits)
        for q, grid in self._keys + self._values:
            total += self.scheme.bits * q.numel() + beside * grid.scale.numel()
        return total / 8


def _with_tokens(x: Tensor, name: str) -> Tensor:
    x = real_tensor(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; expected [..., tokens, width].")
    return x
