"""Codebooks: weights on any set of levels, which need not lie at equal distances.

- `levels`: the nearest level, and the levels of a normal distribution;
- `kmeans` finds levels step by step, `optimal` the best there are;
- `huffman`: codes of unequal length; `storing`: what a tensor takes;
- `network`: networks whose weights are codes, and training of their levels.
"""

from labkit.codebooks.huffman import entropy_bits, huffman_bits, huffman_lengths
from labkit.codebooks.kmeans import INITS, kmeans, lloyd_step, squared_error
from labkit.codebooks.levels import lookup, nearest, normal_float
from labkit.codebooks.network import CodebookLayer, centroid_gradient, fine_tune, share_weights
from labkit.codebooks.optimal import optimal_levels, optimal_levels_by_trying
from labkit.codebooks.storing import CodebookTensor, codebook_linear, pack_codes, unpack_codes

__all__ = [
    "INITS",
    "CodebookLayer",
    "CodebookTensor",
    "centroid_gradient",
    "codebook_linear",
    "entropy_bits",
    "fine_tune",
    "huffman_bits",
    "huffman_lengths",
    "kmeans",
    "lloyd_step",
    "lookup",
    "nearest",
    "normal_float",
    "optimal_levels",
    "optimal_levels_by_trying",
    "pack_codes",
    "share_weights",
    "squared_error",
    "unpack_codes",
]
