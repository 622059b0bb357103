"""Whole networks in integers beside their rivals: milliseconds, accuracy and bytes in one run.

::

    python tests/benchmarks/ptq.py [--save] [--only-this-chip] [--threads 2]

All take turns, and the median counts, so that other work on the machine slows all of them. Before
each turn all threads get the time to fall asleep.
The times follow once more for the same chip without 8-bit dot products, the newer instructions
switched off, which ONNX Runtime does not do. ``--save`` writes the tables to ptq.md beside this
file.
"""

import argparse
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime
import torch
from table import machine, markdown, older_chip, saved_by, without_dot_products
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from labkit import zoo
from labkit.ptq import (
    bytes_on_disk,
    export_onnx,
    fold_batchnorm,
    milliseconds,
    quantize_model,
    weight_only,
)
from labkit.qparams import Scheme

STORED = Path(__file__).with_suffix(".md")
BATCHES = (1, 32, 256)
SHAPE = (1, 1, 28, 28)
LAST = torch.channels_last
INT7 = Scheme(7, signed=False)
W4 = Scheme(4, symmetric=True)
REPAIRS: dict[str, dict] = {
    "INT8 per channel": {},
    "INT8 per channel, 7-bit activations": {"activation_scheme": INT7},
    "INT8 per tensor, min-max": {
        "per_channel": False,
        "weight_method": "minmax",
        "observer": "minmax",
    },
    "INT8 per tensor": {"per_channel": False},
    "INT8 per tensor, equalized": {"per_channel": False, "equalized": True},
    "INT8 per tensor, equalized, corrected": {
        "per_channel": False,
        "equalized": True,
        "corrected": True,
    },
    "W4A8 per channel": {"weight_scheme": W4},
    "W4A8 per channel, corrected": {"weight_scheme": W4, "corrected": True},
}
WEIGHT_ONLY = {
    "W8, weights only, per channel": (Scheme(8, symmetric=True), None),
    "W4, weights only, per channel": (W4, None),
    "W4, weights only, groups of 64": (W4, 64),
    "W4, weights only, groups of 32": (W4, 32),
}


class Session(nn.Module):
    """A network in ONNX Runtime."""

    def __init__(self, path: str, threads: int) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return torch.from_numpy(self._session.run(None, {self._input: images.numpy()})[0])


def torch_ao(model: nn.Module, images: Tensor) -> nn.Module:
    """Return the network as torch.ao quantizes it in FX graph mode, for its x86 engine."""
    torch.backends.quantized.engine = "x86"
    prepared = prepare_fx(model, get_default_qconfig_mapping("x86"), (images[:1],))
    with torch.inference_mode():
        for batch in images.split(64):
            prepared(batch)
    return convert_fx(prepared)


def onnx_float(model: nn.Module, path: str) -> str:
    """Export the float network; the exporter folds its normalization."""
    content = io.BytesIO()
    names = {"input_names": ["images"], "dynamic_axes": {"images": {0: "N"}}}
    torch.onnx.export(model, (torch.zeros(SHAPE),), content, dynamo=False, **names)
    Path(path).write_bytes(content.getvalue())
    return path


def rivals(name: str, threads: int, folder: str) -> dict[str, nn.Module]:
    """Return the network in all forms."""
    images, _ = zoo.load_data("fashion_mnist", "calibration")
    images = images[:512]
    model = zoo.load_model(name)
    integer = quantize_model(model, images.split(64))
    seven = quantize_model(model, images.split(64), activation_scheme=INT7)
    last = zoo.load_model(name).to(memory_format=LAST)  # type: ignore[call-overload]
    frozen = torch.jit.freeze(torch.jit.trace(last, torch.zeros(SHAPE).to(memory_format=LAST)))
    found = {
        "torch FP32, channels last": last,
        "torch FP32, jit-frozen": frozen,
        "labkit INT8": integer,
        "labkit INT8, 7-bit activations": seven,
        "torch.ao FX INT8 (x86)": torch_ao(zoo.load_model(name), images),
    }
    if older_chip():
        return found
    export_onnx(integer, f"{folder}/int8.onnx")
    export_onnx(seven, f"{folder}/int7.onnx", weights="int8")
    return found | {
        "ONNX Runtime FP32": Session(onnx_float(model, f"{folder}/float.onnx"), threads),
        "ONNX Runtime u8u8 (our export)": Session(f"{folder}/int8.onnx", threads),
        "ONNX Runtime u7s8 (our export)": Session(f"{folder}/int7.onnx", threads),
    }


