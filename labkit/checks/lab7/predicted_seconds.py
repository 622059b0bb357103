"""Exercise 7.13: bytes or operations."""

from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Rule


def predicted_seconds(
    tokens: int, weights: int, bits: float, bandwidth: float, throughput: float
) -> float:
    """Return the seconds of a matrix product: those of its bytes or of its operations."""
    return _seconds(tokens, weights, bits, bandwidth, throughput)


def _seconds(
    tokens: int,
    weights: int,
    bits: float,
    bandwidth: float,
    throughput: float,
    *,
    size: Callable[[int, float], float] = lambda weights, bits: weights * bits / 8,
    reads: Callable[[int], int] = lambda tokens: 1,
    operations: Callable[[int, int, float], float] = lambda tokens, weights, bits: (
        2 * tokens * weights
    ),
    both: Callable[[float, float], float] = max,
) -> float:
    reading = reads(tokens) * size(weights, bits) / bandwidth
    return both(reading, operations(tokens, weights, bits) / throughput)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, tokens: int, bits: float, slower: float = 1, thousands: int | None = None
    ) -> Case:
        weights = 1000 * (thousands or one(rng, 500, 2000))
        machine = 1e9 * uniform(rng, 8, 12), 1e9 * uniform(rng, 40, 60) / slower
        return Case(label, (tokens, weights, bits, *machine))

    return [
        case("decode in float32", 1, 32),
        case("decode in 4.5 bits", 1, 4.5),
        case("a few tokens", one(rng, 5, 7), 32),
        case("a prompt in float32", one(rng, 200, 600), 32),
        case("a prompt in 4.5 bits", one(rng, 200, 600), 4.5),
        case("a few tokens in 8 bits", one(rng, 10, 20), 8),
        case("decode on a slow processor", 1, 4.5, slower=25),
        case("a few tokens, a small layer on a fast processor", 8, 16, 1 / 25, thousands=2),
    ]


def _by_tokens(
    tokens: int, weights: int, bits: float, bandwidth: float, throughput: float
) -> float:
    if tokens == 1:
        return weights * bits / 8 / bandwidth
    return 2 * tokens * weights / throughput


PREDICTED_SECONDS = Exercise(
    id="7.13",
    title="Bytes or operations",
    points=2,
    reference=predicted_seconds,
    cases=_cases,
    rules=(Rule(relative=1e-4),),
    hints=(
        "Two things have to be done: read all weights once, and multiply. Both go on at the same "
        "time.",
        "Bytes: weights * bits / 8, over the bandwidth. Operations: a multiplication and an "
        "addition for each weight and token, over the throughput. The longer of the two counts.",
        "return max(weights * bits / 8 / bandwidth, 2 * tokens * weights / throughput).",
    ),
    misconceptions=(
        Misconception(
            "adds the two",
            partial(_seconds, both=lambda a, b: a + b),
            "Reading and multiplying go on at the same time: the longer of the two decides.",
        ),
        Misconception(
            "takes the shorter of the two",
            partial(_seconds, both=min),
            "Both have to be finished: the longer of the two decides.",
        ),
        Misconception(
            "takes the mean of the two",
            partial(_seconds, both=lambda a, b: (a + b) / 2),
            "Both have to be finished: the longer of the two decides.",
        ),
        Misconception(
            "forgets the additions",
            partial(_seconds, operations=lambda tokens, weights, bits: tokens * weights),
            "A multiplication and an addition for each weight and token: two operations.",
        ),
        Misconception(
            "takes bits for bytes",
            partial(_seconds, size=lambda weights, bits: weights * bits),
            "The bandwidth is in bytes a second: bits / 8.",
        ),
        Misconception(
            "takes bytes for bits",
            partial(_seconds, size=lambda weights, bits: weights * bits * 8),
            "The bandwidth is in bytes a second, and a byte has 8 bits: bits / 8.",
        ),
        Misconception(
            "counts the scales once more",
            partial(_seconds, size=lambda weights, bits: weights * (bits + 0.5) / 8),
            "`bits` has its part of the scales already, 4.5 with 4 bits in groups of 32.",
        ),
        Misconception(
            "reads every weight in 32 bits",
            partial(_seconds, size=lambda weights, bits: weights * 4),
            "A weight of few bits is read in few bits: weights * bits / 8 bytes.",
        ),
        Misconception(
            "reads a byte for each weight",
            partial(_seconds, size=lambda weights, bits: weights),
            "A weight has bits / 8 bytes.",
        ),
        Misconception(
            "reads the weights again for each token",
            partial(_seconds, reads=lambda tokens: tokens),
            "That is what makes a prompt cheap: its weights are read once for all tokens.",
        ),
        Misconception(
            "multiplies for one token only",
            partial(_seconds, operations=lambda tokens, weights, bits: 2 * weights),
            "Each token is multiplied with all weights, and with many of them that takes longer "
            "than the reading: 2 * tokens * weights operations.",
        ),
        Misconception(
            "counts fewer operations for fewer bits",
            partial(
                _seconds,
                operations=lambda tokens, weights, bits: 2 * tokens * weights * bits / 32,
            ),
            "Weights of few bits are made real again before they are multiplied: as many "
            "operations as before.",
        ),
        Misconception(
            "counts operations on bytes",
            partial(
                _seconds,
                operations=lambda tokens, weights, bits: 2 * tokens * weights * bits / 8,
            ),
            "Operations are counted for weights, however many bytes those have: 2 * tokens * "
            "weights.",
        ),
        Misconception(
            "decides by the number of tokens",
            _by_tokens,
            "Which of the two takes longer depends on the machine and on the bits, too: max of "
            "both, whatever the tokens are.",
        ),
        Misconception(
            "counts operations alone",
            partial(_seconds, both=lambda reading, multiplying: multiplying),
            "With one token the reading takes longer than the multiplications.",
        ),
        Misconception(
            "counts the reading alone",
            partial(_seconds, both=lambda reading, multiplying: reading),
            "With many tokens the multiplications take longer than the reading.",
        ),
        Misconception(
            "divides the bits as integers",
            partial(_seconds, size=lambda weights, bits: weights * (bits // 8)),
            "bits // 8 is 0 for 4.5 bits: divide with /, or multiply by the weights first.",
        ),
        Misconception(
            "returns milliseconds",
            lambda *args: 1000 * predicted_seconds(*args),
            "Seconds are asked for: bytes over bytes a second.",
        ),
        Misconception(
            "returns tokens per second",
            lambda tokens, *rest: tokens / predicted_seconds(tokens, *rest),
            "Asked for are the seconds themselves.",
        ),
    ),
    minutes=(5, 8),
    extra=True,
)
