"""What computes integer products on this machine, for people to read."""

from dataclasses import dataclass

import torch

import labkit.kernels.engines as engines
import labkit.kernels.qnnpack as qnnpack


@dataclass(frozen=True)
class BackendInfo:
    """What computes 8-bit products on this machine.

    Attributes
    ----------
    engine : str
        "onednn"; "qnnpack" where torch lacks its operators or they fail the probe; "float32" where
        those of QNNPACK do, too, or are slower than float32 products.
    instruction_set : str
        What the processor offers, for people to read.
    saturates : bool
        Whether the engine gets 255 * 127 + 255 * 127 wrong: measured.
    """

    engine: str
    instruction_set: str
    saturates: bool


def backend_info() -> BackendInfo:
    """Say which engine computes 8-bit products here, and whether it can saturate.

    Returns
    -------
    BackendInfo
        Measured once, with the operators that `labkit.kernels` uses. The environment variable
        ``ONEDNN_MAX_CPU_ISA=AVX2``, set before Python starts, makes oneDNN do what it does on a
        chip without 8-bit dot products.
    """
    engine = "onednn" if engines.usable() else "qnnpack" if qnnpack.usable() else "float32"
    return BackendInfo(engine, _instruction_set(), engines.usable() and engines.saturates())


def _instruction_set() -> str:
    found = torch.cpu.get_capabilities()
    dot_products = {
        "avx512_vnni": "AVX-512 VNNI",
        "avx_vnni": "AVX VNNI",
        "amx_int8": "AMX",
        "dot": "dot product",
        "i8mm": "i8mm",
    }
    names = [torch.backends.cpu.get_cpu_capability()]
    names += [text for key, text in dot_products.items() if found.get(key)]
    return " + ".join(names)
