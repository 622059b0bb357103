"""Exercise 8.11: what a layer takes on a chip, and what it waits for."""

import math
from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Rule

Two = tuple[float, bool]


def layer_time(
    macs: int, weight_bytes: int, cycles_per_mac: float, bytes_per_cycle: float, hertz: float
) -> Two:
    """Return the milliseconds that a layer takes, and whether the memory takes longer."""
    return _waited(macs, weight_bytes, cycles_per_mac, bytes_per_cycle, hertz)


def _waited(
    macs: int,
    weight_bytes: int,
    cycles_per_mac: float,
    bytes_per_cycle: float,
    hertz: float,
    *,
    multiplied: Callable[[int, float], float] = lambda macs, cycles: macs * cycles,
    brought: Callable[[int, float], float] = lambda size, rate: size / rate,
    total: Callable[[float, float], float] = max,
    milliseconds: Callable[[float, float], float] = lambda cycles, hertz: 1000 * cycles / hertz,
    bound: Callable[[float, float], bool] = lambda compute, memory: memory > compute,
) -> Two:
    compute = multiplied(macs, cycles_per_mac)
    memory = brought(weight_bytes, bytes_per_cycle)
    return milliseconds(total(compute, memory), hertz), bound(compute, memory)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, macs: int, weight_bytes: int, bytes_per_cycle: float) -> Case:
        hertz = float(one(rng, 80, 300) * 1_000_000)
        chip = uniform(rng, 1.2, 2.2), round(bytes_per_cycle * uniform(rng, 0.9, 1.1), 4), hertz
        return Case(label, (macs + one(rng, 1, 99), weight_bytes + one(rng, 1, 99), *chip))

    return [
        case("a convolution", 7_000_000, 9_000, 2.5),
        case("a linear layer, weights in the chip's flash", 60_000, 60_000, 2.5),
        case("a linear layer, weights in a slow memory", 60_000, 60_000, 0.25),
        case("the same, in four bits", 60_000, 30_000, 0.25),
        case("a small layer", 900, 300, 0.3),
        Case("a tiny layer", (10, one(rng, 5, 7), uniform(rng, 1.2, 2.2), 0.16, 120e6)),
        case("a large layer, a very slow memory", 900_000, 2_000_000, 0.08),
        Case("both take equally long", (600, 450, 1.5, 0.5, 120e6)),
    ]


LAYER_TIME = Exercise(
    id="8.11",
    title="What a layer waits for",
    points=2,
    reference=layer_time,
    cases=_cases,
    rules=(Rule(relative=1e-4), Rule()),
    names=("milliseconds", "memory_bound"),
    hints=(
        "Two clocks run at the same time: the processor multiplies, and the memory brings weights. "
        "The layer takes as long as the slower of the two.",
        "Cycles of the processor: macs * cycles_per_mac. Cycles of the memory: weight_bytes / "
        "bytes_per_cycle. A second has hertz cycles, and 1,000 milliseconds.",
        "compute = macs * cycles_per_mac; memory = weight_bytes / bytes_per_cycle; return 1000 * "
        "max(compute, memory) / hertz, memory > compute.",
    ),
    misconceptions=(
        Misconception(
            "adds both times",
            partial(_waited, total=lambda compute, memory: compute + memory),
            "The flash brings the next weights while the processor multiplies: the slower one "
            "counts, not the sum.",
        ),
        Misconception(
            "takes the mean of both times",
            partial(_waited, total=lambda compute, memory: (compute + memory) / 2),
            "Both run at the same time, and the layer ends when the slower one does: max.",
        ),
        Misconception(
            "takes the faster one",
            partial(_waited, total=min),
            "One has to wait for the other: the slower one counts.",
        ),
        Misconception(
            "takes the processor's time alone",
            partial(_waited, total=lambda compute, memory: compute),
            "If the weights come more slowly than they are multiplied, the processor waits.",
        ),
        Misconception(
            "returns seconds",
            partial(_waited, milliseconds=lambda cycles, hertz: cycles / hertz),
            "Milliseconds are asked for: cycles / hertz are seconds, times 1,000.",
        ),
        Misconception(
            "multiplies bytes by bytes per cycle",
            partial(_waited, brought=lambda size, rate: size * rate),
            "At 2 bytes a cycle, 100 bytes take 50 cycles: divide.",
        ),
        Misconception(
            "divides by the cycles of a multiply-add",
            partial(_waited, multiplied=lambda macs, cycles: macs / cycles),
            "Each multiply-add takes that many cycles: multiply.",
        ),
        Misconception(
            "says the opposite of what it waits for",
            partial(_waited, bound=lambda compute, memory: compute >= memory),
            "memory_bound is True if the memory takes longer than the processor.",
        ),
        Misconception(
            "takes bytes for bits",
            partial(_waited, brought=lambda size, rate: size / 8 / rate),
            "weight_bytes are bytes already, and the memory brings bytes: no 8.",
        ),
        Misconception(
            "lets the layer wait for a memory that is as fast as the processor",
            partial(_waited, bound=lambda compute, memory: memory >= compute),
            "If both take equally long, nobody waits: memory > compute, without the equals sign.",
        ),
        Misconception(
            "takes the memory's time alone",
            partial(_waited, total=lambda compute, memory: memory),
            "If the weights are multiplied more slowly than they come, the memory waits: the "
            "slower one counts.",
        ),
        Misconception(
            "returns microseconds",
            partial(_waited, milliseconds=lambda cycles, hertz: 1e6 * cycles / hertz),
            "Milliseconds are asked for: cycles / hertz are seconds, times 1,000.",
        ),
        Misconception(
            "returns cycles",
            partial(_waited, milliseconds=lambda cycles, hertz: cycles),
            "A second has hertz cycles: cycles / hertz, times 1,000 for milliseconds.",
        ),
        Misconception(
            "multiplies by the clock",
            partial(_waited, milliseconds=lambda cycles, hertz: 1000 * cycles * hertz),
            "A second has hertz cycles: divide by hertz.",
        ),
        Misconception(
            "counts two operations for a multiply-add",
            partial(_waited, multiplied=lambda macs, cycles: 2 * macs * cycles),
            "cycles_per_mac are those of a multiplication and its addition together: no 2.",
        ),
        Misconception(
            "takes bytes for bits",
            partial(_waited, brought=lambda size, rate: 8 * size / rate),
            "weight_bytes are bytes already, and the memory brings bytes: no 8.",
        ),
        Misconception(
            "rounds to whole cycles",
            partial(
                _waited,
                multiplied=lambda macs, cycles: math.ceil(macs * cycles),
                brought=lambda size, rate: math.ceil(size / rate),
            ),
            "(10) has parts of cycles as well: nothing is rounded.",
        ),
        Misconception(
            "drops parts of cycles",
            partial(_waited, brought=lambda size, rate: size // rate),
            "(10) has parts of cycles as well: divide with /, not //.",
        ),
        Misconception(
            "rounds to whole milliseconds",
            partial(_waited, milliseconds=lambda cycles, hertz: 1000 * cycles // hertz),
            "A layer may take a part of a millisecond: divide with /, not //.",
        ),
        Misconception(
            "compares multiply-adds with bytes",
            lambda macs, size, *rest: (layer_time(macs, size, *rest)[0], size > macs),
            "Times are compared: the cycles of the processor with those of the memory.",
        ),
    ),
    minutes=(5, 9),
    extra=True,
)
