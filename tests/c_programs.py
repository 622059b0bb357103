"""Networks as C programs, many in one executable: what the tests of `labkit.device` share."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from random_networks import draw
from torch import Tensor

from labkit.device import Compiler, export_c
from labkit.device.compiling import compile_c
from labkit.ptq import QuantizedModel, quantize_model
from labkit.qparams import Scheme

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
ZIG = Compiler("zig cc", (sys.executable, "-m", "ziglang", "cc"))
# Every program, with every compiler and flag; a part of them otherwise.
ALL = bool(os.environ.get("LABKIT_ALL_PROGRAMS"))
WEIGHTS = (
    Scheme(8, symmetric=True, narrow=True),
    Scheme(8, signed=False),
    Scheme(4),
    Scheme(4, symmetric=True),
    Scheme(2, signed=False),
)
ACTIVATIONS = (Scheme(8, signed=False), Scheme(8), Scheme(7, symmetric=True, narrow=True))


@dataclass
class Network:
    """An integer network, and images that it takes."""

    model: QuantizedModel
    images: Tensor


def random_networks(number: int) -> dict[str, Network]:
    """Networks of all operators with one input and one result, on grids of all kinds."""
    found: dict[str, Network] = {}
    seed = 0
    while len(found) < number:
        network, inputs = draw(seed)
        if len(inputs) == 1:
            model = quantize_model(
                network,
                [inputs],
                WEIGHTS[seed % len(WEIGHTS)],
                ACTIVATIONS[seed % len(ACTIVATIONS)],
                observer="minmax",
                weight_method="minmax",
                per_channel=seed % 4 > 0,
            )
            if isinstance(model.outputs, str):
                images = torch.cat([inputs[0][:1], 1.5 * inputs[0][1:2]])
                found[f"random{seed}"] = Network(model, images)
        seed += 1
    return found


def in_memory(codes: Tensor, model: QuantizedModel, name: str) -> np.ndarray:
    """Codes as the program counts and lays them: from the lowest, channels last in images."""
    counted = codes.to("cpu").short() - model.qparams[name].scheme.qmin
    if counted.ndim == 4:
        counted = counted.permute(0, 2, 3, 1)
    return np.ascontiguousarray(counted.reshape(-1).numpy().astype(np.uint8))


def expected_codes(network: Network) -> list[np.ndarray]:
    """The logits of each image, one by one, in the fixed rule."""
    fixed = network.model.using("fixed")
    return [in_memory(fixed.codes(x), fixed, fixed.outputs) for x in network.images.split(1)]


def wrong_programs(
    networks: dict[str, Network], folder: Path, compiler: Compiler, *flags: str
) -> list[str]:
    """Compile networks into one executable, warnings being errors; name those that differ."""
    sources = [
        export_c(network.model, folder, name, tuple(network.images.shape[1:])).files[0]
        for name, network in networks.items()
    ]
    main = folder / "main.c"
    main.write_text(_main(networks))
    program = folder / "programs"
    compile_c(compiler, [main, *sources], program, [*STRICT, *flags], seconds=3600)
    run = subprocess.run([program], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[:3000]
    lines = iter(run.stdout.splitlines())
    return [
        name
        for name, network in networks.items()
        if [" ".join(map(str, codes)) for codes in expected_codes(network)]
        != [next(lines) for _ in network.images]
    ]


def _main(networks: dict[str, Network]) -> str:
    """C that prints the logits of each image, a line each."""
    lines = ["#include <stdio.h>", *(f'#include "{name}.h"' for name in networks)]
    calls = []
    for name, network in networks.items():
        model = network.model
        for i, image in enumerate(network.images.split(1)):
            pixels = in_memory(model.quantize_input(image), model, model.input_name)
            numbers = ", ".join(map(str, pixels))
            lines.append(f"static const uint8_t {name}_{i}[] = {{{numbers}}};")
            calls.append(
                f"  {{ uint8_t q[{name.upper()}_LOGITS]; if ({name}_run({name}_{i}, q)) return 1;"
                f' for (int i = 0; i < {name.upper()}_LOGITS; i++) printf(i ? " %d" : "%d", q[i]);'
                ' printf("\\n"); }'
            )
    return "\n".join([*lines, "int main(void)", "{", *calls, "  return 0;", "}", ""])
