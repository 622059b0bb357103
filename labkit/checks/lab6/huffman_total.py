"""Exercise 6.6: how many bits a Huffman code takes."""

import heapq
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes


def huffman_total(counts: Tensor) -> int:
    """Return the bits of all codes together: each merge of the two rarest costs its sum."""
    heap, total = [n for n in counts.tolist() if n > 0], 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def _cases(rng: torch.Generator) -> list[Case]:
    steep = torch.tensor([512, 250, 120, 60, 31, 14, 8, 3]) + whole(rng, 0, 2, 8)
    return [
        Case("two symbols", (whole(rng, 1, 9, 2),)),
        Case("three symbols", (torch.tensor([1, 2, 5]) + whole(rng, 0, 1, 3),)),
        Case("some symbols never occur", (torch.tensor([0, 7, 0, 3, 4, 0, 9]),)),
        Case("symbols that occur once", (torch.tensor([1, 1, int(whole(rng, 3, 6)), 1]),)),
        Case("all equally often", (torch.full((8,), 5),)),
        Case("half as often each", (steep[torch.randperm(8, generator=rng)],)),
        Case("codes of 4 bits", (whole(rng, 0, 400, 16),)),
        Case("codes of 5 bits, many weights", (whole(rng, 1, 9000, 32) ** 2,)),
    ]


def _entropy(counts: Tensor) -> float:
    p = counts[counts > 0].double()
    return float(-(p * (p / p.sum()).log2()).sum())


Join = Callable[[list[int]], int]


def _by_joins(counts: list[int], join: Join, until: int) -> float:
    left, total = sorted(counts), 0
    while len(left) > until:
        total += join(left)
    return total


def _joined(
    counts: Tensor,
    *,
    used: Callable[[list[int]], list[int]] = lambda counts: list(filter(None, counts)),
    join: Join = lambda left: _put(left, _rarest(left)),
    until: int = 1,
    total: Callable[[list[int], Join, int], float] = _by_joins,
    bits: Callable[[float, int], float] = lambda bits, count: bits,
) -> float:
    """Return the answer by a list; ``join`` takes two out of it, puts one in, and returns it."""
    return bits(total(used(counts.tolist()), join, until), int(counts.sum()))


def _put(left: list[int], joined: int, place: int | None = None) -> int:
    left.insert(len(left) if place is None else place, joined)
    return joined


def _rarest(left: list[int]) -> int:
    left.sort()
    return left.pop(0) + left.pop(0)


def _third(left: list[int]) -> list[int]:
    """Take the rarest out of a sorted list, if there is one."""
    third, left[:1] = left[:1], []
    return third


def _most_frequent(left: list[int]) -> int:
    left.sort()
    return _put(left, left.pop() + left.pop())


def _words(
    counts: list[int], *_: object, length: Callable[[float], int], dtype: torch.dtype
) -> float:
    """Add up words whose length follows from how often each symbol occurs among all."""
    n = torch.tensor(counts, dtype=dtype)
    lengths = torch.tensor([length(sum(counts) / count) for count in counts], dtype=dtype)
    return int((n * lengths).sum())


def _by_rank(counts: list[int], *_: object) -> int:
    return sum(place * n for place, n in enumerate(sorted(counts, reverse=True), 1))


def _in_halves(counts: list[int], *_: object) -> int:
    """Cut the sorted symbols where both sides are as frequent as they can, again and again."""
    left = sorted(counts)
    if len(left) < 2:
        return 0
    cut = min(range(1, len(left)), key=lambda k: abs(sum(left[:k]) - sum(left[k:])))
    return sum(left) + _in_halves(left[:cut]) + _in_halves(left[cut:])


def _lengths_alone(counts: Tensor) -> int:
    left, total = sorted([n, 1] for n in counts.tolist() if n), 0
    while len(left) > 1:
        (a, symbols), (b, others) = left.pop(0), left.pop(0)
        total += symbols + others
        left = sorted([*left, [a + b, symbols + others]])
    return total


