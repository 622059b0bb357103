"""Exercise 6.6: how many bits a Huffman code takes."""

import heapq
import math
from collections.abc import Callable

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


def _chain(counts: Tensor) -> int:
    """Give the most frequent symbol 1 bit, the next 2, and so on."""
    ordered = sorted((n for n in counts.tolist() if n), reverse=True)
    return sum(n * min(i + 1, len(ordered) - 1) for i, n in enumerate(ordered))


def _joining(join: Callable[[list[int]], None], least: int = 1) -> Callable[[Tensor], int]:
    """Return the answer that joins counts of ``least`` or more; ``join`` changes the list."""

    def wrong(counts: Tensor) -> int:
        left, total = sorted(n for n in counts.tolist() if n >= least), 0
        while len(left) > 1:
            join(left)
            total += left[-1]
        return total

    return wrong


def _rarest(left: list[int]) -> None:
    left.sort(reverse=True)
    left.append(left.pop() + left.pop())


def _most_frequent(left: list[int]) -> None:
    left.sort()
    left.append(left.pop() + left.pop())


def _the_same_again(left: list[int]) -> None:
    """Join what was joined last with the next one."""
    left.append(left.pop() + left.pop(0))


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
        Misconception(
            "makes a chain: 1 bit, 2 bits, 3 bits, ...",
            _chain,
            "A joined symbol goes back among the others, and may well be more frequent than they: "
            "take the two rarest of all again.",
        ),
        Misconception(
            "joins the two most frequent",
            _joining(_most_frequent),
            "Those who are joined get longer: so join the two rarest.",
        ),
        Misconception(
            "goes on with the joined one at once",
            _joining(_the_same_again),
            "After a step the two rarest may be others: put the sum back among them, in order.",
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
            _joining(_rarest, least=0),
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
    ),
    minutes=(10, 15),
    extra=True,
)
