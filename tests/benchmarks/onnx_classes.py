"""Whether ONNX Runtime names the classes that the integers name, and whether it agrees with itself.

    python tests/benchmarks/onnx_classes.py [NAME ...] [--save]

Networks of full size with random weights and the BN statistics of data, on small images. Such
networks spread errors: a code that differs by one, next to a tie, is another class some layers
later. What that comes to shows where ONNX Runtime runs one file twice, with its optimizations and
without. ``--save`` stores the rows that were made beside those that were there.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from conversion import THREADS, with_statistics
from networks import NETWORKS
from networks.full import FULL_SIZE
from other_networks import pictures
from table import machine, markdown, saved_by
from torch import Tensor

from labkit.ptq import QuantizedModel, export_onnx, quantize_model

IMAGES, SIZE = 200, {"inception_v3": 96}
STORED = Path(__file__).with_suffix(".md")
HEAD = [
    "network",
    "QDQ: codes that differ",
    "same class",
    "ties",
    "QDQ, not optimized: same class",
    "same class as optimized",
    "exact: codes that differ",
    "same class",
    "seconds of QDQ",
]
LEVELS = onnxruntime.GraphOptimizationLevel


def row(name: str) -> list[str]:
    """Quantize a network, and compare what runs its files."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    size = SIZE.get(name, 64)
    batch = pictures(8, size)
    model = with_statistics(FULL_SIZE[name](), batch)
    quick: Any = {"observer": "minmax", "weight_method": "minmax"}
    integers = quantize_model(model, [batch], **quick)
    images = pictures(IMAGES, size, seed=5)
    ours = torch.cat([integers.codes(part) for part in images.split(25)]).int()
    plain, spent = found(integers, images, exact=False)
    unoptimized, _ = found(integers, images, exact=False, level=LEVELS.ORT_DISABLE_ALL)
    exact, longer = found(integers, images, exact=True)
    others = plain.argmax(1)
    tied = ours.max(1).values == ours.gather(1, others[:, None])[:, 0]
    return [
        name,
        f"{differ(plain, ours):.2%}",
        share(plain, ours),
        str(int((tied & (others != ours.argmax(1))).sum())),
        share(unoptimized, ours),
        share(unoptimized, plain),
        f"{differ(exact, ours):.2%}",
        share(exact, ours),
        f"{longer / spent:.1f}x",
    ]


def found(
    integers: QuantizedModel, images: Tensor, exact: bool, level: Any = LEVELS.ORT_ENABLE_ALL
) -> tuple[Tensor, float]:
    """Return the codes of ONNX Runtime's logits, and the CPU seconds that they took."""
    options, grid = onnxruntime.SessionOptions(), integers.qparams[integers.outputs]
    options.intra_op_num_threads, options.graph_optimization_level = THREADS, level
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(integers, f"{folder}/n.onnx", tuple(images.shape[1:]), exact=exact)
        session = onnxruntime.InferenceSession(
            f"{folder}/n.onnx", options, providers=["CPUExecutionProvider"]
        )
    start = time.process_time()
    logits = [session.run(None, {"images": part.numpy()})[0] for part in images.split(25)]
    spent = time.process_time() - start
    steps = torch.cat([torch.from_numpy(part) for part in logits]) / grid.scale
    return steps.round().int() + int(grid.zero_point), spent


def differ(codes: Tensor, others: Tensor) -> float:
    return float((codes != others).double().mean())


def share(codes: Tensor, others: Tensor) -> str:
    """Say for how many images two results name one class, the first of equals."""
    return f"{float((codes.argmax(1) == others.argmax(1)).double().mean()):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    parser.add_argument("--save", action="store_true", help="store the table beside this file")
    given = parser.parse_args()
    lines = STORED.read_text("utf-8").splitlines() if STORED.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rows = {row[0]: row for row in cells if row[0] in NETWORKS and len(row) == len(HEAD)}
    for name in given.names:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows[name] = process.apply(row, (name,))
        print(markdown(HEAD, [rows[name]]).splitlines()[-1], flush=True)
        if given.save:
            save([rows[name] for name in NETWORKS if name in rows])


def save(rows: list[list[str]]) -> None:
    """Store the table beside this file."""
    STORED.write_text(
        f"# Classes in ONNX Runtime\n\nBy {saved_by(__file__)}. "
        f"{machine('onnxruntime')}\n\n{IMAGES} random images of 64 x 64 pixels (inception_v3: "
        "96 x 96), networks of full size with random weights and the BN statistics of data, "
        "min-max grids. Compared with the integers of `labkit`; a tie is an image whose other "
        "class has the same code. Each layer alone gives the same codes but for some in a million, "
        "next to ties of float32; networks of random weights spread these until, in the last "
        "layers, most codes differ, and ONNX Runtime then differs from itself as much, where it "
        "runs the same file without its optimizations. Files written with `exact=True` leave "
        "nothing to round.\n\n" + markdown(HEAD, rows) + "\n",
        "utf-8",
    )


if __name__ == "__main__":
    main()