def _not_put_back(counts: Tensor) -> int:
    left = sorted(n for n in counts.tolist() if n)
    return sum(left[: len(left) // 2 * 2])


def _in_float32(counts: Tensor) -> int:
    left, total = counts[counts > 0].float(), torch.tensor(0.0)
    while len(left) > 1:
        left = left.sort().values
        merged = left[:2].sum()
        left, total = torch.cat([left[2:], merged[None]]), total + merged
    return int(total)


HUFFMAN_TOTAL = Exercise(
    id="6.6",
    title="Codes of unequal length",
    points=3,
    reference=huffman_total,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "The two rarest symbols are joined to one, which is as frequent as both together. All "
        "symbols in it get one bit more. How many bits does one such step add to the whole?",
        "A step adds as many bits as the two together occur: their sum. Put the sum back among the "
        "others, and take the two rarest again, until one is left.",
        "heap = [n for n in counts.tolist() if n > 0]; heapq.heapify(heap); while len(heap) > 1: "
        "merged = heapq.heappop(heap) + heapq.heappop(heap); total += merged; "
        "heapq.heappush(heap, merged).",
    ),
    misconceptions=(
        Misconception(
            "gives all symbols that occur codes of one length",
            lambda counts: int(counts.sum()) * math.ceil(math.log2(int((counts > 0).sum()))),
            "That is what packing does. A Huffman code gives frequent symbols fewer bits.",
        ),
        Misconception(
            "counts the entropy",
            lambda counts: math.ceil(_entropy(counts)),
            "The entropy is the bound that no code beats. Code words have whole bits: build the "
            "tree.",
        ),
        *(
            Misconception(
                "takes a word's length from the logarithm of its own share",
                partial(_joined, total=partial(_words, length=length, dtype=dtype)),
                "Shannon's lengths, log2(1 / share) made whole, are those of a code, but mostly "
                "longer than need be. Huffman's follow from the joins: build the tree.",
            )
            for length in (
                lambda of_all: math.ceil(math.log2(of_all)),
                lambda of_all: math.ceil(math.log2(of_all)) + 1,
                lambda of_all: round(math.log2(of_all)),
                lambda of_all: max(1, round(math.log2(of_all))),
                lambda of_all: math.floor(math.log2(of_all)),
                lambda of_all: max(1, math.floor(math.log2(of_all))),
            )
            for dtype in (torch.float64, torch.float32)
        ),
        Misconception(
            "gives the most frequent 1 bit, the next 2, the next 3",
            partial(_joined, total=_by_rank),
            "Lengths follow from how often symbols occur, not from their order alone: eight that "
            "occur equally often have 3 bits each. Join the two rarest, again and again.",
        ),
        Misconception(
            "joins three at a time",
            partial(_joined, join=lambda left: _put(left, _rarest(left) + sum(_third(left)))),
            "Each join is of the two rarest: a bit tells two apart.",
        ),
        Misconception(
            "cuts the symbols into halves from above",
            partial(_joined, total=_in_halves),
            "That is the code of Shannon and Fano, which may be longer. Huffman begins below: join "
            "the two rarest, again and again.",
        ),
        Misconception(
            "takes symbols that occur equally often for one",
            partial(_joined, used=lambda counts: list({n for n in counts if n})),
            "Two symbols may occur equally often and are two all the same: a set, unique() or a "
            "dict by counts loses one of them. Keep a list.",
        ),
        Misconception(
            "makes a chain: 1 bit, 2 bits, 3 bits, ...",
            partial(_joined, join=lambda left: _put(left, left.pop(0) + left.pop(0), 0)),
            "Whoever sorts once and goes on with the sum makes a chain: 1 bit, 2 bits, 3 bits. A "
            "joined symbol goes back among the others: take the two rarest of all again.",
        ),
        Misconception(
            "puts the sum at the end without sorting again",
            partial(_joined, join=lambda left: _put(left, left.pop(0) + left.pop(0))),
            "The sum may be rarer than others that wait: put it back in order (sort again, or use "
            "heapq), and take the two rarest.",
        ),
        Misconception(
            "joins the two most frequent",
            partial(_joined, join=_most_frequent),
            "Those who are joined get longer: so join the two rarest.",
        ),
        Misconception(
            "goes on with the joined one at once",
            partial(_joined, join=lambda left: _put(left, left.pop() + left.pop(0))),
            "After a step the two rarest may be others: put the sum back among them, in order.",
        ),
        Misconception(
            "stops before the last two are joined",
            partial(_joined, until=2),
            "The last two are joined as well, and each symbol gets one bit more by that: go on "
            "until one is left.",
        ),
        Misconception(
            "counts one step too many",
            partial(_joined, bits=lambda bits, count: bits + count),
            "When one is left all is joined: its whole count is not added once more.",
        ),
        Misconception(
            "returns the bits of a symbol",
            partial(_joined, bits=lambda bits, count: bits / count),
            "Asked for are the bits of all codes together: no division by how many there are.",
        ),
        Misconception(
            "returns bytes",
            partial(_joined, bits=lambda bits, count: math.ceil(bits / 8)),
            "Asked for are bits: no division by 8.",
        ),
        Misconception(
            "counts the bits of the longest code for all",
            lambda counts: int(counts.sum()) * (int((counts > 0).sum()) - 1),
            "Each symbol has its own length: count how often it occurs, times its length.",
        ),
        Misconception(
            "counts the entropy",
            _entropy,
            "The entropy is the bound that no code beats. Code words have whole bits: build the "
            "tree.",
        ),
        Misconception(
            "gives all symbols codes of one length",
            lambda counts: int(counts.sum()) * math.ceil(math.log2(len(counts))),
            "That is what packing does. A Huffman code gives frequent symbols fewer bits, and "
            "those that never occur none.",
        ),
        Misconception(
            "joins symbols that never occur, too",
            partial(_joined, used=lambda counts: counts),
            "A symbol that never occurs needs no word, and would make those of others longer: "
            "leave it out first.",
        ),
        Misconception(
            "does not put the sum back",
            _not_put_back,
            "Two that are joined are one symbol from then on, as frequent as both together: put it "
            "back among the others.",
        ),
        Misconception(
            "adds up in float32",
            _in_float32,
            "float32 has 24 bits, and counts singly up to 16 million only. Add up in integers.",
        ),
        Misconception(
            "adds up the counts",
            lambda counts: int(counts.sum()),
            "That gives each symbol one bit. Each time two are joined, all symbols in them get one "
            "bit more.",
        ),
        Misconception(
            "counts the lengths of the codes without how often they occur",
            _lengths_alone,
            "A symbol that occurs 9 times is written 9 times: a step adds how often the two "
            "together occur.",
        ),
    ),
    minutes=(10, 15),
    extra=True,
)
