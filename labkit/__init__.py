"""Labs on neural-network quantization: the references, the checks and the grader.

``import labkit`` loads nothing heavy: submodules, ``Lab`` and ``progress`` load when they are
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.checks.lab import Lab
    from labkit.checks.overview import progress

__version__ = "0.1.0"
__all__ = ["Lab", "__version__", "progress"]

_SUBMODULES = {
    "blocks",
    "calibration",
    "codebooks",
    "energy",
    "formats",
    "kernels",
    "language",
    "linear",
    "plots",
    "ptq",
    "qat",
    "zoo",
}


def __getattr__(name: str) -> Any:
    """Load ``Lab``, ``progress`` and the submodules on first use."""
    if name == "Lab":
        from labkit.checks.lab import Lab

        return Lab
    if name == "progress":
        from labkit.checks.overview import progress

        return progress
    if name in _SUBMODULES:
        return importlib.import_module(f"labkit.{name}")
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")