def speed(name: str, threads: int) -> Iterator[tuple]:
    """Time all forms of a network, each batch size in one run."""
    images, labels = zoo.load_data("fashion_mnist", "test")
    with tempfile.TemporaryDirectory() as folder:
        models = rivals(name, threads, folder)
        times = {
            batch: milliseconds(
                models,
                images[:batch].contiguous(memory_format=LAST),
                101 if batch == 1 else 31,
                pause=0.1,
            )
            for batch in BATCHES
        }
        for rival, model in models.items():
            fast = next(iter(models))
            columns = [
                f"{times[b][rival]:.2f} ({times[b][fast] / times[b][rival]:.2f}x)" for b in BATCHES
            ]
            if older_chip():
                yield name, rival, *columns
            else:
                yield name, rival, *columns, zoo.accuracy(model, images, labels)


def accuracies(name: str) -> Iterator[tuple]:
    """Measure every way to quantize a network on the 10,000 test images."""
    images, labels = zoo.load_data("fashion_mnist", "test")
    calibration, _ = zoo.load_data("fashion_mnist", "calibration")
    model = zoo.load_model(name)
    real, size = zoo.accuracy(model, images, labels), bytes_on_disk(model)
    yield name, "FP32", size, "1.000", real, ""
    folded, batches = fold_batchnorm(model), calibration[:512].split(64)
    makers: dict[str, Callable[[], nn.Module]] = {
        title: lambda s=settings: quantize_model(model, batches, **s)
        for title, settings in REPAIRS.items()
    }
    makers |= {
        title: lambda s=scheme, g=group_size: weight_only(folded, s, g)
        for title, (scheme, group_size) in WEIGHT_ONLY.items()
    }
    for title, make in makers.items():
        quantized = make()
        reached = zoo.accuracy(quantized, images, labels)
        lost, error = zoo.difference(real, reached)
        taken = bytes_on_disk(quantized)
        gap = f"{100 * lost:.2f} ± {100 * error:.2f}"
        yield name, title, taken, f"{taken / size:.3f}", reached, gap


def times(threads: int) -> Iterator[str]:
    """Yield the times on this chip, as torch sees it now."""
    yield f"{machine('onnxruntime')}\n"
    yield "Milliseconds a batch (times as fast as torch FP32, channels last):\n"
    head = (
        "network",
        "",
        *(f"batch {b}" for b in BATCHES),
        *(() if older_chip() else ["accuracy"]),
    )
    yield markdown(head, [row for name in zoo.MODELS for row in speed(name, threads)])


def tables(threads: int) -> Iterator[str]:
    """Yield the report, piece by piece."""
    yield f"# Integer networks beside their rivals\n\n{saved_by(__file__)} wrote this file.\n"
    yield from times(threads)
    yield "\n## The same chip without 8-bit dot products\n"
    yield without_dot_products(__file__, threads)
    yield "## Accuracy\n\nPost-training quantization, 512 calibration images, 10,000 test images:\n"
    gap = ("network", "", "bytes on disk", "of FP32", "accuracy", "lost, points, paired")
    yield markdown(gap, [row for name in zoo.MODELS for row in accuracies(name)])


def main() -> None:
    """Print the tables, and store them with --save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--only-this-chip", action="store_true", help="its times alone")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch announces the end of what the rivals here use
    torch.set_num_threads(arguments.threads)
    printed: list[str] = []
    show: Callable[[str], None] = printed.append
    for piece in (times if arguments.only_this_chip else tables)(arguments.threads):
        print(piece, flush=True)
        show(piece)
    if arguments.save:
        STORED.write_text("\n".join(printed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
