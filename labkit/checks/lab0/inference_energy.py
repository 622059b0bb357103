"""Exercise 0.9: the energy of an inference."""

from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import REAL, integer


def inference_energy(
    macs: int, bytes_moved: int, multiply_pj: float, add_pj: float, access_pj: float
) -> tuple[float, float]:
    """Return the picojoules of arithmetic and of memory; an access brings 64 bits."""
    return macs * (multiply_pj + add_pj), bytes_moved / 8 * access_pj


def _energy_cases(rng: torch.Generator) -> list[Case]:
    def drawn() -> tuple[int, int]:
        return integer(rng, 10**6, 10**8), integer(rng, 10**5, 10**7)

    return [
        Case("one multiply-add, eight bytes", (1, 8, 3.7, 0.9, 1300.0)),
        Case("no traffic", (integer(rng, 100, 9999), 0, 1.1, 0.9, 100.0)),
        Case("traffic only", (0, 8 * integer(rng, 1, 12) + 3, 1.1, 0.9, 10.0)),
        Case("fp32 from DRAM", (*drawn(), 3.7, 0.9, 1300.0)),
        Case("int8 from DRAM", (*drawn(), 0.2, 0.1, 1300.0)),
        Case("int8 from a cache", (*drawn(), 0.2, 0.1, 20.0)),
        Case("fp16 from DRAM", (*drawn(), 1.1, 0.9, 2600.0)),
    ]


def _bytes_in_an_access(count: int) -> Callable[..., tuple[float, float]]:
    """Return an answer that takes an access for so many bytes."""
    return lambda macs, bytes_moved, multiply_pj, add_pj, access_pj: (
        macs * (multiply_pj + add_pj),
        bytes_moved / count * access_pj,
    )


INFERENCE_ENERGY = Exercise(
    id="0.9",
    title="Energy of an inference",
    points=2,
    minutes=(5, 8),
    reference=inference_energy,
    cases=_energy_cases,
    rules=(REAL, REAL),
    names=("compute", "memory"),
    hints=(
        "Two bills: one for arithmetic, one for traffic. What does a multiply-add consist of, and "
        "how many bytes does one memory access bring?",
        "A multiply-add is one multiplication and one addition. An access brings 64 bits, that is "
        "8 bytes.",
        "compute = macs * (multiply_pj + add_pj) and memory = bytes_moved / 8 * access_pj.",
    ),
    misconceptions=(
        Misconception(
            "pays an access for every byte",
            _bytes_in_an_access(1),
            "access_pj is the price of 64 bits: one access brings 8 bytes.",
        ),
        Misconception(
            "returns the two energies in the wrong order",
            lambda *args: inference_energy(*args)[::-1],
            "Arithmetic comes first, then memory.",
        ),
        Misconception(
            "takes bytes for bits",
            _bytes_in_an_access(64),
            "64 bits are 8 bytes, and the traffic is given in bytes: divide by 8.",
        ),
        Misconception(
            "brings four bytes with an access",
            _bytes_in_an_access(4),
            "The table's accesses are 64 bits wide, which is 8 bytes; 4 bytes are one float32.",
        ),
        Misconception(
            "leaves the additions out",
            lambda macs, bytes_moved, multiply_pj, add_pj, access_pj: (
                macs * multiply_pj,
                bytes_moved / 8 * access_pj,
            ),
            "A multiply-add also adds its product to the sum: pay for both.",
        ),
        Misconception(
            "loads memory for every multiply-add",
            lambda macs, bytes_moved, multiply_pj, add_pj, access_pj: (
                macs * (multiply_pj + add_pj),
                macs * access_pj,
            ),
            "A convolution uses a weight many times for each time it is loaded: count bytes_moved, "
            "not macs.",
        ),
        Misconception(
            "takes the mean of multiplication and addition",
            lambda macs, bytes_moved, multiply_pj, add_pj, access_pj: (
                macs * (multiply_pj + add_pj) / 2,
                bytes_moved / 8 * access_pj,
            ),
            "Each multiply-add costs a multiplication and an addition, not their mean.",
        ),
    ),
)
