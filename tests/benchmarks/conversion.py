"""How long, and in how much memory, networks of full size become integers; and what they lose.

    python tests/benchmarks/conversion.py [NAME ...] [--save]

Each network has random weights and the BN statistics of data, and is quantized, in a process of its
own, on 8 batches of 8 images of 224 x 224 pixels with the settings that are the default.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from table import machine, markdown, saved_by
from torch import Tensor, nn

from labkit.ptq import quantize_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_quantized import results
from networks.full import FULL_SIZE
from other_networks import pictures, sqnr

SIZE, IMAGES, BATCHES, THREADS = 224, 8, 8, 1


class Measured(NamedTuple):
    """What a conversion took: seconds, CPU seconds, and bytes beyond what was there before."""

    name: str
    parameters: int
    seconds: float
    cpu_seconds: float
    memory: int
    largest: int
    sqnr: float
    fake_sqnr: float
    agree: bool


def measured(name: str) -> Measured:
    """Quantize a network."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = with_statistics(FULL_SIZE[name](), pictures(IMAGES, SIZE))
    batches = [pictures(IMAGES, SIZE, seed=i) for i in range(BATCHES)]
    largest = largest_activation(model, batches[0])
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    integers = quantize_model(model, batches)
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu
    memory, images = peak() - before, pictures(2, SIZE, seed=BATCHES)
    with torch.no_grad():
        found = integers(images)
        quality, alike = (
            sqnr(model(images), result)
            for result in (found, results(model, integers, (images,)).float())
        )
    agree = torch.equal(found, integers.using(backend="reference")(images))
    parameters = sum(p.numel() for p in model.parameters())
    return Measured(name, parameters, spent, cpu, memory, largest, quality, alike, agree)


def with_statistics(model: nn.Module, images: Tensor) -> nn.Module:
    """Set the BN statistics by one batch."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    return model.eval()


def peak() -> int:
    """Return the most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def largest_activation(model: nn.Module, images: Tensor) -> int:
    """Return the bytes of the largest tensor that a module gives."""
    sizes = [images.nbytes]
    hooks = [
        m.register_forward_hook(
            lambda _, __, y: sizes.append(y.nbytes) if isinstance(y, Tensor) else None
        )
        for m in model.modules()
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return max(sizes)


HEAD = [
    "network",
    "parameters, M",
    "seconds",
    "CPU seconds",
    "more memory, MB",
    "largest activation, MB",
    "SQNR, dB",
    "of fake quantization",
    "both backends",
]


def row(m: Measured) -> list[str]:
    return [
        m.name,
        f"{m.parameters / 1e6:.1f}",
        f"{m.seconds:.1f}",
        f"{m.cpu_seconds:.1f}",
        f"{m.memory / 1e6:.0f}",
        f"{m.largest / 1e6:.0f}",
        f"{m.sqnr:.1f}",
        f"{m.fake_sqnr:.1f}",
        "equal" if m.agree else "DIFFER",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(FULL_SIZE))
    parser.add_argument("--save", action="store_true", help="store the table beside this file")
    given = parser.parse_args()
    rows = []
    for name in given.names or FULL_SIZE:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows.append(row(process.apply(measured, (name,))))
        print(markdown(HEAD, rows[-1:]).splitlines()[-1], flush=True)
    if given.save:
        text = (
            f"# Converting networks of full size\n\nBy {saved_by(__file__)}. {machine()}\n\n"
            f"{BATCHES} batches of {IMAGES} images of {SIZE} x {SIZE} pixels, the default settings "
            "(MSE for weights and activations, per channel); random weights, BN statistics of "
            "data. SQNR of the logits of two other images against FP32, of the integers and of the "
            "same grids in float64: networks of random weights spread errors more than trained "
            "ones. Memory is the growth of the process's peak.\n\n"
        )
        Path(__file__).with_suffix(".md").write_text(text + markdown(HEAD, rows) + "\n", "utf-8")


if __name__ == "__main__":
    main()
