"""The door of the C programs: from an integer network to two files."""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labkit.device.planner import peak_bytes
from labkit.device.program.emitters import emit
from labkit.device.program.memory import Buffer, Placed, natural, positions
from labkit.device.program.parts import PARTS, TYPE_NAMES
from labkit.device.program.rendering import constant_bytes, rendered, sizes_of
from labkit.device.program.writer import WORDS, Writer
from labkit.ptq.network import QuantizedModel
from labkit.validation import instance_of, integer_tensor, whole_number

LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Exported:
    """What a program takes.

    Attributes
    ----------
    files : tuple of Path
        The .c and the .h.
    pixels, logits : int
        Bytes that go in and out.
    arena : int
        Bytes of RAM for all tensors.
    peak : int
        Bytes that are live at once at most: no arena is smaller.
    constants : int
        Bytes of flash for weights, biases, multipliers and tables.
    """

    files: tuple[Path, Path]
    pixels: int
    logits: int
    arena: int
    peak: int
    constants: int


def export_c(
    model: QuantizedModel,
    folder: str | os.PathLike,
    name: str = "network",
    image_shape: Sequence[int] = (1, 28, 28),
    table: Tensor | None = None,
) -> Exported:
    """Write an integer network as a C program: NAME.c and NAME.h.

    The program is C99 with integers alone: no heap, no library, all tensors in one static arena.
    It computes what ``model.using("fixed")`` does, code for code.

    Parameters
    ----------
    model : QuantizedModel
        With integers from its input to its result; however it requantizes here, the program does it
        in fixed point (`labkit.kernels.fixed_stage`).
    folder : path
        Where the two files go; it is made if it is not there, and files of these names are
        replaced.
    name : str
        Of the files and of the functions, ``NAME_run(pixels, logits)``: a C identifier.
    image_shape : sequence of int
        The sizes of one input as torch has it, for images channels, height and width.
    table : Tensor, optional
        The door, codes [channels, 256] as `labkit.device.input_table` returns them: the program
        then takes the bytes of a camera. Without it, it takes codes of the first grid, counted
        from the lowest.

    Returns
    -------
    Exported

    Raises
    ------
    TypeError
        If `model` is no QuantizedModel, or `image_shape` no sequence of whole numbers.
    ValueError
        If the name is no C identifier, images of that shape or the table do not fit the network, a
        step computes with real numbers or has no form in integers, or sums could leave int32.
    OSError
        If the folder cannot be written. In any of these cases no file is changed.
    ImportError
        If the package `jinja2` is missing.

    Notes
    -----
    Images lie as [height][width][channels] in memory, the order in which cameras give them.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    _check_name(name)
    if isinstance(image_shape, str) or not isinstance(image_shape, Sequence):
        raise TypeError(f"image_shape is {image_shape!r}; expected its sizes, like (1, 28, 28).")
    sizes = tuple(whole_number(size, "a size in image_shape") for size in image_shape)
    writer = _written(model, sizes, table, name)
    arena = writer.place()
    size, peak = (arena.size, peak_bytes(arena.lifetimes)) if arena else (0, 0)
    texts = rendered(writer, name, size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / f"{name}.c", folder / f"{name}.h")
    _write_all(dict(zip(files, texts, strict=True)))
    pixels, logits = sizes_of(writer)
    return Exported(files, pixels, logits, size, peak, constant_bytes(writer))


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w{0,62}", name, re.ASCII):
        raise ValueError(
            f"name is {name!r}; expected a C identifier: letters, digits and _, no digit first."
        )
    if name in WORDS or name.startswith("_"):
        raise ValueError(f"name is {name!r}, which C keeps for itself; expected another name.")


def _check_integers(model: QuantizedModel) -> None:
    """Refuse what has no place in a program of integers."""
    real = [s.name for s in model.steps if s.kind in ("real", "dequantize", "quantize")]
    real = real or [step.name for step in model.steps if step.kind == "parameter"]
    if real:
        raise ValueError(
            f"step {real[0]!r} computes with real numbers; expected integers from the images to "
            "the result. Export the network without what follows its last layer, and without "
            "islands: labkit.ptq.explain(model) names them."
        )
    if len(model.input_names) > 1 or not isinstance(model.outputs, str):
        raise ValueError(
            f"the network takes {', '.join(model.input_names)} and returns {model.outputs}; "
            "expected one tensor each."
        )


def _written(
    model: QuantizedModel, image_shape: tuple[int, ...], table: Tensor | None, name: str
) -> Writer:
    """Write all steps into a writer."""
    _check_integers(model)
    fixed = model.using("fixed")
    try:
        with torch.inference_mode():
            values = fixed.values(torch.zeros(1, *image_shape))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"image_shape is {image_shape}, which does not fit the network: {error} Expected the "
            "sizes of one of its images, for example (3, 224, 224)."
        ) from error
    if not isinstance(values.get(fixed.outputs), Tensor):
        raise ValueError(f"the network returns {fixed.outputs!r}, no tensor; expected codes.")
    writer = Writer(fixed, values)
    writer.keep({*TYPE_NAMES, *PARTS, *(f"{name}_{end}" for end in ("run", "class", "margin"))})
    writer.keep(
        f"{name.upper()}_{end}"
        for end in (
            "PIXELS",
            "LOGITS",
            "ARENA",
            "CONSTANTS",
            "MULTIPLY_ADDS",
            "H",
            "HEIGHT",
            "WIDTH",
            "CHANNELS",
        )
    )
    _enter(writer, table)
    for step in fixed.steps:
        emit(writer, step)
    _leave(writer)
    writer.drop_unread()
    largest = max(buffer.size for buffer in writer.buffers)
    if largest > LARGEST:
        raise ValueError(f"a tensor takes {largest} bytes; expected {LARGEST} at most.")
    return writer


def _enter(writer: Writer, table: Tensor | None) -> None:
    name = writer.model.input_name
    shape = writer.values[name].shape
    pixels = Buffer("pixels", writer.values[name].numel(), "pixels", in_arena=False)
    writer.buffers.append(pixels)
    if table is None:
        writer.put(name, pixels)
        return
    channels = shape[1] if len(shape) == 4 else 1
    scheme = writer.model.qparams[name].scheme
    codes = integer_tensor(table, "table").to(torch.int64) - scheme.qmin
    low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
    if tuple(codes.shape) != (channels, 256) or low < 0 or high > scheme.qmax - scheme.qmin:
        raise ValueError(
            f"table has shape {tuple(codes.shape)} and codes from {low + scheme.qmin} to "
            f"{high + scheme.qmin}; expected {(channels, 256)}, a code from {scheme.qmin} to "
            f"{scheme.qmax} for each byte: input_table(mean, std, model.qparams[model.input_name])."
        )
    constants = writer.struct(
        "enter",
        "door",
        count=pixels.size,
        channels=channels,
        table=writer.array("door_table", codes.to(torch.uint8).numpy()),
    )
    codes_of = writer.make("input", pixels.size)
    writer.call("enter", [pixels], codes_of, constants, note="the door")
    writer.put(name, codes_of)


def _leave(writer: Writer) -> None:
    """Let the last call write the logits."""
    result: Placed = writer.tensors[writer.model.outputs]
    order = natural(len(result.shape))
    buffer = writer.read(result, order, "logits")
    if not buffer.in_arena:
        places = positions([buffer.size], [0])
        buffer = writer.gather(Placed(buffer, places), places, "logits", always=True)
    buffer.in_arena, buffer.where = False, "logits"
    writer.tensors[writer.model.outputs] = Placed(buffer, positions(result.shape, order))


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write files, all of them or none."""
    for path in texts:
        if path.is_dir():
            raise IsADirectoryError(f"{str(path)!r} is a folder; expected no such name, or a file.")
    partial = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}") for path in texts}
    try:
        for path, text in texts.items():
            partial[path].write_text(text, "utf-8", newline="\n")
        for path, written in partial.items():
            written.replace(path)
    finally:
        for written in partial.values():
            written.unlink(missing_ok=True)
