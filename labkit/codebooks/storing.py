"""A tensor as codes and levels: what it takes to store, and how a product reads it."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labkit.codebooks.huffman import bits_of, huffman_bits
from labkit.codebooks.kmeans import kmeans_of_each
from labkit.codebooks.levels import nearest, number_of_levels
from labkit.codebooks.optimal import optimal_levels_of_each
from labkit.qparams import positive_group_size
from labkit.validation import integer_tensor, real_tensor

__all__ = ["METHODS", "CodebookTensor", "codebook_linear", "pack_codes", "unpack_codes"]

METHODS = {"kmeans": kmeans_of_each, "optimal": optimal_levels_of_each}
LEVEL_BITS = 32


@dataclass(frozen=True, eq=False)
class CodebookTensor:
    """A tensor stored as packed codes and the levels that they stand for.

    Attributes
    ----------
    shape : tuple of int
        Of the values.
    packed : Tensor
        uint8 [groups, bytes]: the codes of each group, without gaps.
    levels : Tensor
        float32 [groups, k].
    group_size : int
        So many neighbours, in row-major order, share levels; the last group may be shorter.
    """

    shape: tuple[int, ...]
    packed: Tensor
    levels: Tensor
    group_size: int

    @classmethod
    def of(
        cls, x: Tensor, k: int, group_size: int | None = None, method: str = "kmeans"
    ) -> "CodebookTensor":
        """Find levels, one set for the tensor or one for each group, and the codes.

        Parameters
        ----------
        x : Tensor
            Real values, any shape.
        k : int
            How many levels.
        group_size : int, optional
            So many neighbours share levels; None: all.
        method : {"kmeans", "optimal"}
            How levels are found.

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite, non-empty real tensor, or an argument is not as described.
        """
        x, k = real_tensor(x, "x").float(), number_of_levels(k)
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
        size = x.numel() if group_size is None else positive_group_size(group_size)
        groups, packed, tables = x.flatten().split(size), [], []
        for group, levels in zip(groups, METHODS[method](groups, k), strict=True):
            packed.append(pack_codes(nearest(group, levels), bits_of(k)))
            # Fewer different values than levels: the last level fills up the table.
            tables.append(torch.cat([levels, levels[-1:].expand(k - len(levels))]))
        rows = torch.nn.utils.rnn.pad_sequence(packed, batch_first=True)
        return cls(tuple(x.shape), rows, torch.stack(tables), size)

    @property
    def codes(self) -> Tensor:
        """The codes, int64, in the shape of the values."""
        count, bits = math.prod(self.shape), bits_of(self.levels.shape[1])
        rows = [unpack_codes(row, bits, self.group_size) for row in self._whole_rows(bits)]
        return torch.cat(rows)[:count].reshape(self.shape)

    def decode(self) -> Tensor:
        """Return the values, ``levels[code]``, float32."""
        groups = torch.arange(math.prod(self.shape)) // self.group_size
        return self.levels[groups, self.codes.flatten()].reshape(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """Codes and levels, over the values."""
        count = math.prod(self.shape)
        return bits_of(self.levels.shape[1]) + LEVEL_BITS * self.levels.numel() / count

    @property
    def huffman_bits_per_weight(self) -> float:
        """The same with the codes in a Huffman code, one for the tensor."""
        count = math.prod(self.shape)
        return (huffman_bits(self.codes) + LEVEL_BITS * self.levels.numel()) / count

    def _whole_rows(self, bits: int) -> Tensor:
        missing = math.ceil(self.group_size * bits / 8) - self.packed.shape[1]
        return torch.nn.functional.pad(self.packed, (0, missing))


def pack_codes(codes: Tensor, bits: int) -> Tensor:
    """Write codes one after the other without gaps, the lowest bit first.

    Parameters
    ----------
    codes : Tensor
        Integers [n], each below 2^bits.
    bits : int
        1 or more, also such as do not divide 8: 3 bits are 8 codes in 3 bytes.

    Returns
    -------
    Tensor
        uint8 [ceil(n * bits / 8)].
    """
    digits = integer_tensor(codes, "codes").numpy()[:, None] >> np.arange(bits) & 1
    return torch.from_numpy(np.packbits(digits.astype(np.uint8), bitorder="little"))


def unpack_codes(packed: Tensor, bits: int, count: int) -> Tensor:
    """Undo `pack_codes`: the first `count` codes, int64."""
    digits = np.unpackbits(packed.numpy(), count=count * bits, bitorder="little")
    return torch.from_numpy(digits.reshape(count, bits) @ (1 << np.arange(bits)))


def codebook_linear(x: Tensor, codes: Tensor, levels: Tensor) -> Tensor:
    """Multiply by weights that are codes, with one multiplication for each level.

    ::

        y[m, n] = sum over c of  levels[c] * (sum of x[m, j] over all j with codes[n, j] = c)

    Inputs that meet the same level are added first: k products an output instead of one an input.

    Parameters
    ----------
    x : Tensor
        Real values [M, in].
    codes : Tensor
        Integers [out, in] from 0 to k - 1.
    levels : Tensor
        [k].

    Returns
    -------
    Tensor
        [M, out]: ``x @ levels[codes].t()``, but for rounding.

    Notes
    -----
    Han et al., "EIE", ISCA 2016, arXiv:1602.01528, is a chip that reads weights so.
    """
    x, codes = real_tensor(x, "x"), integer_tensor(codes, "codes")
    levels = real_tensor(levels, "levels").to(x.dtype)
    sums = (x @ (codes == c).to(x.dtype).t() for c in range(len(levels)))
    return sum((level * part for level, part in zip(levels, sums, strict=True)), torch.tensor(0.0))
