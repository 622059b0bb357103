"""Calibration here against torch.ao, ONNX Runtime and NVIDIA ModelOpt, side by side in one run.

    python tests/benchmarks/calibration.py [--save] [--repeats N]

Prints tables of times and of results; ``--save`` also writes them to calibration.md beside this
file. All rivals are timed in turn, again and again, and the median counts, so that other work on
the machine slows all of them. A rival that is not installed is left out, and a line says so.
"""

import argparse
import contextlib
import io
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.ao.quantization.observer import HistogramObserver

from labkit.calibration import MSE, Entropy, Histogram, MinMax, Percentile, mse_range
from labkit.calibration.entropy import BINS, kl_divergences, kl_threshold
from labkit.linear import QParams, Scheme, from_range, quantization_error

try:
    from modelopt.torch.quantization import tensor_quant
    from modelopt.torch.quantization.calib import HistogramCalibrator
    from modelopt.torch.quantization.calib import histogram as modelopt_search

    # Its MSE search in 0.47 hands the bit width over as a bias; so it is compared as it was meant.
    modelopt_search.fake_tensor_quant = tensor_quant._tensor_quant
except ImportError:
    HistogramCalibrator = None
try:
    from onnxruntime.quantization.calibrate import HistogramCollector
except ImportError:
    HistogramCollector = None

PACKAGES = ("torch", "numpy", "onnxruntime", "nvidia-modelopt")
LEVELS = 128
SYMMETRIC, AFFINE = Scheme(symmetric=True), Scheme(signed=False)
KINDS = ("normal", "Laplace", "Student t, 5", "ReLU", "GELU")
VALUES = 2**20  # for the results
Times = dict[str, float]
Rows = dict[str, dict[str, float]]
Choice = tuple[float, QParams]  # the largest |x| that is kept, and the grid


def data(kind: str, values: int) -> Tensor:
    """Return float32 values of a named distribution."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(values, generator=generator)
    if kind == "Laplace":
        return torch.empty(values).exponential_(generator=generator) * normal.sign()
    if kind == "Student t, 5":
        squares = torch.randn(5, values, generator=generator).square()
        return normal / squares.mean(0).sqrt()
    return {"normal": normal, "ReLU": normal.relu(), "GELU": torch.nn.functional.gelu(normal)}[kind]


def medians(actions: dict[str, Callable[[], object]], repeats: int) -> Times:
    """Return the median time of each action in ms, all taken in turn after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Swallow what ONNX Runtime prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def torch_observer(scheme: Scheme) -> HistogramObserver:
    """Return torch.ao's observer for the codes of a scheme."""
    if scheme.symmetric:
        return HistogramObserver(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)
    return HistogramObserver(dtype=torch.quint8, qscheme=torch.per_tensor_affine)


def onnx_collector(bins: int) -> "HistogramCollector":
    """Return what ONNX Runtime's EntropyCalibrater collects and searches with."""
    return HistogramCollector("entropy", True, bins, LEVELS, 99.99, "same")


def observing(batches: list[Tensor], repeats: int) -> Times:
    """Time observers that are already at work: ms for all batches."""
    ours, minmax, theirs = MSE(), MinMax(), torch_observer(AFFINE)
    observers: dict[str, Callable[[Tensor], object]] = {
        "labkit MSE, Entropy or Percentile": ours.observe,
        "labkit MinMax": minmax.observe,
        "torch.ao HistogramObserver": theirs,
    }
    if HistogramCalibrator:
        observers["modelopt HistogramCalibrator"] = HistogramCalibrator().collect
    if HistogramCollector:
        collector = onnx_collector(BINS)
        observers["onnxruntime HistogramCollector"] = lambda x: collector.collect(
            {"x": [x.numpy()]}
        )

    def all_batches(observe: Callable[[Tensor], object]) -> None:
        for x in batches:
            observe(x)

    with silent():
        return medians({name: lambda o=o: all_batches(o) for name, o in observers.items()}, repeats)


