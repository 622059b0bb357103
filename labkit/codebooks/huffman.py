"""Huffman codes: frequent codes get fewer bits.

Deep Compression's third step (Han, Mao and Dally 2016, arXiv:1510.00149, section 4): after k-means
most weights share a few levels near 0, so codes of equal length waste bits.
"""

import heapq
import math

import torch
from torch import Tensor

from labkit.validation import integer_tensor

__all__ = ["entropy_bits", "huffman_bits", "huffman_lengths"]


def huffman_lengths(counts: Tensor) -> Tensor:
    """Return how many bits each symbol gets: the two rarest are joined until one is left.

    Parameters
    ----------
    counts : Tensor
        Whole numbers [k]: how often each symbol occurs.

    Returns
    -------
    Tensor
        int64 [k]; 0 for symbols that do not occur, and 1 for one that is alone. The total
        ``sum counts * lengths`` is the least that any code reaches in which no code word begins
        another one (Huffman, "A method for the construction of minimum-redundancy codes", 1952).

    Raises
    ------
    TypeError, ValueError
        If `counts` is not a non-empty integer tensor, or holds a number below 0.
    """
    counts = integer_tensor(counts, "counts").long().flatten()
    if bool((counts < 0).any()):
        raise ValueError(f"counts has {int(counts.min())}; expected numbers of 0 or more.")
    lengths = torch.zeros_like(counts)
    heap = [(int(n), i, [i]) for i, n in enumerate(counts) if n > 0]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (n, first, symbols), (m, _, others) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[symbols + others] += 1
        heapq.heappush(heap, (n + m, first, symbols + others))
    return lengths


def huffman_bits(codes: Tensor) -> int:
    """Return the bits of all codes together, each with the length that `huffman_lengths` gives it.

    Parameters
    ----------
    codes : Tensor
        Integers of 0 or more, any shape.

    Returns
    -------
    int
        Without the table of the lengths, which a file needs as well: a few bits for each symbol.

    Raises
    ------
    TypeError, ValueError
        If `codes` is not a non-empty integer tensor, or holds a number below 0.
    """
    counts = _counts(codes)
    return int((counts * huffman_lengths(counts)).sum())


def entropy_bits(codes: Tensor) -> float:
    """Return ``-sum n log2(n / N)``: fewer bits no code reaches. Arguments as `huffman_bits`."""
    counts = _counts(codes)
    seen = counts[counts > 0].double()
    return float(-(seen * (seen / seen.sum()).log2()).sum()) + 0.0


def _counts(codes: Tensor) -> Tensor:
    codes = integer_tensor(codes, "codes").long().flatten()
    if bool((codes < 0).any()):
        raise ValueError(f"codes has {int(codes.min())}; expected numbers of 0 or more.")
    return torch.bincount(codes)


def bits_of(k: int) -> int:
    """Return how many bits a code below `k` takes: ceil(log2 k), at least 1."""
    return max(1, math.ceil(math.log2(k)))
