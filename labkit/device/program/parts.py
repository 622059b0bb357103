"""The kernels of a C program: templates, what is filled in, and what each needs before it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """A piece of C: a template, what is filled in, and the pieces that it stands on."""

    template: str
    needs: tuple[str, ...] = ()
    filled: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "conv2d": "w->rows * w->columns * channels",
    "grouped": "w->rows * w->columns * inputs",
    "depthwise": "channels",
    "linear": "inputs",
}
"""The kernels of layers, and how many weights lie in a row of packed bytes."""


def _of_layers() -> Iterator[tuple[str, Part]]:
    """Yield the kernels of layers, for each width of weights, with zero points or without."""
    for bits in (8, 4, 2):
        typed = {"bits": bits, "type": "int8_t" if bits == 8 else "uint8_t"}
        yield f"weight_w{bits}", Part("weight", filled=typed)
        for affine in (False, True):
            suffix = f"w{bits}{'_affine' if affine else ''}"
            filled = typed | {"affine": affine, "suffix": suffix}
            yield f"dot_{suffix}", Part("dot", (f"weight_w{bits}",), filled)
            for kind, numbers in ROWS.items():
                row = numbers if bits == 8 else f"({numbers} + {8 // bits - 1}) / {8 // bits}"
                product = f"weight_w{bits}" if kind == "depthwise" else f"dot_{suffix}"
                needs = ("linear_type" if kind == "linear" else "conv2d_type", product)
                for residual in (False, True):
                    name = f"{kind}{'_add' if residual else ''}_{suffix}"
                    more = {"name": name, "residual": residual, "row_bytes": row}
                    yield name, Part(kind, needs, filled | more)


PARTS: dict[str, Part] = {
    "types": Part("types"),
    "requantize": Part("requantize", ("types",)),
    "window": Part("window"),
    "layer": Part("layer", ("requantize",)),
    "conv2d_type": Part("conv2d_type", ("window", "layer")),
    "linear_type": Part("linear_type", ("layer",)),
    "sum_type": Part("sum_type", ("requantize",)),
    "extreme_type": Part("extreme_type"),
    "enter": Part("enter"),
    "gather16": Part("gather", filled={"bits": 16}),
    "gather32": Part("gather", filled={"bits": 32}),
    **dict(_of_layers()),
    **{name: Part(name) for name in ("frame", "clamp", "table", "channel_table", "place")},
    **{name: Part(name, ("requantize",)) for name in ("add", "multiply", "rescale", "combine")},
    "max_pool": Part("max_pool", ("window",)),
    "average_pool": Part("average_pool", ("window", "requantize")),
    "sum": Part("sum", ("sum_type",)),
    "running_sum": Part("running_sum", ("sum_type",)),
    "largest": Part("extreme", ("extreme_type",), {"name": "largest", "sign": ">"}),
    "smallest": Part("extreme", ("extreme_type",), {"name": "smallest", "sign": "<"}),
}
"""By name, in the order in which they stand in a writer."""

TYPE_NAMES = ("grid", "window", "layer", *(f"{kernel}_constants" for kernel in PARTS), "finish")
"""What the templates define besides kernels."""


def needed(kernels: Collection[str]) -> list[str]:
    """Return kernels and all that they stand on, in order."""
    found, ahead = set(), list(kernels)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += PARTS[name].needs
    return [name for name in PARTS if name in found]
