"""Language models in few bits: the methods, on plain tensors.

Weights are [out, in], activations [tokens, in]; grids are those of `labkit.linear`.

- `metrics`: perplexity with its standard error, and two models on the same tokens;
- `outliers`: where they sit, grids for activations, and the split of LLM.int8;
- `groups`: weights with a scale for each group, and what they cost;
- `smoothing`, `rotation`: two ways to make outliers small before rounding;
- `awq`, `gptq`: two ways to round weights with an eye on what they are multiplied by;
- `cache`: keys and values of earlier tokens.
"""

from labkit.language.awq import Scaled, awq, awq_scales
from labkit.language.cache import KVCache, cache_bytes, key_grid, value_grid
from labkit.language.gptq import gptq, hessian, inverse_factor, layer_error
from labkit.language.groups import best_grid, bits_per_weight, group_grid
from labkit.language.metrics import Perplexity, difference, perplexity, token_losses
from labkit.language.outliers import (
    channel_maxima,
    split_linear,
    split_outliers,
    tensor_grid,
    token_grid,
    token_maxima,
)
from labkit.language.rotation import hadamard, rotate, rotate_back
from labkit.language.smoothing import smooth, smoothing_scales

__all__ = [
    "KVCache",
    "Perplexity",
    "Scaled",
    "awq",
    "awq_scales",
    "best_grid",
    "bits_per_weight",
    "cache_bytes",
    "channel_maxima",
    "difference",
    "gptq",
    "group_grid",
    "hadamard",
    "hessian",
    "inverse_factor",
    "key_grid",
    "layer_error",
    "perplexity",
    "rotate",
    "rotate_back",
    "smooth",
    "smoothing_scales",
    "split_linear",
    "split_outliers",
    "tensor_grid",
    "token_grid",
    "token_losses",
    "token_maxima",
    "value_grid",
]
