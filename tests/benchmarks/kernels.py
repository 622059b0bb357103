"""Integer kernels beside their rivals: milliseconds, and the share of integers that are wrong.

    python tests/benchmarks/kernels.py [--save] [--only-this-chip] [--threads N]

Prints a table for this chip and one for a chip without 8-bit dot products (the same chip, with the
newer instructions switched off where a library lets one); ``--save`` also writes them to kernels.md
beside this file. All rivals are timed in turn, again and again, and the median counts, so that
other work on the machine slows all of them. An integer is wrong if it is further than 0.51 from the
exact real result: near a tie, where the published rounding rules differ, both neighbours are right.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from table import older_chip, saved_by, without_dot_products
from torch import Tensor

from labkit.kernels import QuantizedConv2d, QuantizedLinear, backend_info
from labkit.qparams import QParams, Scheme

LINEAR = [  # M, K, N
    (1, 1024, 1024),
    (16, 1024, 1024),
    (256, 1024, 1024),
    (1024, 1024, 1024),
    (1, 4096, 4096),
    (64, 4096, 4096),
]
CONVOLUTIONS = {  # in, out, size, kernel, stride, groups
    "3x3, 64 at 56": (64, 64, 56, 3, 1, 1),
    "3x3, 128 at 28": (128, 128, 28, 3, 1, 1),
    "3x3, 256 at 14": (256, 256, 14, 3, 1, 1),
    "1x1, 256 at 14": (256, 256, 14, 1, 1, 1),
    "depthwise 3x3, 128 at 28": (128, 128, 28, 3, 1, 128),
    "first layer 3x3/2, 3 at 224": (3, 32, 224, 3, 2, 1),
}
ROUNDS, SECONDS_PER_ROUND = 9, 0.03

Rival = Callable[[], object]


@dataclass
class Problem:
    """Operands of one layer, 8-bit or with 7-bit activations, and its exact real result."""

    q_x: Tensor
    q_w: Tensor
    x_qparams: QParams
    w_qparams: QParams
    out_qparams: QParams
    sums: Tensor
    moves: dict[str, int]

    @classmethod
    def draw(cls, bits: int, x_shape: tuple, w_shape: tuple, moves: dict[str, int]) -> "Problem":
        """Draw operands over their full range; the weights have a scale per output."""
        draw = torch.Generator().manual_seed(0)
        q_x = torch.randint(0, 2**bits, x_shape, generator=draw).to(torch.uint8)
        q_w = torch.randint(-127, 128, w_shape, generator=draw).to(torch.int8)
        x_qparams = QParams(0.02, 2 ** (bits - 1), Scheme(bits, signed=False))
        # A convolution has one scale per output. ONNX Runtime's u8u8 product knows only one in all.
        scales = torch.full((len(q_w),), 0.015)
        if moves:
            scales = torch.rand(len(q_w), generator=draw) * 0.01 + 0.01
        w_qparams = QParams(scales, torch.zeros(len(q_w)).int(), Scheme(8, symmetric=True), axis=0)
        x, w = q_x.double() - 2 ** (bits - 1), q_w.double()
        sums = F.conv2d(x, w, **moves) if moves else F.linear(x, w)
        out_scale = 0.02 * 0.015 * float(sums.std()) / 30
        out_qparams = QParams(out_scale, 128, Scheme(8, signed=False))
        if moves:
            q_x = q_x.contiguous(memory_format=torch.channels_last)
        return cls(q_x, q_w, x_qparams, w_qparams, out_qparams, sums, moves)

    def wrong(self, result: Tensor) -> float:
        """Return the share of wrong integers in sums (int32) or codes."""
        if result.dtype == torch.int32:
            return float((result != self.sums).double().mean())
        scales = self.x_qparams.scale.double() * self.w_qparams.scale.double()
        scales = scales.reshape((-1, 1, 1) if self.moves else (-1,))
        steps = self.sums * scales / self.out_qparams.scale.double() + 128
        return float(((result.double() - steps.clamp(0, 255)).abs() > 0.51).double().mean())


def ours(problem: Problem) -> Rival:
    """The module of this project."""
    kind = QuantizedConv2d if problem.moves else QuantizedLinear
    scales = (problem.w_qparams, None, problem.x_qparams, problem.out_qparams)
    module = kind(problem.q_w, *scales, **problem.moves)
    return lambda: module(problem.q_x)


def raw_quantized(problem: Problem) -> Rival:
    """torch.ops.quantized on torch's quantized tensors, engine "x86"."""
    zeros = problem.w_qparams.zero_point
    weight = torch._make_per_channel_quantized_tensor(
        problem.q_w, problem.w_qparams.scale, zeros, axis=0
    )
    x = torch._make_per_tensor_quantized_tensor(
        problem.q_x, float(problem.x_qparams.scale), int(problem.x_qparams.zero_point)
    )
    out = (float(problem.out_qparams.scale), int(problem.out_qparams.zero_point))
    if not problem.moves:
        packed = torch.ops.quantized.linear_prepack(weight, None)
        return lambda: torch.ops.quantized.linear(x, packed, *out)
    pairs = ([problem.moves[k]] * 2 for k in ("stride", "padding"))
    packed = torch.ops.quantized.conv2d_prepack(
        weight, None, *pairs, [1, 1], problem.moves["groups"]
    )
    return lambda: torch.ops.quantized.conv2d(x, packed, *out)


