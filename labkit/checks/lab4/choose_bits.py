"""Exercise 4.11: a budget of bytes, judged by what the network still gets right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab4.budget_slips import MISCONCEPTIONS, cheapest
from labkit.checks.lab4.budgets import BITS, noise_of, weight_bytes
from labkit.checks.lab4.sensitivity_parts import Layers, rounded, run
from labkit.checks.rules import UNSEEN_SEED, Mismatch, Open
from labkit.checks.values import Plain

SIZES = (12, 32, 32, 32, 24, 6)
IMAGES, UNSEEN = 256, 1000
LARGE = 7.0  # times the largest other weight


def choose_bits(layers: Layers, x: Tensor, budget: int) -> Tensor:
    """Return 2, 4 or 8 bits for each layer: within `budget` bytes, those with the least noise."""
    noise = {bits: noise_of(layers, x, bits) for bits in BITS}
    fitting = [
        bits for bits in product(BITS, repeat=len(layers)) if weight_bytes(layers, bits) <= budget
    ]
    return torch.tensor(min(fitting, key=lambda bits: sum(noise[b][i] for i, b in enumerate(bits))))


def agreement(layers: Layers, bits: Sequence[int], seed: int = UNSEEN_SEED) -> float:
    """Return the share of unseen inputs that the quantized network puts in the same class."""
    x = randn(torch.Generator().manual_seed(seed), UNSEEN, layers[0][0].shape[1])
    mixed = [(rounded(w, n), b) for (w, b), n in zip(layers, bits, strict=True)]
    return float((run(mixed, x).argmax(1) == run(layers, x).argmax(1)).double().mean())


@dataclass(frozen=True)
class WithinBudget(Open):
    """Any bits that fit into the budget and leave the network nearly as good as the reference's.

    Attributes
    ----------
    margin : float
        How far the share of equal classes may lie below that of the reference, 0 to 1.
    """

    what: str = "inputs that were not given and keep their class"
    margin: float = 0.1

    def reached(self, name: str, got: np.ndarray, args: tuple, seed: int) -> float | Mismatch:
        """Measure bits [layers] that fit, on inputs that were not given."""
        layers, _, budget = args
        if not np.isin(got, BITS).all():
            return Mismatch(f"{name} holds other numbers than 2, 4 and 8; expected one a layer.")
        bits = [int(b) for b in got]
        taken = weight_bytes(layers, bits)
        if taken > budget:
            as_mean = sum(bits) * sum(w.numel() for w, _ in layers) / len(bits) <= 8 * budget
            return Mismatch(
                f"Your bits {bits} take {taken} bytes; the budget is {budget}."
                + " Their mean would fit if all layers had equally many weights." * as_mean
            )
        return agreement(layers, bits, seed)

    def level(self, expected: Plain, args: tuple) -> float:
        """Return what the reference reaches, less the margin."""
        return agreement(args[0], [int(b) for b in expected]) - self.margin

    def too_low(self, got: Plain, args: tuple, reached: float, level: float) -> str:
        """Say what the bits take and reach."""
        layers, _, budget = args
        bits = [int(b) for b in got]
        return (
            f"Your bits {bits} take {weight_bytes(layers, bits)} of {budget} bytes. On {UNSEEN} "
            f"inputs that were not given the class stays the same for {reached:.1%}; expected "
            f"{level:.1%} or more."
        )


def _network(rng: torch.Generator, hard: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Return a network whose layers need 4 bits each, but 8 where `hard` says so.

    In a hard layer half of the inputs are dead, and just there are its largest weights. Weights
    alone do not tell: layers differ in size, which the network as a whole does not mind.
    """
    layers, size = [], 1.0
    x = randn(rng, UNSEEN, SIZES[0])
    for index, (inputs, out) in enumerate(pairwise(SIZES)):
        alive = inputs // 2 if index in hard else inputs
        gain = 2 ** uniform(rng, -3, 3)
        size *= gain
        weight = 2 * torch.rand(out, inputs, generator=rng) - 1
        weight[:, alive:] = LARGE * weight[:, alive:].sign()
        weight *= gain * (6 / alive) ** 0.5
        bias = 0.2 * size * randn(rng, out)
        if index + 1 in hard:
            bias[out // 2 :] = -100 * size
        if index == len(SIZES) - 2:
            bias = -(x @ weight.t()).mean(0)  # or one class would take all
        layers.append((weight, bias))
        x = (x @ weight.t() + bias).relu()
    return layers


def _is_clear(layers: Layers, x: Tensor, budget: int) -> bool:
    """Tell whether other sensible ways, which measure as well, do nearly as well.

    One keeps the largest noise small rather than the sum, two begin at 8 bits and take away.
    """
    largest = partial(cheapest, price=lambda *args: [noise**2 for noise in noise_of(*args)])
    ways = (choose_bits, largest, _from_above(by_bytes=False), _from_above(by_bytes=True))
    reached = [agreement(layers, way(layers, x, budget).tolist()) for way in ways]
    return reached[0] - min(reached) < WithinBudget.margin / 2


def _from_above(by_bytes: bool) -> Callable[[Layers, Tensor, int], Tensor]:
    """Return the answer that takes the bits away that cost least, all told or for each byte."""

    def choose(layers: Layers, x: Tensor, budget: int) -> Tensor:
        noise = {bits: noise_of(layers, x, bits) for bits in BITS}
        chosen = [8] * len(layers)

        def cost(i: int) -> float:
            more = noise[chosen[i] // 2][i] - noise[chosen[i]][i]
            return more / (layers[i][0].numel() * chosen[i]) if by_bytes else more

        while weight_bytes(layers, chosen) > budget:
            i = min((i for i, bits in enumerate(chosen) if bits > 2), key=cost)
            chosen[i] //= 2
        return torch.tensor(chosen)

    return choose


def _cases(rng: torch.Generator) -> list[Case]:
    def clear(label: str, draw: Callable[[], tuple[list[tuple[Tensor, Tensor]], int]]) -> Case:
        """Draw a network and a budget until they make a clear case."""
        while True:
            layers, budget = draw()
            args = layers, randn(rng, IMAGES, SIZES[0]), budget
            if _is_clear(*args):
                return Case(label, args)

    def case(label: str, count: int, least: float, most: float) -> Case:
        def draw() -> tuple[list[tuple[Tensor, Tensor]], int]:
            hard = (1 + torch.randperm(len(SIZES) - 2, generator=rng)[:count]).tolist()
            layers = _network(rng, hard)
            bits = uniform(rng, least, most)  # a weight, on average
            return layers, int(bits * sum(w.numel() for w, _ in layers) / 8)

        return clear(label, draw)

    def to_the_last_byte(label: str, hard: int) -> Case:
        def draw() -> tuple[list[tuple[Tensor, Tensor]], int]:
            layers = _network(rng, [hard])
            bits = [8 if index == hard else 4 for index in range(len(layers))]
            return layers, weight_bytes(layers, bits)

        return clear(label, draw)

    return [
        case("about 5.3 bits a weight", 1, 5.2, 5.5),
        to_the_last_byte("a budget to the last byte", 3),
        to_the_last_byte("to the last byte, another network", 2),
        case("about 5.1 bits a weight", 1, 5.0, 5.2),
        case("about 6.3 bits a weight", 2, 6.2, 6.5),
        case("about 6.3 bits, another network", 2, 6.2, 6.5),
        case("about 5.7 bits a weight", 2, 5.6, 5.9),
        case("about 5.7 bits, another network", 2, 5.6, 5.9),
    ]


CHOOSE_BITS = Exercise(
    id="4.11",
    title="A budget of bytes",
    points=4,
    minutes=(15, 23),
    extra=True,
    reference=choose_bits,
    cases=_cases,
    rules=(WithinBudget(),),
    hints=(
        "8 bits where they matter, few where they do not. Which of your functions tells where "
        "they matter?",
        "sensitivity(layers, x, bits) gives dB; 10 ** (-dB / 10) is the noise, relative to the "
        "signal. Noises of several layers roughly add up. How many ways are there to choose?",
        "from itertools import product: product((2, 4, 8), repeat=len(layers)) lists all ways. "
        "Drop those whose bytes, the sum of w.numel() * bits over the layers // 8, exceed the "
        "budget. Of the rest return the one with the least sum of noises, as a tensor.",
    ),
    misconceptions=MISCONCEPTIONS,
)
