"""What the benchmarks share: a description of the machine, and Markdown tables."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from labkit.kernels import backend_info

# Switches newer instructions off in torch and its libraries. ONNX Runtime has no such switch.
WITHOUT_DOT_PRODUCTS = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
}


def older_chip() -> bool:
    """Tell whether newer instructions are switched off."""
    return "ONEDNN_MAX_CPU_ISA" in os.environ


def without_dot_products(file: str, threads: int) -> str:
    """Return what a benchmark prints of this chip without 8-bit dot products."""
    return subprocess.run(
        [sys.executable, file, "--only-this-chip", f"--threads={threads}"],
        env=os.environ | WITHOUT_DOT_PRODUCTS,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def machine(*packages: str) -> str:
    """Say what computes: the processor, the cores in use, and versions."""
    info = backend_info()
    found = ["torch", *packages]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; "
        f"{info.instruction_set}, int8 engine {info.engine} "
        f"({'saturates' if info.saturates else 'does not saturate'}); "
        f"Python {platform.python_version()}, {', '.join(_version(name) for name in found)}."
    )


def saved_by(file: str) -> str:
    """Return the command that makes the table of a benchmark, as it was given, as code."""
    return f"`{' '.join(['python', f'tests/benchmarks/{Path(file).name}', *sys.argv[1:]])}`"


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} missing"
