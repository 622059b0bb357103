"""Exercise 6.5: what a weight really costs."""

import math
from fractions import Fraction

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one
from labkit.checks.rules import Rule


def bits_per_weight(
    count: int, code_bits: int, block_size: int, scale_bits: int, table_bits: int
) -> float:
    """Return all bits that `count` weights take, over `count`; the last block is filled up."""
    blocks = math.ceil(count / block_size)
    return (blocks * (block_size * code_bits + scale_bits) + table_bits) / count


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, *args: int) -> Case:
        return Case(label, args)

    several = one(rng, 3, 9)
    return [
        case("one block of q4_0", 32, 4, 32, 16, 0),
        case("several blocks", 32 * several, one(rng, 3, 8), 32, 16, 0),
        case("a block that is not full", 33 + one(rng, 0, 20), 4, 32, 16, 0),
        case("fewer weights than a block", one(rng, 9, 30), 2, 64, 32, 0),
        case("a codebook for all", 288, 4, 288, 0, 32 * 16),
        case("scales and a codebook", 64 * several, 4, 64, 8, 32 * one(rng, 4, 16)),
        case("a codebook, and a block that is not full", 33 + one(rng, 0, 20), 4, 32, 16, 256),
        case("a layer", 9216 + one(rng, 1, 31), 4, 32, 32, 0),
    ]


def _average(count, code_bits, block_size, scale_bits, table_bits):
    return code_bits + scale_bits / block_size + table_bits / count


BITS_PER_WEIGHT = Exercise(
    id="6.5",
    title="What a weight costs",
    points=2,
    reference=bits_per_weight,
    cases=_cases,
    rules=(Rule(relative=1e-5),),
    hints=(
        "Count the bits of the whole tensor first. How many blocks does it have?",
        "Blocks are whole: math.ceil(count / block_size). Each holds block_size codes and a scale. "
        "The table is there once.",
        "blocks = math.ceil(count / block_size); return (blocks * (block_size * code_bits + "
        "scale_bits) + table_bits) / count.",
    ),
    misconceptions=(
        Misconception(
            "does not fill up the last block",
            _average,
            "Blocks are stored whole: the last one is filled up with zeros, which take bits, too.",
        ),
        Misconception(
            "leaves out the last block",
            lambda n, b, size, s, t: (n // size * (size * b + s) + t) / n,
            "n // block_size drops the weights of the last block. Round up.",
        ),
        Misconception(
            "rounds up the blocks for the scales only",
            lambda n, b, size, s, t: (n * b + math.ceil(n / size) * s + t) / n,
            "The codes of the last block are filled up as well: every block has block_size codes.",
        ),
        Misconception(
            "counts the table for each block",
            lambda n, b, size, s, t: math.ceil(n / size) * (size * b + s + t) / n,
            "The table is stored once for the tensor.",
        ),
        Misconception(
            "counts a scale for each weight",
            lambda n, b, size, s, t: (math.ceil(n / size) * size * (b + s) + t) / n,
            "A whole block shares one scale.",
        ),
        Misconception(
            "counts the codes alone",
            lambda n, b, size, s, t: float(b),
            "Scales and tables are stored as well, and so must be counted.",
        ),
        Misconception(
            "leaves out the table",
            lambda n, b, size, s, t: bits_per_weight(n, b, size, s, 0),
            "The table must be stored, too: table_bits, once.",
        ),
        Misconception(
            "returns bytes",
            lambda n, b, size, s, t: bits_per_weight(n, b, size, s, t) / 8,
            "Bits a weight: no division by 8.",
        ),
        Misconception(
            "returns all bits together",
            lambda n, b, size, s, t: float(Fraction(bits_per_weight(n, b, size, s, t)) * n),
            "That is the whole tensor. Divide by the number of weights.",
        ),
        Misconception(
            "divides by the codes that are stored",
            lambda n, b, size, s, t: bits_per_weight(math.ceil(n / size) * size, b, size, s, t),
            "The filling of the last block is no weight: divide by `count`.",
        ),
    ),
    minutes=(7, 11),
)
