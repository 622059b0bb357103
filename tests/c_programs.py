"""Networks as C programs, many in one library: what the tests of `labkit.device` share."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labkit.device import Compiler, export_c
from labkit.device.compiling import compile_c
from labkit.ptq import QuantizedModel

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@dataclass
class Network:
    """An integer network, and images that it takes."""

    model: QuantizedModel
    images: Tensor


def in_memory(codes: Tensor, model: QuantizedModel, name: str) -> np.ndarray:
    """Codes as the program counts and lays them: from the lowest, channels last in images."""
    counted = (codes.to(torch.int32) - model.qparams[name].scheme.qmin).to(torch.uint8)
    if counted.ndim == 4:
        counted = counted.permute(0, 2, 3, 1)
    return np.ascontiguousarray(counted.reshape(len(counted), -1).numpy())


def export_all(networks: dict[str, Network], folder: Path) -> list[Path]:
    """Write each network under its name; return the C files."""
    exported = [
        export_c(network.model, folder, name, tuple(network.images.shape[1:]))
        for name, network in networks.items()
    ]
    return [one.files[0] for one in exported]


def library(sources: list[Path], output: Path, compiler: Compiler, *flags: str) -> ctypes.CDLL:
    """Compile programs into one library, warnings being errors, and load it."""
    compile_c(compiler, sources, output, [*STRICT, "-shared", "-fPIC", *flags])
    return ctypes.CDLL(str(output))


def differing(loaded: ctypes.CDLL, name: str, network: Network) -> int:
    """How many codes of the logits differ from those of the network in the fixed rule."""
    fixed = network.model.using("fixed")
    run = getattr(loaded, f"{name}_run")
    found = 0
    for image in network.images.split(1):
        expected = in_memory(fixed.codes(image), fixed, fixed.outputs).reshape(-1)
        pixels = in_memory(fixed.quantize_input(image), fixed, fixed.input_name)
        logits = np.full(len(expected), 255, np.uint8)
        run(ctypes.c_void_p(pixels.ctypes.data), ctypes.c_void_p(logits.ctypes.data))
        found += int((logits != expected).sum())
    return found
