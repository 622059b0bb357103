"""A C program in the making: its constants, its memory, and the calls of its kernels."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labkit.device.planner import Arena, Lifetime, tight_arena
from labkit.device.program.memory import Buffer, Placed, in_memory, natural, positions
from labkit.ptq.calls import words
from labkit.ptq.network import QuantizedModel

TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.uint32): "uint32_t",
    np.dtype(np.int64): "int64_t",
}
WORDS = frozenset(
    words(
        "auto break case char const continue default do double else enum extern float for goto if "
        "inline int long register restrict return short signed sizeof static struct switch "
        "typedef union unsigned void volatile while main asm linux unix NULL arena pixels logits "
        "assert complex ctype errno fenv inttypes iso646 limits locale math setjmp signal stdarg "
        "stdbool stddef stdint stdio stdlib string tgmath time wchar wctype"
    )
)
"""What C, its headers and the templates keep for themselves, besides kernels and types."""
BORDER = 2**32 - 1  # a place that is none: what lies there is given apart


@dataclass(frozen=True)
class Call:
    """A kernel at work.

    Attributes
    ----------
    kernel : str
        Its name in C.
    operands : tuple of Buffer
        What it reads and, the last, what it writes.
    constants : str or None
        The C name of the struct that describes the work.
    replaces : tuple of Buffer
        What it reads and may write over, number by number.
    note : str
        Which step of the network it is, for people.
    """

    kernel: str
    operands: tuple[Any, ...]
    constants: str | None
    replaces: tuple[Buffer, ...]
    note: str


@dataclass(frozen=True)
class Struct:
    """The constants of a call: a struct of a kernel's own type, and its fields."""

    kind: str
    name: str
    fields: Mapping[str, Any]


