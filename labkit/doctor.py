"""What a bug report needs: versions, processor, engines, folder of the progress file."""

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("labkit", "torch", "numpy", "matplotlib", "jupyterlab", "ipykernel", "nbval")


def report() -> list[tuple[str, str]]:
    """Return (what, found) pairs, in the order in which they are printed."""
    lines = [("python", platform.python_version()), ("system", platform.platform(terse=True))]
    lines += [(name, _version(name)) for name in PACKAGES]
    import torch

    lines += [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("instructions", torch.backends.cpu.get_cpu_capability()),
        ("torch threads", str(torch.get_num_threads())),
        ("int8 engines", ", ".join(torch.backends.quantized.supported_engines)),
        ("progress", _progress_folder()),
    ]
    return lines


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed: pip install -r requirements.txt"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _progress_folder() -> str:
    folder = Path(os.environ.get("LABKIT_PROGRESS", ".labkit"))
    parent = folder if folder.exists() else folder.parent
    state = "writable" if os.access(parent, os.W_OK) else "not writable: progress will not last"
    return f"{folder} ({state})"
