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
- `loading`, `gguf_model`, `storing`: models from files, and into them, as `gguf_export`;
- `training`: how the built-in one was made;
- `recording`: what layers see; `smollm2_layers`: real layers for everybody;
- `measuring`, `generation`: how well a model predicts, and what it writes; `results`: how well
  SmolLM2 did with each method;
- `few_bit`: a layer in few bits; `stages`: block after block; `folding`, `passes`: each method on a
  whole model; `packed`: packed codes and their speed.
"""

from labkit.language.awq import Scaled, awq, awq_scales
from labkit.language.cache import KVCache, cache_bytes, key_grid, value_grid
from labkit.language.few_bit import (
    FewBitLinear,
    TensorGrid,
    TokenGrid,
    few_bit_layers,
    linear_layers,
)
from labkit.language.folding import rotate_model, smooth_model
from labkit.language.generation import generate
from labkit.language.gguf_export import export_gguf
from labkit.language.gguf_model import load_gguf_model
from labkit.language.gptq import gptq, hessian, inverse_factor, layer_error
from labkit.language.groups import best_grid, bits_per_weight, group_grid
from labkit.language.loading import load_model, why_missing
from labkit.language.measuring import measure
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
from labkit.language.packed import PackedLinear, Speed, kernels_usable, pack_model, speed
from labkit.language.passes import (
    awq_model,
    gptq_model,
    quantize_activations,
    round_model,
    split_model,
)
from labkit.language.recording import InputMaxima, record_inputs, record_maxima, watch_inputs
from labkit.language.results import Result, stored_results, stored_speeds
from labkit.language.rotation import hadamard, rotate, rotate_back
from labkit.language.smollm2_layers import RealLayer, real_layers
from labkit.language.smoothing import smooth, smoothing_scales
from labkit.language.stages import Stage, block_by_block
from labkit.language.storing import bytes_by_kind, read_model, save_model
from labkit.language.text import load_text
from labkit.language.tokenizers import BytePairTokenizer, CharacterTokenizer

__all__ = [
    "BytePairTokenizer",
    "CharacterTokenizer",
    "Config",
    "FewBitLinear",
    "FloatCache",
    "InputMaxima",
    "KVCache",
    "LanguageModel",
    "PackedLinear",
    "Perplexity",
    "RealLayer",
    "Result",
    "Scaled",
    "Speed",
    "Stage",
    "TensorGrid",
    "TokenGrid",
    "awq",
    "awq_model",
    "awq_scales",
    "best_grid",
    "bits_per_weight",
    "block_by_block",
    "bytes_by_kind",
    "cache_bytes",
    "channel_maxima",
    "difference",
    "export_gguf",
    "few_bit_layers",
    "generate",
    "gptq",
    "gptq_model",
    "group_grid",
    "hadamard",
    "hessian",
    "inverse_factor",
    "kernels_usable",
    "key_grid",
    "layer_error",
    "linear_layers",
    "load_gguf_model",
    "load_model",
    "load_text",
    "measure",
    "pack_model",
    "perplexity",
    "quantize_activations",
    "read_model",
    "real_layers",
    "record_inputs",
    "record_maxima",
    "rotate",
    "rotate_back",
    "rotate_model",
    "round_model",
    "save_model",
    "smooth",
    "smooth_model",
    "smoothing_scales",
    "speed",
    "split_linear",
    "split_model",
    "split_outliers",
    "stored_results",
    "stored_speeds",
    "tensor_grid",
    "token_grid",
    "token_losses",
    "token_maxima",
    "value_grid",
    "watch_inputs",
    "why_missing",
]
