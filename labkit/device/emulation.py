r"""The same C file on an emulated microcontroller: a Cortex-M4 in QEMU.

`labkit/device/cortex_m4` has what a bare chip needs: from reset to main, and the memory's layout.
By hand, what `emulate` does is::

    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -O2 -std=gnu99 -ffreestanding -nostdlib \
        -T board.ld board.c images.c network.c -lgcc -o network.elf
    qemu-system-arm -M mps2-an386 -nographic -semihosting -icount shift=0 -kernel network.elf

QEMU counts instructions, not cycles: ``-icount shift=0`` lets each take a nanosecond, and the clock
of the board ticks every 40. A real chip waits for its memory besides.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labkit import zoo
from labkit.device.compiling import Compiler, compile_c
from labkit.device.running import header, name_in
from labkit.validation import whole_number

__all__ = ["EMULATOR", "Emulated", "emulate", "find_cross_compiler"]

EMULATOR = "qemu-system-arm"
INSTRUCTIONS_A_TICK = 40  # a nanosecond each, and a clock of 25 MHz
GCC = ("-mcpu=cortex-m4", "-mthumb", "-nostdlib")
ZIG = ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4")
FLAGS = ("-O2", "-std=gnu99", "-ffreestanding", "-Wall", "-Wextra")
SECONDS = 600


@dataclass(frozen=True)
class Emulated:
    """What a network did on an emulated chip.

    Attributes
    ----------
    logits : ndarray
        uint8 [N, logits], as `Program` returns them.
    instructions : ndarray
        int64 [N]: of each image, to the nearest 40.
    flash, ram : int
        Bytes of the program with its constants, and of its variables, without images and stack.
    compiler : str
        What compiled it.
    """

    logits: np.ndarray
    instructions: np.ndarray
    flash: int
    ram: int
    compiler: str


def find_cross_compiler() -> Compiler | None:
    """Return a C compiler for the Cortex-M4: arm-none-eabi-gcc, else that of ziglang, or None."""
    path = shutil.which("arm-none-eabi-gcc")
    if path:
        return Compiler("arm-none-eabi-gcc", (path, *GCC))
    if importlib.util.find_spec("ziglang"):
        command = (sys.executable, "-m", "ziglang", "cc", *ZIG)
        return Compiler("zig cc (package ziglang)", command)
    return None


def emulate(
    folder: str | os.PathLike,
    pixels: Any,
    name: str | None = None,
    compiler: Compiler | None = None,
) -> Emulated:
    """Run a program that `export_c` wrote on an emulated Cortex-M4.

    Parameters
    ----------
    folder : path
        Where NAME.c and NAME.h are; nothing is written there.
    pixels : array
        uint8 [N, ...], as `Program` takes them.
    name : str, optional
        Of the program, if there are several.
    compiler : Compiler, optional
        `find_cross_compiler` by default.

    Raises
    ------
    ValueError
        If the emulator or a compiler is missing or fails, or the program does not fit the board.
    """
    folder = Path(folder).resolve()
    name = name_in(folder) if name is None else name
    sizes = header(folder, name)
    compiler = compiler or find_cross_compiler()
    emulator = shutil.which(EMULATOR)
    if compiler is None or emulator is None:
        raise ValueError(
            f"there is no {EMULATOR if compiler else 'compiler for the Cortex-M4'} here; install "
            "gcc-arm-none-eabi (or ziglang) and qemu-system-arm."
        )
    images = np.ascontiguousarray(np.asarray(pixels))
    if images.dtype != np.uint8 or not len(images) or images[0].size != sizes["PIXELS"]:
        raise ValueError(
            f"pixels have shape {images.shape} and dtype {images.dtype}; expected uint8 [N, ...] "
            f"with one image or more, and {sizes['PIXELS']} numbers an image."
        )
    images = images.reshape(len(images), -1)
    with tempfile.TemporaryDirectory() as place:
        board = resources.files("labkit.device") / "cortex_m4"
        for file in ("board.c", "board.ld"):
            (Path(place) / file).write_text((board / file).read_text("utf-8"), "utf-8")
        (Path(place) / "images.c").write_text(_images(name, images, sizes["LOGITS"]), "utf-8")
        sources = [Path(place) / "board.c", Path(place) / "images.c", folder / f"{name}.c"]
        elf = Path(place) / "network.elf"
        script = Path(place) / "board.ld"
        end = ["-lgcc"] if compiler.command[-1] == GCC[-1] else []
        flags = [*FLAGS, "-I", str(folder), "-T", str(script)]
        compile_c(compiler, sources, elf, flags, end)
        lines = _emulated(emulator, elf)
        flash, ram = memory_of(elf.read_bytes())
    numbers = np.array([[int(word, 16) for word in line.split()] for line in lines], np.int64)
    if numbers.shape != (len(images), 1 + sizes["LOGITS"]):
        raise ValueError(
            f"the emulator printed {numbers.shape} numbers; expected one line an image."
        )
    return Emulated(
        numbers[:, 1:].astype(np.uint8),
        numbers[:, 0] * INSTRUCTIONS_A_TICK,
        flash - images.nbytes,
        ram,
        compiler.name,
    )


def fashion_pixels(number: int) -> np.ndarray:
    """Return the first test images of Fashion-MNIST as bytes, uint8 [N, 28, 28, 1].

    Raises
    ------
    ValueError
        If `number` is less than 1.
    """
    if whole_number(number, "number") < 1:
        raise ValueError(f"number of images is {number}; expected 1 or more.")
    images = zoo.load_data("fashion_mnist", "test")[0][:number]
    pixels = ((images * zoo.STD + zoo.MEAN) * 255).round()
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _images(name: str, images: np.ndarray, logits: int) -> str:
    numbers = ",\n".join(", ".join(map(str, row)) for row in images.tolist())
    return (
        f'#include "{name}.h"\n'
        f"const uint8_t images[] = {{\n{numbers}\n}};\n"
        f"const int32_t image_count = {len(images)}, image_bytes = {images.shape[1]};\n"
        f"const int32_t logit_count = {logits};\n"
        "int run(const uint8_t *pixels, uint8_t *logits);\n"
        "int run(const uint8_t *pixels, uint8_t *logits)\n"
        f"{{ return {name}_run(pixels, logits); }}\n"
    )


def _emulated(emulator: str, elf: Path) -> list[str]:
    command = [emulator, "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-icount", "shift=0"]
    try:
        run = subprocess.run(
            [*command, "-kernel", str(elf)], capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{EMULATOR} cannot be run: {error}") from error
    if run.returncode:
        raise ValueError(f"{EMULATOR} failed with status {run.returncode}: {run.stderr[:2000]}")
    return (run.stdout or run.stderr).split("\n")[:-1]


def memory_of(elf: bytes) -> tuple[int, int]:
    """Return the bytes of an ELF file that lie in flash, and in RAM: its segments that are loaded.

    System V ABI, ELF header and program header of 32 bits, little-endian.
    """
    start, size, count = _word(elf, 28, 4), _word(elf, 42, 2), _word(elf, 44, 2)
    flash = ram = 0
    for i in range(count):
        at = start + i * size
        kind, in_file, in_memory = _word(elf, at, 4), _word(elf, at + 16, 4), _word(elf, at + 20, 4)
        if kind == 1:  # PT_LOAD
            flash += in_file
            ram += in_memory if _word(elf, at + 8, 4) >= 0x20000000 else 0
    return flash, ram


def _word(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