def searching(x: Tensor, repeats: int) -> tuple[Times, dict[str, float]]:
    """Time the search for a symmetric threshold once all is observed, and return what it found."""
    seen = Histogram()
    seen.observe(x)
    counts, width = seen.magnitudes(BINS)
    theirs = torch_observer(SYMMETRIC)
    theirs(x)
    searches: dict[str, Callable[[], float]] = {
        "labkit entropy": lambda: kl_threshold(counts, LEVELS) * width,
        "labkit MSE": lambda: mse_range(seen, SYMMETRIC)[1],
        "torch.ao HistogramObserver": lambda: float(theirs._non_linear_param_search()[1]),
    }
    if HistogramCalibrator:
        calibrator = HistogramCalibrator()
        calibrator.collect(x)
        # Its search overwrites the first bin with the second, so both search that histogram.
        calibrator._calib_hist[0] = calibrator._calib_hist[1]
        the_same = calibrator._calib_hist.double().numpy()
        edges = calibrator._calib_bin_edges
        searches["labkit entropy, modelopt's bins"] = lambda: edges[kl_threshold(the_same, LEVELS)]
        searches["modelopt entropy"] = lambda: calibrator.compute_amax("entropy")
        searches["modelopt MSE, mended"] = lambda: calibrator.compute_amax("mse")
    if HistogramCollector:
        collector = onnx_collector(BINS)
        with silent():
            collector.collect({"x": [x.numpy()]})
        searches["onnxruntime entropy"] = lambda: collector.compute_collection_result()["x"][1]
    found: dict[str, float] = {}

    def search(name: str) -> None:
        found[name] = float(searches[name]())

    with silent():
        return medians({name: lambda n=name: search(n) for name in searches}, repeats), found


def choices(x: Tensor, scheme: Scheme) -> dict[str, Choice]:
    """Return what each method chooses for `x`."""
    ranges: dict[str, tuple[float, float]] = {}
    for observer in (MSE(), Entropy(), Percentile(), MinMax()):
        observer.observe(x)
        ranges[f"labkit {type(observer).__name__}"] = observer.range(scheme)
    if HistogramCalibrator and scheme.symmetric:
        for method in ("mse", "entropy", "percentile"):
            calibrator = HistogramCalibrator()
            calibrator.collect(x)
            largest = float(calibrator.compute_amax(method))
            mended = ", mended" if method == "mse" else ""
            ranges[f"modelopt {method}{mended}"] = -largest, largest
    if HistogramCollector:
        for method in ("entropy", "percentile"):
            collector = HistogramCollector(method, scheme.symmetric, BINS, LEVELS, 99.99, "same")
            with silent():
                collector.collect({"x": [x.numpy()]})
                low, high = collector.compute_collection_result()["x"][:2]
            ranges[f"onnxruntime {method}"] = float(low), float(high)
    chosen = {
        name: (max(-low, high), from_range(low, high, scheme))
        for name, (low, high) in ranges.items()
    }
    theirs = torch_observer(scheme)
    theirs(x)
    low, high = theirs._non_linear_param_search()
    scale, zero_point = theirs.calculate_qparams()
    grid = QParams(scale.reshape(()), zero_point.reshape(()), scheme)
    return {**chosen, "torch.ao HistogramObserver": (float(max(-low, high)), grid)}


def divergence_of(x: Tensor) -> Callable[[float], float]:
    """Return the KL divergence of a threshold by the textbook, on the exact histogram of |x|."""
    sizes = x[x != 0].abs().double().numpy()
    counts, edges = np.histogram(sizes, BINS, (0, sizes.max()))
    divergences = kl_divergences(counts, LEVELS)
    finite = np.flatnonzero(np.isfinite(divergences))

    def divergence(threshold: float) -> float:
        kept = threshold / edges[1] - LEVELS
        return float(divergences[finite[np.abs(finite - kept).argmin()]])

    return divergence


