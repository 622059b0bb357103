"""The text of a C program: what was written, in the templates' words."""

import textwrap
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np

from labkit import __version__
from labkit.device.program.parts import PARTS, needed
from labkit.device.program.writer import TYPES, Call, Writer
from labkit.ptq.plan import WEIGHTED

LINE = 96


def sizes_of(writer: Writer) -> tuple[int, int]:
    """Return how many numbers go in, and how many come out."""
    names = (writer.model.input_name, writer.model.outputs)
    return writer.values[names[0]].numel(), writer.values[names[1]].numel()


def constant_bytes(writer: Writer) -> int:
    """Return the bytes of all arrays of a program."""
    return sum(array.nbytes for array in writer.arrays.values())


def multiply_adds(writer: Writer) -> int:
    """Return how many products of codes and weights an image takes, those in the padding too."""
    total = 0
    for step in writer.model.steps:
        if step.kind in WEIGHTED:
            weights = writer.model.weights[step.layer or ""].q_w
            outputs = writer.values[step.name].numel()
            total += outputs * weights[0].numel()
    return total


def rendered(writer: Writer, name: str, arena: int) -> tuple[str, str]:
    """Return the text of the .c and of the .h."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise ImportError(
            "export_c needs the package jinja2: pip install labkit[device]"
        ) from error
    templates = resources.files("labkit.device.program") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda path: (templates / path).read_text("utf-8")),
        undefined=StrictUndefined,
        autoescape=False,
    )
    kernels = [
        environment.get_template(f"kernels/{PARTS[part].template}.c.j2").render(PARTS[part].filled)
        for part in needed(writer.kernels)
    ]
    pixels, logits = sizes_of(writer)
    model = writer.model
    qparams = model.qparams[model.outputs]
    calls = [_call(call) for call in writer.calls]
    width = min(max(len(text) for text, _ in calls), LINE - 24) if calls else 0
    common = {
        "name": name,
        "upper": name.upper(),
        "guard": f"{name.upper()}_H",
        "version": __version__,
        "pixels": pixels,
        "logits": logits,
        "arena": arena,
        "constants": constant_bytes(writer),
        "macs": multiply_adds(writer),
        "image_sizes": _image_sizes(writer),
        "input_words": _input_words(writer),
        "output_words": _output_words(writer),
        "logit_zero_point": writer.zero_point(model.outputs),
        "logit_scale": float(qparams.scale),
        "kernels": kernels,
        "arrays": [_array(key, values) for key, values in writer.arrays.items()],
        "structs": [
            {
                "kind": s.kind,
                "name": s.name,
                "fields": [_field(*item) for item in s.fields.items()],
            }
            for s in writer.structs
        ],
        "calls": [
            {"text": text, "note": note, "padding": " " * max(width + 2 - len(text), 2)}
            for text, note in calls
        ],
    }
    c, h = (environment.get_template(f"network.{end}.j2").render(common) for end in "ch")
    return c.rstrip() + "\n", h.rstrip() + "\n"


def _image_sizes(writer: Writer) -> list[tuple[str, int]]:
    shape = writer.values[writer.model.input_name].shape[1:]
    sizes = (shape[1], shape[2], shape[0]) if len(shape) == 3 else ()
    return list(zip(("HEIGHT", "WIDTH", "CHANNELS"), sizes, strict=False))


def _input_words(writer: Writer) -> str:
    shape = writer.values[writer.model.input_name].shape[1:]
    entered = any(call.kernel == "enter" for call in writer.calls)
    what = "bytes of the image" if entered else "codes of the first grid"
    if len(shape) == 3:
        return f"{what}, [{shape[1]}][{shape[2]}][{shape[0]}]: height, width, channels"
    return what + ", " + "".join(f"[{size}]" for size in shape)


def _output_words(writer: Writer) -> str:
    shape = writer.values[writer.model.outputs].shape
    if len(shape) == 4:
        return f"[{shape[2]}][{shape[3]}][{shape[1]}], channels last"
    return "the logits"


def _call(call: Call) -> tuple[str, str]:
    constants = [f"&{call.constants}"] if call.constants else []
    arguments = ", ".join([*constants, *(buffer.where for buffer in call.operands)])
    return f"{call.kernel}({arguments});", call.note


def _array(name: str, values: np.ndarray) -> dict[str, Any]:
    flat = values.reshape(-1)
    rows, line = [], "  "
    for number in flat.tolist():
        text = f"{'(-2147483647 - 1)' if number == -(2**31) else number}, "
        if len(line) + len(text) > LINE:
            rows.append(line.rstrip())
            line = "  "
        line += text
    rows.append(line.rstrip().rstrip(","))
    return {"type": TYPES[flat.dtype], "name": name, "count": flat.size, "rows": "\n".join(rows)}


def _field(name: str, value: Any) -> str:
    return textwrap.fill(
        f".{name} = {_value(value)},", LINE, initial_indent="  ", subsequent_indent="    "
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f".{key} = {_value(part)}" for key, part in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"{{{', '.join(map(_value, value))}}}"
    return str(value)