def raw_onednn(problem: Problem) -> Rival:
    """The operator behind our fast road, called by itself."""
    scales, zeros = problem.w_qparams.scale, problem.w_qparams.zero_point
    x = (float(problem.x_qparams.scale), int(problem.x_qparams.zero_point))
    out = (float(problem.out_qparams.scale), 128, torch.uint8, "none", [], "")
    if not problem.moves:
        packed = torch.ops.onednn.qlinear_prepack(problem.q_w, None)
        return lambda: torch.ops.onednn.qlinear_pointwise(
            problem.q_x, *x, packed, scales, zeros, None, *out
        )
    moves = ([problem.moves["stride"]] * 2, [problem.moves["padding"]] * 2, [1, 1])
    moves = (*moves, problem.moves["groups"])
    packed = torch.ops.onednn.qconv_prepack(problem.q_w, scales, *x, *moves, None)
    return lambda: torch.ops.onednn.qconv2d_pointwise(
        problem.q_x, *x, packed, scales, zeros, None, *moves, *out
    )


def float32(problem: Problem) -> Rival:
    """torch in float32, a convolution in channels-last."""
    weight = problem.q_w.float()
    x = problem.q_x.float()
    if not problem.moves:
        return lambda: F.linear(x, weight)
    weight = weight.contiguous(memory_format=torch.channels_last)
    return lambda: F.conv2d(x, weight, **problem.moves)


def int_mm(problem: Problem) -> Rival:
    """torch._int_mm: the sums alone, of signed operands."""
    x = (problem.q_x.int() - problem.x_qparams.zero_point).to(torch.int8)
    weight = problem.q_w.t().contiguous()
    return lambda: torch._int_mm(x, weight)


