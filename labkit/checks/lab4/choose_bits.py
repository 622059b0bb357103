"""Exercise 4.11: a budget of bytes, judged by what the network still gets right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab4.sensitivity import Layers, rounded, run, sensitivity
from labkit.checks.rules import Mismatch, Rule
from labkit.checks.values import Plain, as_array

BITS = (2, 4, 8)
SIZES = (12, 20, 48, 48, 16, 6)
OUTLIERS = (0, 3)
IMAGES, UNSEEN = 64, 1000
UNSEEN_SEED = 11


def choose_bits(layers: Layers, x: Tensor, budget: int) -> Tensor:
    """Return 2, 4 or 8 bits for each layer: within the budget, those with the least noise."""
    noise = {bits: (10 ** (-sensitivity(layers, x, bits) / 10)).tolist() for bits in BITS}
    fitting = [
        bits for bits in product(BITS, repeat=len(layers)) if weight_bytes(layers, bits) <= budget
    ]
    return torch.tensor(min(fitting, key=lambda bits: sum(noise[b][i] for i, b in enumerate(bits))))


def weight_bytes(layers: Layers, bits: Sequence[int]) -> int:
    """Return what the packed weights take."""
    return sum(w.numel() * b for (w, _), b in zip(layers, bits, strict=True)) // 8


def agreement(layers: Layers, bits: Sequence[int]) -> float:
    """Return the share of unseen inputs that the quantized network puts in the same class."""
    x = randn(torch.Generator().manual_seed(UNSEEN_SEED), UNSEEN, layers[0][0].shape[1])
    mixed = [(rounded(w, n), b) for (w, b), n in zip(layers, bits, strict=True)]
    return float((run(mixed, x).argmax(1) == run(layers, x).argmax(1)).double().mean())


@dataclass(frozen=True)
class WithinBudget(Rule):
    """Any bits that fit into the budget and leave the network nearly as good as the reference's.

    Attributes
    ----------
    margin : float
        How far the share of equal classes may lie below that of the reference, 0 to 1.
    """

    margin: float = 0.06

    def mismatch(self, name: str, got: Plain, expected: Plain, args: tuple) -> Mismatch | None:
        """Judge bits [layers] on inputs that were not given."""
        wanted, value = as_array(expected), as_array(got)
        if wanted is None or value is None or value.shape != wanted.shape:
            return super().mismatch(name, got, expected, args)
        if not np.isin(value, BITS).all():
            return Mismatch(f"{name} holds other numbers than 2, 4 and 8; expected one a layer.")
        layers, _, budget = args
        bits, best = [[int(b) for b in chosen] for chosen in (value, wanted)]
        taken = weight_bytes(layers, bits)
        if taken > budget:
            return Mismatch(f"Your bits {bits} take {taken} bytes; the budget is {budget}.")
        reached, level = agreement(layers, bits), agreement(layers, best) - self.margin
        if reached < level:
            return Mismatch(
                f"Your bits {bits} take {taken} of {budget} bytes. On {UNSEEN} inputs that were "
                f"not given the class stays the same for {reached:.1%}; expected {level:.1%} or "
                "more."
            )
        return None


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, least: float, most: float) -> Case:
        layers = [
            (randn(rng, out, inputs) / inputs**0.5, 0.3 * randn(rng, out))
            for inputs, out in pairwise(SIZES)
        ]
        for index in OUTLIERS:  # these need 8 bits, whatever the budget
            layers[index][0][0, 0] = 4.0
        bits = uniform(rng, least, most)  # a weight, on average
        budget = int(bits * sum(w.numel() for w, _ in layers) / 8)
        return Case(label, (layers, randn(rng, IMAGES, SIZES[0]), budget))

    layers, x, _ = case("", 4, 4).args
    used_up = Case("a budget to the last byte", (layers, x, weight_bytes(layers, (8, 4, 4, 8, 4))))
    return [
        case("about 6 bits a weight", 5.7, 6.3),
        used_up,
        case("about 5.5 bits a weight", 5.3, 5.7),
        case("about 5.5 bits, another network", 5.3, 5.7),
        case("about 5 bits a weight", 4.8, 5.2),
        case("about 5 bits, another network", 4.8, 5.2),
        case("about 4.5 bits a weight", 4.4, 4.6),
        case("about 4.5 bits, another network", 4.4, 4.6),
    ]


def _in_order(order: Callable[[Layers], list[int]]) -> Callable[[Layers, Tensor, int], Tensor]:
    """Return the answer that raises layers to 4 and then 8 bits in some order, while they fit."""

    def wrong(layers: Layers, x: Tensor, budget: int) -> Tensor:
        bits = [2] * len(layers)
        for i in order(layers):
            for higher in (4, 8):
                tried = [*bits[:i], higher, *bits[i + 1 :]]
                if weight_bytes(layers, tried) <= budget:
                    bits = tried
        return torch.tensor(bits)

    return wrong


def _by_size(layers: Layers) -> list[int]:
    return sorted(range(len(layers)), key=lambda i: layers[i][0].numel())


def _the_same_everywhere(bits: int) -> Callable[[Layers, Tensor, int], Tensor]:
    return lambda layers, x, budget: torch.full((len(layers),), bits)


CHOOSE_BITS = Exercise(
    id="4.11",
    title="A budget of bytes",
    points=4,
    reference=choose_bits,
    cases=_cases,
    rules=(WithinBudget(),),
    hints=(
        "8 bits where they matter, few where they do not. Which of your functions tells where "
        "they matter?",
        "sensitivity(layers, x, bits) gives dB; 10 ** (-dB / 10) is the noise, relative to the "
        "signal. Noises of several layers roughly add up. How many ways are there to choose?",
        "itertools.product((2, 4, 8), repeat=len(layers)) lists all ways. Drop those whose bytes, "
        "the sum of w.numel() * bits over the layers // 8, exceed the budget. Of the rest return "
        "the one with the least sum of noises, as a tensor.",
    ),
    misconceptions=(
        Misconception(
            "keeps all layers at 2 bits",
            _the_same_everywhere(2),
            "That fits, and most of the budget is left. Spend it where it helps most.",
        ),
        Misconception(
            "takes 4 bits everywhere",
            _the_same_everywhere(4),
            "That fits, but part of the budget is left: raise the layers that suffer most to 8.",
        ),
        Misconception(
            "ignores the budget",
            _the_same_everywhere(8),
            "The bytes are the sum of weights times bits, over 8.",
        ),
        Misconception(
            "spends the bytes on the largest layers first",
            _in_order(lambda layers: _by_size(layers)[::-1]),
            "There a byte buys least. Ask for the noise that it takes away: 4.7 measures it.",
        ),
        Misconception(
            "spends the bytes on the smallest layers first",
            _in_order(_by_size),
            "They are cheap, but the others are left at 2 bits, where nothing survives. Compare "
            "whole choices: 4.7 measures the noise of each layer at each number of bits.",
        ),
    ),
)
