"""Exercise 6.5: what a weight really costs."""

import math
from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one
from labkit.checks.rules import Rule


def bits_per_weight(
    count: int, code_bits: int, block_size: int, scale_bits: int, table_bits: int
) -> float:
    """Return all bits that `count` weights take, over `count`; the last block is filled up."""
    return _bits(count, code_bits, block_size, scale_bits, table_bits)


def _bits(
    count: int,
    code_bits: int,
    block_size: int,
    scale_bits: int,
    table_bits: int,
    *,
    blocks: Callable[[int, int], float] = lambda n, size: math.ceil(n / size),
    codes: Callable[[int, float], float] = lambda n, stored: stored,
    scales: Callable[[float, float], float] = lambda blocks, stored: blocks,
    tables: Callable[[int, float], float] = lambda n, blocks: 1,
    width: Callable[[int], float] = lambda code_bits: code_bits,
    columns: Callable[[int], int] = lambda code_bits: 1,
    over: Callable[[int, float], float] = lambda n, stored: n,
    unit: int = 1,
    given: Callable[[float], float] = lambda bits: bits,
) -> float:
    whole = blocks(count, block_size)
    stored = whole * block_size
    bits = codes(count, stored) * width(code_bits) + scales(whole, stored) * scale_bits
    table = tables(count, whole) * columns(code_bits) * table_bits
    return given((bits + table) / unit / over(count, stored))


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
            partial(_bits, blocks=lambda n, size: n / size),
            "Blocks are stored whole: the last one is filled up with zeros, which take bits, too.",
        ),
        Misconception(
            "leaves out the last block",
            partial(_bits, blocks=lambda n, size: n // size),
            "n // block_size drops the weights of the last block. Round up.",
        ),
        Misconception(
            "counts a block too many where all are full",
            partial(_bits, blocks=lambda n, size: n // size + 1),
            "If the weights fill their blocks, none is left over: round up, math.ceil(count / "
            "block_size), which adds 1 only where there is a rest.",
        ),
        Misconception(
            "rounds the number of blocks to the nearest",
            partial(_bits, blocks=lambda n, size: round(n / size)),
            "A block that is less than half full is stored all the same. Round up.",
        ),
        Misconception(
            "rounds up the blocks for the scales only",
            partial(_bits, codes=lambda n, stored: n),
            "The codes of the last block are filled up as well: every block has block_size codes.",
        ),
        Misconception(
            "counts the table for each block",
            partial(_bits, tables=lambda n, blocks: blocks),
            "The table is stored once for the tensor.",
        ),
        Misconception(
            "counts the table for each level",
            partial(_bits, columns=lambda code_bits: 2**code_bits),
            "table_bits are those of the whole table: no 2**code_bits.",
        ),
        Misconception(
            "counts the table for each weight",
            partial(_bits, tables=lambda n, blocks: n),
            "The table is stored once for the tensor: its bits, too, are divided by `count`.",
        ),
        Misconception(
            "counts a scale for each weight",
            partial(_bits, scales=lambda blocks, stored: stored),
            "A whole block shares one scale.",
        ),
        Misconception(
            "counts two numbers for each block",
            partial(_bits, scales=lambda blocks, stored: 2 * blocks),
            "A format with a minimum besides the scale gives both together as scale_bits: that is "
            "what a block holds beside its codes, once.",
        ),
        Misconception(
            "counts one scale for all blocks",
            partial(_bits, scales=lambda blocks, stored: 1),
            "Each block stores a scale of its own.",
        ),
        Misconception(
            "leaves out the scales",
            partial(_bits, scales=lambda blocks, stored: 0),
            "Each block stores its scale, too: scale_bits.",
        ),
        Misconception(
            "counts the codes alone",
            lambda n, b, size, s, t: float(b),
            "Scales and tables are stored as well, and so must be counted.",
        ),
        Misconception(
            "leaves out the table",
            partial(_bits, tables=lambda n, blocks: 0),
            "The table must be stored, too: table_bits, once.",
        ),
        Misconception(
            "takes code_bits for the number of levels",
            partial(_bits, width=math.log2),
            "code_bits are bits already: no logarithm.",
        ),
        Misconception(
            "returns whole bits",
            partial(_bits, given=math.ceil),
            "A weight may cost a part of a bit more, 4.5 for instance: nothing is rounded up but "
            "the number of blocks.",
        ),
        Misconception(
            "returns whole bits",
            partial(_bits, given=int),
            "A weight may cost a part of a bit more, 4.5 for instance: divide with /, not //.",
        ),
        Misconception(
            "returns bytes",
            partial(_bits, unit=8),
            "Bits a weight: no division by 8.",
        ),
        *(
            Misconception(
                "returns how much smaller the weights become",
                partial(_bits, given=given),
                "Asked for are the bits of a weight, not how often they go into those of a float.",
            )
            for given in (lambda bits: 32 / bits, lambda bits: 16 / bits, lambda bits: bits / 32)
        ),
        Misconception(
            "returns all bits together",
            partial(_bits, over=lambda n, stored: 1),
            "That is the whole tensor. Divide by the number of weights.",
        ),
        Misconception(
            "divides by the codes that are stored",
            partial(_bits, over=lambda n, stored: max(stored, 1)),
            "The filling of the last block is no weight: divide by `count`.",
        ),
    ),
    minutes=(7, 11),
)