def onnx_runtime(problem: Problem, operator: str, unsigned_weights: bool = False) -> Rival:
    """ONNX Runtime with constant weights."""
    weight = problem.q_w.numpy().astype(np.int16)
    weight = (weight + 128).astype(np.uint8) if unsigned_weights else weight.astype(np.int8)
    w_zero = np.full(len(weight), 128 * unsigned_weights, weight.dtype)
    scales = problem.w_qparams.scale.numpy()
    if operator != "QLinearConv":
        weight = np.ascontiguousarray(weight.T)
    constants = {
        "x_scale": problem.x_qparams.scale.numpy(),
        "x_zero": np.uint8(int(problem.x_qparams.zero_point)),
        "w": weight,
        "w_scale": scales,
        "w_zero": w_zero,
        "y_scale": problem.out_qparams.scale.numpy(),
        "y_zero": np.uint8(128),
    }
    names, dtype, attributes = ["x", *constants], TensorProto.UINT8, {}
    if operator == "QLinearMatMul" and unsigned_weights:
        constants |= {"w_scale": scales[0], "w_zero": w_zero[0]}
    if operator == "MatMulInteger":
        names, dtype = ["x", "w", "x_zero"], TensorProto.INT32
    if problem.moves:
        attributes = {
            "strides": [problem.moves["stride"]] * 2,
            "pads": [problem.moves["padding"]] * 4,
            "group": problem.moves["groups"],
        }
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, problem.q_x.shape)],
        [helper.make_tensor_value_info("y", dtype, problem.sums.shape)],
        [numpy_helper.from_array(np.asarray(constants[n]), n) for n in names if n in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": problem.q_x.contiguous().numpy()}
    return lambda: session.run(None, feed)[0]


def rivals(problem: Problem) -> dict[str, Rival]:
    """Return who takes part, by name."""
    found = {
        "labkit": ours(problem),
        "torch.ops.quantized": raw_quantized(problem),
        "torch.ops.onednn": raw_onednn(problem),
    }
    if older_chip():
        # ONNX Runtime has no such switch, and _int_mm believes the processor, not the switch.
        return found
    if problem.moves:
        for name, unsigned in (("u8s8", False), ("u8u8", True)):
            found[f"ORT QLinearConv {name}"] = onnx_runtime(problem, "QLinearConv", unsigned)
        return found
    found["torch._int_mm"] = int_mm(problem)
    for name, unsigned in (("u8s8", False), ("u8u8", True)):
        found[f"ORT QLinearMatMul {name}"] = onnx_runtime(problem, "QLinearMatMul", unsigned)
    return found | {"ORT MatMulInteger": onnx_runtime(problem, "MatMulInteger")}


def seconds(calls: dict[str, Rival]) -> dict[str, float]:
    """Return the median time of each, all measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call()
            end = time.perf_counter() + SECONDS_PER_ROUND
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                times[name].append(now - start)
                if now > end:
                    break
    return {name: statistics.median(values) for name, values in times.items()}


def rows(title: str, x_shape: tuple, w_shape: tuple, moves: dict[str, int]) -> Iterator[str]:
    """Yield the lines of the table for one layer, in 7 and in 8 bits."""
    calls, wrong, unlike = {}, {}, {}
    for bits in (7, 8):
        problem = Problem.draw(bits, x_shape, w_shape, moves)
        calls["torch float32"] = float32(problem)
        for name, call in rivals(problem).items():
            calls[f"{name}, {bits}-bit x"] = call
            result = torch.as_tensor(call())
            codes = result.int_repr() if result.is_quantized else result
            wrong[f"{name}, {bits}-bit x"] = problem.wrong(codes)
            if name == "labkit":
                our_codes = codes
            elif codes.dtype == our_codes.dtype:
                unlike[f"{name}, {bits}-bit x"] = int((codes != our_codes).sum())
    times = seconds(calls)
    for name, time_taken in times.items():
        share = f"{wrong[name]:.2%}" if name in wrong else ""
        speed = times["torch float32"] / time_taken
        figures = f"{time_taken * 1e3:.3f} | {speed:.2f} | {share} | {unlike.get(name, '')}"
        yield f"| {title} | {name} | {figures} |"


def table() -> Iterator[str]:
    """Yield the table of the chip as torch sees it now."""
    info, threads = backend_info(), torch.get_num_threads()
    pair = "saturates" if info.saturates else "is exact"
    yield f"Engine {info.engine}: 255 * 127 + 255 * 127 {pair}. {threads} thread(s).\n"
    columns = ("ms (median)", "times as fast as float32", "wrong integers", "unlike labkit's")
    yield f"| layer | kernel | {' | '.join(columns)} |"
    yield "|---|---|---:|---:|---:|---:|"
    for m, k, n in LINEAR:
        yield from rows(f"{m} x {k} x {n}", (m, k), (n, k), {})
    for title, (inputs, out, size, kernel, stride, groups) in CONVOLUTIONS.items():
        moves = {"stride": stride, "padding": kernel // 2, "groups": groups}
        w_shape = (out, inputs // groups, kernel, kernel)
        yield from rows(title, (1, inputs, size, size), w_shape, moves)


def head() -> str:
    """Return what the tables were made with."""
    versions = ", ".join(f"{p.__name__} {p.__version__}" for p in (torch, onnxruntime, np))
    return (
        "# Integer kernels beside their rivals\n\n"
        f"{saved_by(__file__)} wrote this file. An integer is wrong if it is "
        "further than 0.51 from the exact real result. Operands are random over their full range, "
        "activations of 7 or 8 bits, weights in [-127, 127]. The last column counts integers other "
        "than labkit's, right or wrong: `torch.ops.quantized` multiplies rows exactly, but its "
        "engine rounds near ties by another rule.\n\n"
        f"{backend_info().instruction_set}, {os.cpu_count()} cores; {versions}.\n"
    )


def main() -> None:
    """Print the tables, and store them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write kernels.md")
    parser.add_argument("--only-this-chip", action="store_true", help="one table")
    parser.add_argument("--threads", type=int, default=1, help="for torch and ONNX Runtime")
    arguments = parser.parse_args()
    # torch announces the end of its quantized tensors, which only a rival here uses.
    warnings.filterwarnings("ignore", message=".*quantized tensor creation functions")
    torch.set_num_threads(arguments.threads)
    torch.backends.quantized.engine = "x86"
    lines = [] if arguments.only_this_chip else [head(), "## This chip\n"]
    for line in lines:
        print(line)
    for line in table():
        print(line, flush=True)
        lines.append(line)
    if arguments.only_this_chip:
        return
    title = "\n## The same chip without 8-bit dot products\n"
    print(title, flush=True)
    older = without_dot_products(__file__, arguments.threads)
    print(older)
    if arguments.save:
        Path(__file__).with_suffix(".md").write_text("\n".join([*lines, title, older]), "utf-8")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
