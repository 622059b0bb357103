"""Exercise 6.11: five trits in a byte."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes

POWERS = torch.tensor([81, 27, 9, 3, 1])


def pack_trits(trits: Tensor) -> Tensor:
    """Return a byte for each five trits: their number in base 3, over 243 and times 256.

    `trits`: 0, 1 or 2 in any integer dtype, uint8 as well, in which 256 n does not fit.
    """
    return _packed(trits)


def _packed(
    trits: Tensor,
    *,
    digits: Callable[[Tensor], Tensor] = torch.clone,
    powers: Tensor = POWERS,
    axis: int = 1,
    wide: Callable[[Tensor], Tensor] = torch.clone,
    whole: int = 256,
    rounded: Callable[[Tensor], Tensor] = lambda parts: (parts + 242) // 243,
    kept: torch.dtype = torch.uint8,
) -> Tensor:
    number = wide((digits(trits.long()) * powers).sum(axis))
    return rounded(whole * number).to(kept)


def _cases(rng: torch.Generator) -> list[Case]:
    numbers = torch.cartesian_prod(*[torch.arange(3)] * 5)
    return [
        Case("one byte", (whole(rng, 0, 2, 1, 5),)),
        Case("three bytes", (whole(rng, 0, 2, 3, 5),)),
        Case("all trits 0", (torch.zeros(2, 5, dtype=torch.int64),)),
        Case("all trits 2", (torch.full((2, 5), 2),)),
        Case("a trit alone", (torch.eye(5, dtype=torch.int64),)),
        Case("trits in uint8", (numbers.to(torch.uint8),)),
        Case("all 243 numbers", (numbers[torch.randperm(len(numbers), generator=rng)],)),
    ]


PACK_TRITS = Exercise(
    id="6.11",
    title="Five trits in a byte",
    points=2,
    reference=pack_trits,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "Five digits of base 3 are a number below 3^5 = 243. The first digit counts 81. Then the "
        "number is stretched to 256.",
        "n = 81 a + 27 b + 9 c + 3 d + e, then the smallest whole number that is at least "
        "256 n / 243. uint8 ends at 255: compute in int64.",
        "n = (trits.long() * torch.tensor([81, 27, 9, 3, 1])).sum(1); return ((256 * n + 242) // "
        "243).to(torch.uint8).",
    ),
    misconceptions=(
        Misconception(
            "returns the number itself",
            partial(_packed, rounded=lambda parts: parts // 256),
            "Reading that takes divisions by 3. As a fraction of 256, ceil(256 n / 243), its "
            "digits come out by multiplying.",
        ),
        Misconception(
            "rounds the fraction down",
            partial(_packed, rounded=lambda parts: parts // 243),
            "Rounded down, the digit that is read back may be one too small. Round up.",
        ),
        Misconception(
            "rounds the fraction to the nearest",
            partial(_packed, rounded=lambda parts: (parts + 121) // 243),
            "Rounded to the nearest, half of the numbers are rounded down, and their digits may be "
            "read back one too small. Round up.",
        ),
        Misconception(
            "adds 1 where nothing is left to round up",
            partial(_packed, rounded=lambda parts: parts // 243 + 1),
            "256 * 0 / 243 is whole already: rounded up it stays 0. (256 * n + 242) // 243.",
        ),
        Misconception(
            "gives the first trit the lowest place",
            partial(_packed, powers=POWERS.flip(0)),
            "The first trit is the highest digit: it counts 81.",
        ),
        Misconception(
            "packs digits of base 4",
            lambda trits: ((trits.long() * torch.tensor([256, 64, 16, 4, 1])).sum(1) % 256).to(
                torch.uint8
            ),
            "Two bits a trit are 10 bits for five. In base 3 they fit in one byte.",
        ),
        Misconception(
            "packs digits of base 4",
            partial(_packed, powers=torch.tensor([256, 64, 16, 4, 1])),
            "Two bits a trit are 10 bits for five. In base 3 they fit in one byte: 81, 27, 9, 3, "
            "1.",
        ),
        *(
            Misconception(
                "packs four trits, two bits each",
                partial(_packed, powers=torch.tensor(powers), rounded=lambda parts: parts // 256),
                "The fifth has no place then. In base 3 five of them fit in one byte: 81, 27, 9, "
                "3, 1.",
            )
            for powers in ([1, 4, 16, 64, 0], [64, 16, 4, 1, 0])
        ),
        Misconception(
            "begins the powers of 3 at 3",
            partial(_packed, powers=3 * POWERS),
            "The last trit counts 1: 3^4, 3^3, 3^2, 3, 1.",
        ),
        Misconception(
            "adds 1 to the trits",
            partial(_packed, digits=lambda trits: trits + 1),
            "The trits are 0, 1 and 2 already, as they are stored: nothing is added.",
        ),
        Misconception(
            "subtracts 1 from the trits",
            partial(_packed, digits=lambda trits: trits - 1),
            "The bytes hold 0, 1 and 2, as they are given. The 1 is taken away when they are read.",
        ),
        Misconception(
            "adds the trits up without their places",
            partial(_packed, powers=torch.ones(5, dtype=torch.int64)),
            "Each trit counts three times the next: 81, 27, 9, 3, 1.",
        ),
        Misconception(
            "stretches to 255",
            partial(_packed, whole=255),
            "A byte has 256 values: the fraction is 256 n / 243.",
        ),
        Misconception(
            "packs digits of base 4",
            lambda trits: (trits.long() * torch.tensor([256, 64, 16, 4, 1])).sum(1),
            "Two bits a trit are 10 bits for five. In base 3 they fit in one byte.",
        ),
        Misconception(
            "has the fraction upside down",
            partial(_packed, whole=243, rounded=lambda parts: (parts + 255) // 256),
            "The number below 243 is stretched to 256: ceil(256 n / 243).",
        ),
        Misconception(
            "divides by 242",
            partial(_packed, rounded=lambda parts: (parts + 241) // 242),
            "242 is the largest number, but there are 243 of them: 256 n / 243.",
        ),
        Misconception(
            "adds up over the rows",
            partial(_packed, axis=0),
            "Each row of five trits is a byte: sum within a row, dim=1.",
        ),
        Misconception(
            "adds up over the rows",
            partial(_packed, axis=0, kept=torch.int64),
            "Each row of five trits is a byte: sum within a row, dim=1.",
        ),
        Misconception(
            "computes in bytes",
            partial(_packed, wide=lambda number: number.to(torch.uint8)),
            "256 * n does not fit into uint8, where it is always 0: convert to int64 first, "
            "trits.long().",
        ),
    ),
    minutes=(8, 12),
    extra=True,
)
