"""What the benchmarks share: a description of the machine, and Markdown tables."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from labkit.kernels import backend_info


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
    """Return the command that stores the table of a benchmark, as code."""
    return f"`python tests/benchmarks/{Path(file).name} --save`"


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
