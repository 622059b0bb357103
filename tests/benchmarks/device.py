"""Networks as C programs: accuracy, codes that differ, memory, and speed beside torch at batch 1.

::

    python tests/benchmarks/device.py [--save] [--images 10000]

Each network is compiled here (`labkit.device.build`), and all test images go through it and through
the network in Python, in the fixed rule. Times are of one thread and one image at a time, of the
same images in turns, and the median counts. ``--save`` writes the tables to device.md beside this
file.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from table import machine, markdown, saved_by

from labkit import zoo
from labkit.device import Program, build, emulate, export_c, input_table
from labkit.device.emulation import fashion_pixels
from labkit.ptq import QuantizedModel, quantize_model
from labkit.qparams import Scheme

STORED = Path(__file__).with_suffix(".md")
# Weights of few bits are unpacked, which takes long in plain C: a part of the images tells enough.
SETTINGS: dict[str, tuple[dict, int]] = {
    "INT8": ({}, 10_000),
    "W4A8": ({"weight_scheme": Scheme(4, symmetric=True)}, 500),
}
TURNS, RUNS = 15, 5
EMULATED = 20


def codes_of(model: QuantizedModel, images: torch.Tensor) -> np.ndarray:
    """Return the codes of the logits, batch by batch."""
    with torch.inference_mode():
        return torch.cat([model.codes(batch) for batch in images.split(250)]).numpy()


def milliseconds(program: Program, model: QuantizedModel, images: torch.Tensor) -> list[float]:
    """Return the median time of an image in C, in torch, and in torch with float32 multipliers."""
    pixels, (one, *_) = fashion_pixels(RUNS), images.split(1)
    fixed = model.using("fixed")

    def timed(run) -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) / RUNS * 1e3

    def python(network: QuantizedModel) -> None:
        for _ in range(RUNS):
            network(one)

    ways = [lambda: program(pixels), lambda: python(model), lambda: python(fixed)]
    with torch.inference_mode():
        turns = [[timed(way) for way in ways] for _ in range(TURNS)]
    return [float(np.median(column)) for column in zip(*turns, strict=True)]


def rows(number: int) -> Iterator[tuple]:
    """Measure each network."""
    few = zoo.load_data("fashion_mnist", "calibration")[0][:512].split(64)
    for name in zoo.MODELS:
        for title, (settings, most) in SETTINGS.items():
            count = min(number, most)
            images, labels = (part[:count] for part in zoo.load_data("fashion_mnist", "test"))
            model = quantize_model(zoo.load_model(name), few, **settings)
            table = input_table(zoo.MEAN, zoo.STD, model.qparams[model.input_name])
            with tempfile.TemporaryDirectory() as folder:
                exported = export_c(model, folder, table=table)
                program = build(folder)
                codes = program(fashion_pixels(count))
                chip = emulate(folder, fashion_pixels(EMULATED))
            fixed = codes_of(model.using("fixed"), images)
            right = torch.from_numpy(codes.argmax(1)) == labels
            float_right = torch.from_numpy(codes_of(model, images).argmax(1)) == labels
            c, ours, slow = milliseconds(program, model, images)
            yield (
                name,
                title,
                count,
                f"{int((codes != fixed).sum())} of {codes.size}",
                int((chip.logits != codes[:EMULATED]).sum()),
                f"{100 * float(right.double().mean()):.2f} %",
                f"{100 * float(float_right.double().mean()):.2f} %",
                f"{exported.arena} ({exported.arena / exported.peak:.2f}x)",
                exported.constants,
                chip.flash,
                chip.ram,
                f"{chip.instructions.mean() / 1e6:.1f}",
                f"{c:.2f}",
                f"{ours:.2f} ({c / ours:.2f}x)",
                f"{slow:.2f}",
            )


def main() -> None:
    """Print the table, and store it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help=f"write it to {STORED.name}, too")
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = (
        "network",
        "",
        "images",
        "codes that differ",
        f"on the emulated chip, {EMULATED} images",
        "accuracy in C",
        "float requantization",
        "arena, bytes (to live at once)",
        "constants",
        "flash, Cortex-M4",
        "RAM",
        "million instructions",
        "ms in C",
        "ms in torch, batch 1 (C takes)",
        "ms in torch, fixed rule",
    )
    text = (
        f"# Networks as C programs\n\n{saved_by(__file__)} wrote this file.\n\n{machine()}\n\n"
        "Test images of Fashion-MNIST; C compiled for this machine, one thread:\n\n"
        f"{markdown(head, rows(arguments.images))}\n"
    )
    print(text)
    if arguments.save:
        STORED.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
