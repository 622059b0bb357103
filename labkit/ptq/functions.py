"""Functions that steps call by name, as data: what JSON can hold, and no code in a file.

Four kinds: what moves codes about, what sums them with fixed weights, what computes shapes, and
what only real numbers are good for (`islands`).
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from labkit.ptq.calls import PATCHES, words
from labkit.ptq.rewriting import vectors, with_item


def _in_float(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function that torch has for real numbers alone move codes, which float32 holds."""

    def moved(q: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(q.to(torch.float32), *args, **kwargs).to(q.dtype)

    return moved


def _unflattened(q: Tensor, dim: int, sizes: Any = None, unflattened_size: Any = None) -> Tensor:
    return q.unflatten(dim, sizes or unflattened_size)  # the function's word, or the module's


def _method(name: str) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


# What gives the same codes in other places, or some of them: the grid stays.
MOVES: dict[str, Callable[..., Any]] = {
    name: _method(name)
    for name in words(
        "reshape flatten permute transpose t squeeze unsqueeze expand expand_as "
        "reshape_as chunk split tensor_split unbind narrow select movedim flip roll repeat "
        "tile repeat_interleave broadcast_to index_select diagonal amax amin"
    )
}
MOVES |= {
    "view_as": _method("reshape_as"),
    "getitem": operator.getitem,
    "vectors": vectors,
    "T": lambda q: q.T,
    "mT": lambda q: q.mT,
    "channel_shuffle": _in_float(F.channel_shuffle),
    "pixel_shuffle": F.pixel_shuffle,
    "pixel_unshuffle": F.pixel_unshuffle,
    "interpolate": _in_float(F.interpolate),
    "pad": _in_float(F.pad),
    "unfold": _method("unfold"),
    "unflatten": _unflattened,
    PATCHES: _in_float(F.unfold),
}
# Linear in the codes, with weights that are fixed: a sum, rounded once to a grid of its own.
COMBINATIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "interpolate": F.interpolate,
    "avg_pool1d": F.avg_pool1d,
    "avg_pool2d": F.avg_pool2d,
    "adaptive_avg_pool1d": F.adaptive_avg_pool1d,
    "adaptive_avg_pool2d": F.adaptive_avg_pool2d,
    "cumsum": torch.cumsum,
}
# On numbers that come out of shapes.
NUMBERS: dict[str, Callable[..., Any]] = {
    name: getattr(operator, name)
    for name in words(
        "add sub mul floordiv mod neg pow getitem eq ne lt le gt ge and_ or_ not_ abs"
    )
}
NUMBERS |= {
    "div": operator.truediv,
    "size": _method("size"),
    "dim": _method("dim"),
    "ndimension": _method("dim"),
    "numel": _method("numel"),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "len": len,
    "int": int,
    "float": float,
    "round": round,
    "min": min,
    "max": max,
    "sqrt": math.sqrt,
    "ceil": math.ceil,
    "floor": math.floor,
    "trunc": math.trunc,
    "prod": math.prod,
}
# On real numbers, between integers or behind them.
REAL_NAMES = frozenset(
    words(
        "softmax log_softmax layer_norm group_norm instance_norm rms_norm normalize matmul "
        "bmm baddbmm einsum scaled_dot_product_attention argmax argmin topk max min maximum "
        "minimum norm std var cumsum where masked_fill eq ne lt le gt ge logsumexp "
        "cosine_similarity glu conv1d conv2d linear bilinear div add sub mul rsub pow mean "
        "sum sigmoid tanh relu relu6 leaky_relu elu selu celu gelu silu mish softplus "
        "hardswish hardsigmoid hardtanh clamp exp log sqrt rsqrt square abs neg reciprocal "
        "sin cos erf batch_norm cat stack new_zeros new_ones zeros ones zeros_like ones_like "
        "full arange with_item prelu logsigmoid softmin clamp_min clamp_max "
        "local_response_norm lp_pool2d max_pool2d avg_pool2d "
        "pad interpolate adaptive_avg_pool2d adaptive_max_pool2d fold sort round floor "
        "sign logical_not bitwise_not float to type_as contiguous"
    )
)


# As Python writes them, so that a number may stand on either side.
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "with_item": with_item,
}


def real_function(name: str) -> Callable[..., Any]:
    """Return a function of `torch` on real numbers.

    Raises
    ------
    ValueError
        If it is none of those that a network may use.
    """
    if name in MOVES and name not in REAL_NAMES:
        return MOVES[name]
    if name not in REAL_NAMES:
        raise ValueError(f"function is {name!r}; expected one that labkit.ptq knows.")
    if name in ARITHMETIC:
        return ARITHMETIC[name]
    if name in ("new_zeros", "new_ones", "to", "type_as", "contiguous", "float"):
        return _method(name)
    for place in (F, torch, Tensor):
        function: Any = getattr(place, name, None)
        if function:
            return function
    raise ValueError(f"function is {name!r}; expected one that torch has.")


def encoded(value: Any, refer: Callable[[fx.Node], int]) -> Any:
    """Write arguments as data, with a place among a step's inputs for each node.

    Raises
    ------
    ValueError
        If an argument is something else.
    """
    if isinstance(value, fx.Node):
        return {"input": refer(value)}
    if isinstance(value, tuple | list):
        return [encoded(part, refer) for part in value]
    if isinstance(value, slice):
        return {"slice": [encoded(p, refer) for p in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": value.type}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    raise ValueError(f"it takes {value!r}; expected numbers and tensors.")


def decoded(value: Any, inputs: Sequence[Any]) -> Any:
    """Return arguments from data and a step's inputs."""
    if isinstance(value, list):
        return tuple(decoded(part, inputs) for part in value)
    if not isinstance(value, Mapping):
        return value
    ((kind, content),) = value.items()
    if kind == "input":
        return inputs[content]
    if kind == "slice":
        return slice(*decoded(content, inputs))
    if kind == "ellipsis":
        return ...
    if kind == "float":
        return float(content)
    if kind == "device":
        return torch.device(content)
    if kind == "dtype" and isinstance(getattr(torch, content), torch.dtype):
        return getattr(torch, content)
    raise ValueError(f"an argument is {value!r}; expected one that a step can have.")


def called(function: Callable[..., Any], settings: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
    """Call a function as a step's settings say."""
    arguments = decoded(list(settings.get("arguments", [])), inputs)
    keywords = {k: decoded(v, inputs) for k, v in settings.get("keywords", {}).items()}
    return function(*arguments, **keywords)
