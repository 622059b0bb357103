"""The integer operations that a network becomes, as data: what `labkit.ptq` runs, saves, exports.

One `Step` for each tensor that is stored. A convolution, the residual added to it and the ReLU
behind them are one step, and round once; so is any function of one tensor, however long.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from labkit.qparams import QParams

# Kinds of steps that compute new values and so have a grid of their own.
COMPUTING = (
    "conv1d",
    "conv2d",
    "linear",
    "add",
    "multiply",
    "concatenate",
    "average_pool",
    "combine",
    "table",
    "constant",
    "quantize",
)
# Kinds that move or compare codes, and keep the grid of their first input.
KEEPING = ("max_pool", "flatten", "clamp", "pad", "move")
# Kinds that give no codes: numbers of a shape, and real numbers on an island.
UNQUANTIZED = ("number", "parameter", "dequantize", "real")
WEIGHTED = ("conv1d", "conv2d", "linear")
SUPPORTED = (
    "Conv1d, Conv2d, ConvTranspose2d, Linear, BatchNorm, every function of one tensor (ReLU, SiLU, "
    "GELU, clamp, x * 2 + 1), sums and products of two, torch.cat and stack, pooling, mean and "
    "sum, nearest and bilinear interpolation, whatever moves values about (reshape, permute, "
    "chunk, indexing, padding), Dropout and Identity"
)


@dataclass(frozen=True, eq=False)
class Weights:
    """The constants of a layer.

    Attributes
    ----------
    q_w : Tensor
        Codes of `qparams`, [out, in] or [out, in / groups, kernel height, kernel width].
    qparams : QParams
        For the whole tensor, or per output (axis=0).
    bias : Tensor or None
        float32 [out]; held as int32 at scale S_x S_w.
    """

    q_w: Tensor
    qparams: QParams
    bias: Tensor | None


@dataclass(frozen=True)
class Step:
    """One operation on codes.

    Attributes
    ----------
    name : str
        Of the tensor that it makes: the node of the graph whose value that is; with ``.real``
        behind it, if it is made of real numbers.
    kind : str
        One of `COMPUTING`, `KEEPING` or `UNQUANTIZED`.
    inputs : tuple of str
        The tensors that it takes; a convolution with two adds the second, a residual.
    settings : mapping
        Stride, padding and the like, ``relu`` and its ``ceiling``; only what JSON can hold.
    layer : str or None
        The module whose weights it uses.
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str | None = None


@dataclass(frozen=True)
class Plan:
    """A network as steps.

    Attributes
    ----------
    inputs : tuple of str
        The tensors that it is called with.
    steps : list of Step
        In the order in which they run.
    outputs : object
        What it returns: the name of a tensor, or names in lists, or in mappings with one key:
        "tuple", "dict", or "value" for what is no tensor.
    """

    inputs: tuple[str, ...]
    steps: list[Step]
    outputs: Any


def placed_outputs(
    outputs: Any, place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Go through the tensors that a network returns: where each stands, and its name."""
    if isinstance(outputs, str):
        yield place, outputs
        return
    parts: Any = enumerate(outputs) if isinstance(outputs, list) else ()
    if isinstance(outputs, Mapping):
        ((kind, content),) = outputs.items()
        if kind != "value":
            parts = content.items() if kind == "dict" else enumerate(content)
    for key, part in parts:
        yield from placed_outputs(part, (*place, str(key)))


def described(result: Any, name_of: Callable[[fx.Node], str]) -> Any:
    """Return what a graph returns as data, with a name for each node."""

    def parts(values: Any) -> list[Any]:
        return [described(value, name_of) for value in values]

    if isinstance(result, fx.Node):
        return name_of(result)
    if isinstance(result, tuple):
        return {"tuple": parts(result)}
    if isinstance(result, list):
        return parts(result)
    if isinstance(result, dict):
        return {"dict": dict(zip(map(str, result), parts(result.values()), strict=True))}
    return {"value": result}


def output_names(outputs: Any) -> Iterator[str]:
    """Go through the names of the tensors that a network returns."""
    return (name for _, name in placed_outputs(outputs))


def output_values(outputs: Any, value_of: Any) -> Any:
    """Return what a network returns, with ``value_of(name)`` for each name."""
    if isinstance(outputs, str):
        return value_of(outputs)
    if isinstance(outputs, list):
        return [output_values(part, value_of) for part in outputs]
    ((kind, content),) = outputs.items()
    if kind == "dict":
        return {key: output_values(part, value_of) for key, part in content.items()}
    if kind == "tuple":
        return tuple(output_values(part, value_of) for part in content)
    return content
