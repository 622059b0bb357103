"""How long, and in how much memory, networks of full size become integers; and what they lose.

    python tests/benchmarks/conversion.py [NAME ...] [--save]
    python tests/benchmarks/conversion.py --depths [--save]

Each network has random weights and the BN statistics of data, and is quantized, in a process of its
own, on 8 batches of 8 images of 224 x 224 pixels (299 x 299 for Inception-v3) with the settings
that are the default. With ``--depths`` chains of few and of many layers of one size are quantized
instead, which shows whether memory grows with their number. ``--save`` stores the rows that were
made beside those that were there.
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
from labkit.ptq.observing import MEMORY

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_quantized import results
from networks import WITH_ISLANDS
from networks.full import FULL_SIZE, PIXELS
from other_networks import pictures, sqnr

IMAGES, BATCHES, THREADS = 8, 8, 1
DEPTHS = (16, 64, 256)
STORED = Path(__file__).with_suffix(".md")


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
    size, islands = PIXELS.get(name, 224), name in WITH_ISLANDS
    model = with_statistics(FULL_SIZE[name](), pictures(IMAGES, size))
    batches = [pictures(IMAGES, size, seed=i) for i in range(BATCHES)]
    largest = largest_activation(model, batches[0])
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    integers = quantize_model(model, batches, islands=islands)
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu
    memory, images = peak() - before, pictures(2, size, seed=BATCHES)
    with torch.no_grad():
        found = integers(images)
        quality, alike = (
            sqnr(model(images), result)
            for result in (found, results(model, integers, (images,)).float())
        )
    agree = torch.equal(found, integers.using(backend="reference")(images))
    parameters = sum(p.numel() for p in model.parameters())
    return Measured(name, parameters, spent, cpu, memory, largest, quality, alike, agree)


def grown(layers: int) -> list[str]:
    """Quantize a chain of so many layers; return a row of what that took."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    chain: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1)]
    for _ in range(layers - 1):
        chain += [nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    for module in chain[::2]:
        nn.init.kaiming_normal_(module.weight)
    batches = [pictures(IMAGES, 32, seed=i) for i in range(BATCHES)]
    model = nn.Sequential(*chain).eval()
    quantize_model(nn.Sequential(*chain[:3]).eval(), batches)  # what torch loads when it is needed
    before, cpu = peak(), time.process_time()
    integers = quantize_model(model, batches)
    cpu, more = time.process_time() - cpu, peak() - before
    whole = sum(4 * IMAGES * BATCHES * q[0].numel() for q in integers.tensors(batches[0]).values())
    return [str(layers), f"{cpu:.1f}", f"{whole / 1e6:.0f}", f"{more / 1e6:.0f}"]


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


def stored() -> dict[str, list[str]]:
    """Return the rows that were stored before, by the name of the network."""
    lines = STORED.read_text("utf-8").splitlines() if STORED.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in cells if row[0] in FULL_SIZE and len(row) == len(HEAD)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(FULL_SIZE))
    parser.add_argument("--save", action="store_true", help="store the table beside this file")
    parser.add_argument("--depths", action="store_true", help="chains of layers instead")
    given = parser.parse_args()
    if given.depths:
        save_depths(given.save)
        return
    rows = stored()
    for name in given.names or FULL_SIZE:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows[name] = row(process.apply(measured, (name,)))
        print(markdown(HEAD, [rows[name]]).splitlines()[-1], flush=True)
        if given.save:
            save([rows[name] for name in FULL_SIZE if name in rows])


def save_depths(save: bool) -> None:
    """Measure chains of layers, and store that table on demand."""
    rows = []
    for layers in DEPTHS:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows.append(process.apply(grown, (layers,)))
    head = ["layers", "CPU seconds", "all values that are observed, MB", "more memory, MB"]
    text = (
        f"# Memory of a conversion, by the number of layers\n\nBy `python tests/benchmarks/"
        f"{Path(__file__).name} --depths --save`. {machine()}\n\nA chain of convolutions of 8 "
        f"channels, {BATCHES} batches of {IMAGES} images of 32 x 32 pixels, the default settings. "
        f"Observers hold {MEMORY / 1e6:.0f} MB at most (`labkit.ptq.observing`).\n\n"
        f"{markdown(head, rows)}\n"
    )
    print(text)
    if save:
        STORED.with_name("conversion_depths.md").write_text(text, "utf-8")


def save(rows: list[list[str]]) -> None:
    """Store the table beside this file."""
    text = (
        f"# Converting networks of full size\n\nBy {saved_by(__file__)}. {machine()}\n\n"
        f"{BATCHES} batches of {IMAGES} images of 224 x 224 pixels (inception_v3: 299 x 299), the "
        "default settings (MSE for weights and activations, per channel); random weights, BN "
        "statistics of data. SQNR of the logits of two other images against FP32, of the integers "
        "and of the same grids in float64: networks of random weights spread errors more than "
        "trained ones. Memory is the growth of the process's peak. Other processes ran beside; "
        "CPU seconds count without them. What ONNX Runtime makes of the networks: "
        "`onnx_classes.md`.\n\n"
    )
    STORED.write_text(text + markdown(HEAD, rows) + "\n", "utf-8")


if __name__ == "__main__":
    main()
