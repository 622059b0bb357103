"""Language models in few bits.

Methods, on plain tensors. Weights are [out, in], activations [tokens, in]; grids are those of
`labkit.linear`:

- `metrics`: perplexity with its standard error, and two models on the same tokens;
- `outliers`: where they sit, grids for activations, and the split of LLM.int8;
- `groups`: weights with a scale for each group, and what they cost;
- `smoothing`, `rotation`: two ways to make outliers small before rounding;
- `awq`, `gptq`: two ways to round weights with an eye on what they are multiplied by;
- `cache`: keys and values of earlier tokens.

Models:

- `model`: the forward of Llama, like its formulas; `tokenizers`, `text`;
- `loading`, `gguf_model`, `storing`: models from files; `training`: how the built-in one was made;
- `recording`: what layers see; `smollm2_layers`: real layers for everybody.
"""

from labkit.language.awq import Scaled, awq, awq_scales
from labkit.language.cache import KVCache, cache_bytes, key_grid, value_grid
from labkit.language.gguf_model import load_gguf_model
from labkit.language.gptq import gptq, hessian, inverse_factor, layer_error
from labkit.language.groups import best_grid, bits_per_weight, group_grid
from labkit.language.loading import load_model, why_missing
from labkit.language.metrics import Perplexity, difference, perplexity, token_losses
from labkit.language.model import Config, FloatCache, LanguageModel
from labkit.language.outliers import (
    channel_maxima,
    split_linear,
    split_outliers,
    tensor_grid,
    token_grid,
    token_maxima,
)
from labkit.language.recording import linear_layers, record_inputs, watch_inputs
from labkit.language.rotation import hadamard, rotate, rotate_back
from labkit.language.smollm2_layers import RealLayer, real_layers
from labkit.language.smoothing import smooth, smoothing_scales
from labkit.language.text import load_text
from labkit.language.tokenizers import BytePairTokenizer, CharacterTokenizer

__all__ = [
    "BytePairTokenizer",
    "CharacterTokenizer",
    "Config",
    "FloatCache",
    "KVCache",
    "LanguageModel",
    "Perplexity",
    "RealLayer",
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
    "linear_layers",
    "load_gguf_model",
    "load_model",
    "load_text",
    "perplexity",
    "real_layers",
    "record_inputs",
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
    "watch_inputs",
    "why_missing",
]
