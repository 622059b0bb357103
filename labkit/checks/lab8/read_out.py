"""Exercise 8.2: classes and a margin, from codes alone."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes, Integer


def read_out(codes: Tensor, k: int) -> tuple[Tensor, int]:
    """Return the classes of the k largest codes, and by how much the best beats the second."""
    wide = codes.long()
    order = wide.argsort(descending=True, stable=True)
    return order[:k], int(wide[order[0]] - wide[order[1]])


def _cases(rng: torch.Generator) -> list[Case]:
    def spread(low: int, high: int, count: int = 10) -> Tensor:
        """Different codes, in any order."""
        return (torch.randperm(high - low + 1, generator=rng)[:count] + low).to(torch.int64)

    def tied(largest: int, ties: int) -> Tensor:
        codes = spread(40, largest - 20)
        codes[torch.randperm(10, generator=rng)[:ties]] = largest
        return codes

    far = whole(rng, -128, -90, 10)
    far[int(torch.randint(10, (), generator=rng))] = 127
    # The smallest code of each dtype is among them: minus that does not exist.
    wide, signed = spread(1, 255), spread(-100, 100)
    wide[4], signed[3] = 0, -128
    return [
        Case("three classes", (spread(20, 200, 3).to(torch.uint8), 2)),
        Case("ten classes", (wide.to(torch.uint8), 5)),
        Case("signed codes", (signed.to(torch.int8), 5)),
        Case("the best two are equal", (tied(230, 2).to(torch.uint8), 5)),
        Case("three are equal", (tied(200, 3).to(torch.uint8), 5)),
        Case("the best class alone, far ahead", (far.to(torch.int8), 1)),
        Case("all are equal", (torch.full((10,), 17, dtype=torch.uint8), 5)),
    ]


def _order(codes: Tensor) -> Tensor:
    return codes.long().argsort(descending=True, stable=True)


def _subtracts_bytes(codes: Tensor, k: int) -> tuple[Tensor, int]:
    order = _order(codes)
    return order[:k], int(codes[order[0]] - codes[order[1]])


def _later_first(codes: Tensor, k: int) -> tuple[Tensor, int]:
    order = codes.long().argsort(stable=True).flip(0)
    return order[:k], read_out(codes, k)[1]


def _different_codes(codes: Tensor, k: int) -> tuple[Tensor, int]:
    found = codes.long().unique()
    return _order(codes)[:k], int(found[-1] - found[-2]) if len(found) > 1 else 0


def _to_the_last(codes: Tensor, k: int) -> tuple[Tensor, int]:
    wide, order = codes.long(), _order(codes)
    return order[:k], int(wide[order[0]] - wide[order[-1]])


def _by_topk(codes: Tensor, k: int) -> tuple[Tensor, int]:
    found = torch.topk(codes.long(), max(k, 2))
    return found.indices[:k], int(found.values[0] - found.values[1])


def _of_the_worst(codes: Tensor, k: int) -> tuple[Tensor, int]:
    wide, order = codes.long(), _order(codes)
    return order[:k], int(wide[order[-2]] - wide[order[-1]])


def _to_the_kth(codes: Tensor, k: int) -> tuple[Tensor, int]:
    wide, order = codes.long(), _order(codes)
    return order[:k], int(wide[order[0]] - wide[order[k - 1]])


def _turned(codes: Tensor, k: int) -> tuple[Tensor, int]:
    return (-codes).argsort(stable=True)[:k], read_out(codes, k)[1]


READ_OUT = Exercise(
    id="8.2",
    title="The way out",
    points=2,
    reference=read_out,
    cases=_cases,
    rules=(Codes(), Integer()),
    names=("classes", "margin"),
    hints=(
        "All logits share one scale, which is positive, and one zero point. So a larger code is a "
        "larger logit: sort the codes.",
        "Of equal codes the lower class comes first: argsort(descending=True, stable=True). For "
        "the margin convert first: the difference of two bytes may not fit into a byte.",
        "wide = codes.long(); order = wide.argsort(descending=True, stable=True); return "
        "order[:k], int(wide[order[0]] - wide[order[1]]).",
    ),
    misconceptions=(
        Misconception(
            "lets equal codes come in the order of the later class",
            _later_first,
            "Of equal codes the lower class comes first, as in torch.argmax. A sort turned round "
            "also turns ties round: stable=True, and descending=True.",
        ),
        Misconception(
            "subtracts bytes",
            _subtracts_bytes,
            "127 - (-128) is 255, which wraps to -1 in int8: convert to a wider type before you "
            "subtract.",
        ),
        Misconception(
            "sorts the smallest first",
            lambda codes, k: (codes.long().argsort(stable=True)[:k], read_out(codes, k)[1]),
            "The best class has the largest code: sort descending.",
        ),
        Misconception(
            "reads signed codes as bytes without a sign",
            lambda codes, k: read_out(codes.view(torch.uint8), k),
            "The codes of an int8 network are signed: as uint8, -1 would be 255 and win.",
        ),
        Misconception(
            "returns codes instead of classes",
            lambda codes, k: (codes[_order(codes)[:k]], read_out(codes, k)[1]),
            "Asked for are the classes, where the codes stand: argsort, not sort.",
        ),
        Misconception(
            "measures the margin to the next different code",
            _different_codes,
            "If two classes share the largest code, the margin is 0: the network cannot tell them "
            "apart.",
        ),
        Misconception(
            "measures the margin to the worst class",
            _to_the_last,
            "The margin is the distance between the best and the second best.",
        ),
        Misconception(
            "leaves the order of equal codes to topk",
            _by_topk,
            "topk promises nothing about equal values. Of equal codes the lower class comes first: "
            "argsort(descending=True, stable=True).",
        ),
        Misconception(
            "measures the margin between the worst two",
            _of_the_worst,
            "The margin is the distance between the best and the second best: sorted from below, "
            "they come last.",
        ),
        Misconception(
            "measures the margin to the mean of the codes",
            lambda codes, k: (
                _order(codes)[:k],
                int(codes.max()) - round(float(codes.double().mean())),
            ),
            "The margin is the distance between the best and the second best.",
        ),
        Misconception(
            "takes the second best away in the other order",
            lambda codes, k: (_order(codes)[:k], -read_out(codes, k)[1]),
            "The margin is the best code less the second best: 0 or more.",
        ),
        Misconception(
            "measures the margin to the last of the k",
            _to_the_kth,
            "The margin is the distance between the best and the second best, whatever k is.",
        ),
        Misconception(
            "returns all classes",
            lambda codes, k: (_order(codes), read_out(codes, k)[1]),
            "Only the k best are asked for: order[:k].",
        ),
        Misconception(
            "puts the k classes in the order of their numbers",
            lambda codes, k: (_order(codes)[:k].sort().values, read_out(codes, k)[1]),
            "The best class comes first, then the second best: leave them as argsort has them.",
        ),
        Misconception(
            "returns the largest code for the margin",
            lambda codes, k: (_order(codes)[:k], int(codes.max())),
            "The margin is a difference: the best code less the second best.",
        ),
        Misconception(
            "measures the margin between numbers of classes",
            lambda codes, k: (_order(codes)[:k], int(_order(codes)[0] - _order(codes)[1])),
            "The margin is that of the codes, wide[order[0]] - wide[order[1]], not of the places.",
        ),
        Misconception(
            "measures the margin of what comes first in the list",
            lambda codes, k: (_order(codes)[:k], int(codes[0].long() - codes[1].long())),
            "The best and the second best stand anywhere: wide[order[0]] - wide[order[1]].",
        ),
        Misconception(
            "ranks codes by their magnitude",
            lambda codes, k: (
                codes.long().abs().argsort(descending=True, stable=True)[:k],
                read_out(codes, k)[1],
            ),
            "A negative code is a small logit: sort the codes with their signs.",
        ),
        Misconception(
            "turns the sign of bytes",
            _turned,
            "In a byte, minus 0 of uint8 is 0 and minus -128 of int8 is -128, so the worst class "
            "comes first: convert to a wider type before.",
        ),
    ),
    minutes=(5, 8),
)