def results(scheme: Scheme, values: int) -> tuple[Rows, Rows]:
    """Return the KL divergence and the mean squared error of every method on every data set."""
    divergences: Rows = {}
    errors: Rows = {}
    for kind in KINDS:
        x = data(kind, values)
        divergence = divergence_of(x)
        for name, (threshold, grid) in choices(x, scheme).items():
            divergences.setdefault(name, {})[kind] = divergence(threshold)
            errors.setdefault(name, {})[kind] = quantization_error(x, grid).total
    return divergences, errors


def table(title: str, rows: dict[str, list[str]], *columns: str) -> str:
    """Return a Markdown table."""
    lines = [f"\n## {title}\n", "| |" + "|".join(columns) + "|", "|---|" + "---:|" * len(columns)]
    return "\n".join(lines + [f"| {name} |" + "|".join(row) + "|" for name, row in rows.items()])


def time_table(title: str, times: Times, reference: str, *more: dict[str, str]) -> str:
    """Return times in ms, and how many times the reference's they are."""
    rows = {
        name: [f"{ms:.2f}", f"{ms / times[reference]:.2f}", *(extra[name] for extra in more)]
        for name, ms in times.items()
    }
    columns = ("ms", f"times {reference}", "threshold")
    return table(title, rows, *columns[: 2 + len(more)])


def result_table(title: str, rows: Rows) -> str:
    """Return each method's result as a multiple of the best one's."""
    best = {kind: min(row[kind] for row in rows.values()) for kind in KINDS}
    columns = [f"{kind} ({best[kind]:.4g})" for kind in KINDS]
    ratios = {
        name: [f"{row[kind] / best[kind]:.4f}" for kind in KINDS] for name, row in rows.items()
    }
    return table(title, ratios, *columns)


def machine() -> str:
    """Return what the numbers were measured on."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed: left out")
    return (
        "# Calibration, measured\n\n"
        "`python tests/benchmarks/calibration.py --save` wrote this file.\n\n"
        f"{cpu()}, {os.cpu_count()} cores; {platform.system()}, Python "
        f"{platform.python_version()}; {', '.join(versions)}."
    )


def cpu() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def tables(repeats: int) -> Iterator[str]:
    """Yield the tables as they are done."""
    threads = torch.get_num_threads()
    whole = [data("normal", 2**22)]
    many = list(data("normal", 2**22).split(2**16))
    for number in sorted({1, threads}):
        torch.set_num_threads(number)
        for batches in (whole, many):
            title = (
                f"Observe {len(batches)} x {len(batches[0]):,} values, torch on {number} thread(s)"
            )
            times = observing(batches, repeats)
            yield time_table(title, times, "labkit MSE, Entropy or Percentile")
    torch.set_num_threads(threads)
    times, found = searching(data("Student t, 5", 2**21), max(1, repeats // 5))
    thresholds = {name: f"{value:.6g}" for name, value in found.items()}
    title = f"Find a threshold for {2**21:,} values (Student t, 5), {BINS:,} bins, {LEVELS} levels"
    yield time_table(title, times, "labkit entropy", thresholds)
    for scheme, name in ((SYMMETRIC, "symmetric int8"), (AFFINE, "affine uint8")):
        divergences, errors = results(scheme, VALUES)
        of = f"{VALUES:,} values, {name}, as a multiple of the best (given in the head)"
        if scheme.symmetric:
            yield result_table(f"KL divergence by the textbook: {of}", divergences)
        yield result_table(f"Mean squared error on the raw values: {of}", errors)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write calibration.md")
    parser.add_argument("--repeats", type=int, default=15, help="how often each is timed")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch|modelopt|onnxruntime")
    parts = [machine()]
    print(parts[0])
    for part in tables(arguments.repeats):
        print(part, flush=True)
        parts.append(part)
    if arguments.save:
        Path(__file__).with_suffix(".md").write_text("\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