@dataclass
class Writer:
    """What the emitters of steps write into.

    Attributes
    ----------
    model : QuantizedModel
        With requantization in fixed point.
    values : mapping of str to object
        What each step gives for one image: codes, of which the shape counts, and numbers.
    tensors : dict of str to Placed
    arrays : dict of str to ndarray
    structs : list of Struct
    calls : list of Call
    kernels : set of str
        Which parts of the templates are needed.
    """

    model: QuantizedModel
    values: Mapping[str, Any]
    tensors: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    structs: list[Struct] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)
    buffers: list[Buffer] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def operation(self, name: str) -> Any:
        """Return what computes a step here, without a ceiling or a row around it."""
        operation: Any = self._operations[name]
        while isinstance(getattr(operation, "layer", None), nn.Module):
            operation = operation.layer
        return operation

    @cached_property
    def _operations(self) -> dict[str, nn.Module]:
        names = [step.name for step in self.model.steps]
        return dict(zip(names, self.model.operations, strict=True))

    def keep(self, names: Iterable[str]) -> None:
        """Let nothing have these names."""
        self._names.update(names)

    def name(self, wanted: str) -> str:
        """Return a C identifier that nothing else has, like the one that is wanted."""
        plain = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_")[:40] or "tensor"
        if plain[0].isdigit() or plain in WORDS or re.search(r"_(t|MAX|MIN|C|H)$", plain):
            plain = f"layer_{plain}"
        name, number = plain, 1
        while name in self._names:
            number += 1
            name = f"{plain}_{number}"
        self._names.add(name)
        return name

    def array(self, wanted: str, values: Any) -> str:
        """Add a constant array, or find it; return its name."""
        array = np.ascontiguousarray(values)
        for name, other in self.arrays.items():
            if other.dtype == array.dtype and np.array_equal(other, array):
                return name
        name = self.name(wanted)
        self.arrays[name] = array
        return name

    def struct(self, kind: str, wanted: str, **fields: Any) -> str:
        """Add the constants of a call; return their name."""
        name = self.name(wanted)
        self.structs.append(Struct(kind, name, fields))
        return name

    def constant(self, wanted: str, values: Tensor) -> Buffer:
        """Add codes that never change, as a buffer."""
        name = self.array(wanted, values.to(torch.uint8).numpy())
        return Buffer(name, values.numel(), name, in_arena=False)

    def make(self, step: str, size: int) -> Buffer:
        """Return a new piece of the arena, which the next call fills."""
        buffer = Buffer(
            self.name(f"{step}_codes"), size, first=len(self.calls), last=len(self.calls)
        )
        self.buffers.append(buffer)
        return buffer

    def call(
        self,
        kernel: str,
        inputs: Sequence[Buffer],
        output: Buffer,
        constants: str | None = None,
        replaces: Sequence[Buffer] = (),
        note: str = "",
    ) -> None:
        """Add a call."""
        for buffer in (*inputs, output):
            buffer.last = max(buffer.last, len(self.calls))
        self.kernels.add(kernel)
        note = re.sub(r"\W+", "_", note, flags=re.ASCII)
        self.calls.append(Call(kernel, (*inputs, output), constants, tuple(replaces), note))

    def read(self, tensor: Placed, order: Sequence[int], note: str) -> Buffer:
        """Return a buffer in which a tensor lies with its axes in an order; copy it if need be."""
        if tensor.lies(order):
            return tensor.buffer
        return self.gather(tensor, in_memory(tensor.places, order), note)

    def gather(
        self, tensor: Placed, places: Tensor, note: str, border: int = 0, always: bool = False
    ) -> Buffer:
        """Copy codes from their places in a tensor's buffer, one behind the other."""
        source = tensor.buffer
        constant = not source.in_arena and source.where in self.arrays
        if constant and not always and bool((places < BORDER).all()):
            values = torch.from_numpy(self.arrays[source.where]).reshape(-1)
            return self.constant(f"{note}_moved", values[places])
        output = self.make(note, len(places))
        small = source.size < 2**16 - 1
        kind = np.uint16 if small else np.uint32
        stored = torch.where(places == BORDER, np.iinfo(kind).max, places)
        struct = self.struct(
            "gather16" if small else "gather32",
            f"{note}_move",
            count=len(places),
            border=border,
            places=self.array(f"{note}_places", stored.numpy().astype(kind)),
        )
        self.call("gather16" if small else "gather32", [source], output, struct, note=note)
        return output

    def drop_unread(self) -> None:
        """Let go of arrays that no call reads: their numbers were moved when this was written."""
        fields = [value for struct in self.structs for value in struct.fields.values()]
        read = {buffer.where for call in self.calls for buffer in call.operands}
        read |= set(_strings(fields))
        self.arrays = {name: array for name, array in self.arrays.items() if name in read}

    def put(self, name: str, buffer: Buffer, order: Sequence[int] | None = None) -> None:
        """Say that a step's tensor fills a buffer."""
        shape = self.values[name].shape
        self.tensors[name] = Placed(buffer, positions(shape, order or natural(len(shape))))

    def lowest(self, name: str) -> int:
        """Return the code that the program counts a tensor's codes from."""
        return self.model.qparams[name].scheme.qmin

    def zero_point(self, name: str) -> int:
        """Return a tensor's zero point, counted from the lowest code."""
        return int(self.model.qparams[name].zero_point) - self.lowest(name)

    def place(self, alignment: int = 1) -> Arena | None:
        """Give each piece of the arena its offset."""
        inside = self._inside()
        lifetimes = [
            Lifetime(b.name, b.size, b.first, b.last, inside.get(b.name))
            for b in self.buffers
            if b.in_arena
        ]
        if not lifetimes:
            return None
        arena = tight_arena(lifetimes, alignment)
        for buffer in self.buffers:
            if buffer.in_arena:
                buffer.where = f"arena + {arena.offsets[buffer.name]}"
        return arena

    def _inside(self) -> dict[str, str]:
        """Return what each result may lie in: an input as large that is not needed again."""
        found: dict[str, str] = {}
        for i, call in enumerate(self.calls):
            output = call.operands[-1]
            for buffer in call.replaces:
                free = buffer.in_arena and buffer.last == i and buffer.size == output.size
                if output.in_arena and free and buffer.name not in found.values():
                    found[output.name] = buffer.name
                    break
        return found


def _strings(values: Any) -> Iterator[str]:
    """Yield the strings in nested containers."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, Mapping):
        yield from _strings(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _strings(value)


def window_fields(
    image: Any,
    result: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> dict[str, Any]:
    """Return the fields of a window that moves over images."""
    return {
        "images": image[0],
        "height": image[2],
        "width": image[3],
        "channels": image[1],
        "out_height": result[2],
        "out_width": result[3],
        "rows": kernel_size[0],
        "columns": kernel_size[1],
        "stride": list(stride),
        "padding": list(padding),
        "dilation": list(dilation),
    }
