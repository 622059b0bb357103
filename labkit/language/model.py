"""A language model of Llama's shape: which token comes next, given all before it.

Blocks one after the other add to a stream x of `width` numbers a token::

    x = embedding[token]                                                                         (1)
    x = x + attention(norm(x));    x = x + mlp(norm(x))            in each block                 (2)
    logits = head norm(x)                                                                        (3)

    norm(x) = x / sqrt(mean(x^2) + epsilon) * weight                                             (4)
    mlp(x) = down (silu(gate x) * up x)                                                          (5)
    attention(x) = o softmax(q k^T / sqrt(d)) v                    in each head                  (6)

q and k are turned by the token's position before they meet, so that their product depends on how
far apart the two tokens are (7). Several heads share one k and v (grouped heads).

Sources: Touvron et al. 2023, arXiv:2302.13971 (the whole); Zhang and Sennrich 2019,
arXiv:1910.07467 (4); Shazeer 2020, arXiv:2002.05202 (5); Vaswani et al. 2017, arXiv:1706.03762 (6);
Su et al. 2021, arXiv:2104.09864 (7); Ainslie et al. 2023, arXiv:2305.13245 (grouped heads).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Cache", "Config", "FloatCache", "LanguageModel", "RMSNorm"]


@dataclass(frozen=True)
class Config:
    """The sizes of a language model.

    Attributes
    ----------
    vocabulary : int
        Tokens there are.
    width : int
        Numbers a token between blocks.
    hidden : int
        Numbers a token inside the MLP.
    blocks : int
        How many.
    heads, kv_heads : int
        Heads of q, and of k and v; the first is a multiple of the second.
    context : int
        The longest text it was trained on, in tokens.
    rope_base : float
        Of the angles of (7).
    epsilon : float
        Of (4).
    """

    vocabulary: int
    width: int
    hidden: int
    blocks: int
    heads: int
    kv_heads: int
    context: int
    rope_base: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Numbers of a head, d in (6)."""
        return self.width // self.heads


class Cache(Protocol):
    """Keys and values of the tokens that one block has read, so that none is computed twice."""

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens, [N, kv_heads, tokens, d]; return those of all tokens."""

    def __len__(self) -> int: ...


class FloatCache:
    """A `Cache` that keeps keys and values as they are."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens, [N, kv_heads, tokens, d]; return those of all tokens."""
        if self.keys is not None and self.values is not None:
            keys = torch.cat([self.keys, keys], dim=2)
            values = torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]


class RMSNorm(nn.Module):
    """Equation (4), in float32 whatever the dtype of x."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to [..., width]."""
        mean_square = x.float().square().mean(-1, keepdim=True)
        return (x.float() * torch.rsqrt(mean_square + self.epsilon)).to(x.dtype) * self.weight


def angles(positions: Tensor, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Return cos and sin of position * base^(-2i / d), [tokens, d / 2], i = 0, 1, ..."""
    frequencies = base ** (-torch.arange(0, head_width, 2) / head_width)
    angle = positions[:, None] * frequencies
    return angle.cos(), angle.sin()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x_2i, x_2i+1) of [..., tokens, d] by its angle, equation (7)."""
    first, second = x[..., 0::2], x[..., 1::2]
    pairs = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return pairs.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Equation (6)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.kv_heads
        self.q = nn.Linear(config.width, config.width, bias=False)
        self.k = nn.Linear(config.width, config.kv_heads * config.head_width, bias=False)
        self.v = nn.Linear(config.width, config.kv_heads * config.head_width, bias=False)
        self.o = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None = None) -> Tensor:
        """Map [N, tokens, width] to [N, tokens, width]; each token sees those before it."""
        return self.o(self.mix(x, cos, sin, cache))

    def mix(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None = None) -> Tensor:
        """Return what `o` reads: softmax(q k^T / sqrt(d)) v of all heads, [N, tokens, width]."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [N, heads, tokens, d]
        k = self.k(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        v = self.v(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        if cache is not None:
            k, v = cache.append(k, v)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, v))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(k.shape[2] - q.shape[2] + 1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        return mixed.transpose(1, 2).flatten(2)


class MLP(nn.Module):
    """Equation (5)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to [..., width]."""
        return self.down(self.inner(x))

    def inner(self, x: Tensor) -> Tensor:
        """Return what `down` reads, [..., hidden]."""
        return F.silu(self.gate(x)) * self.up(x)


class Block(nn.Module):
    """Equation (2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.epsilon)
        self.attention = Attention(config)
        self.mlp_norm = RMSNorm(config.width, config.epsilon)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None = None) -> Tensor:
        """Map [N, tokens, width] to [N, tokens, width]."""
        x = x + self.attention(self.attention_norm(x), cos, sin, cache)
        return x + self.mlp(self.mlp_norm(x))


class LanguageModel(nn.Module):
    """Equations (1) to (3). The head is the embedding's matrix, unless one of its own is given."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        blocks = [Block(config) for _ in range(config.blocks)]
        self.blocks: Sequence[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.norm = RMSNorm(config.width, config.epsilon)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def new_cache(self) -> list[FloatCache]:
        """Return an empty cache for each block."""
        return [FloatCache() for _ in self.blocks]

    def forward(self, tokens: Tensor, cache: Sequence[Cache] | None = None) -> Tensor:
        """Return the logits of the next token at every place.

        Parameters
        ----------
        tokens : Tensor
            int64 [N, tokens]. With a cache: those that it has not seen.
        cache : list of Cache, optional
            One for each block, as `new_cache` gives them; takes up the keys and values of `tokens`.

        Returns
        -------
        Tensor
            float32 [N, tokens, vocabulary].
        """
        return self.head(self.hidden(tokens, cache)).float()

    def hidden(self, tokens: Tensor, cache: Sequence[Cache] | None = None) -> Tensor:
        """Return what the head reads, [N, tokens, width]; arguments as `forward`."""
        seen = len(cache[0]) if cache else 0
        positions = torch.arange(seen, seen + tokens.shape[1])
        cos, sin = angles(positions, self.config.head_width, self.config.rope_base)
        x = self.embedding(tokens)
        for block, memory in zip(self.blocks, cache or self.config.blocks * [None], strict=True):
            x = block(x, cos, sin, memory)
        return self.norm(x)

    def place(self, tensors: Mapping[str, Tensor]) -> None:
        """Put tensors in the places of all parameters; without "head.weight" the head is tied.

        Raises
        ------
        ValueError
            If one is missing, left over or of another shape.
        """
        shapes = {name: tuple(parameter.shape) for name, parameter in self.named_parameters()}
        shapes["head.weight"] = shapes["embedding.weight"]
        wrong = sorted(shapes.keys() ^ {*tensors, "head.weight"})
        if wrong:
            raise ValueError(f"missing or left over: {', '.join(wrong[:5])}; expected every name.")
        for name, tensor in tensors.items():
            if tuple(tensor.shape) != shapes[name]:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}; expected {shapes[name]}."
                )
            path, _, own = name.rpartition(".")
            setattr(self.get_submodule(path), own, nn.Parameter(tensor, requires_grad=False))
        if "head.weight" not in tensors:
            self.head.weight = self.embedding.weight
