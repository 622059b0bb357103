"""Exercise 7.13: bytes or operations."""

from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Rule


def predicted_seconds(
    tokens: int, weights: int, bits: float, bandwidth: float, throughput: float
) -> float:
    """Return the seconds of a matrix product: those of its bytes or of its operations."""
    return max(_reading(weights, bits, bandwidth), _multiplying(tokens, weights, throughput))


def _reading(weights: int, bits: float, bandwidth: float) -> float:
    return weights * bits / 8 / bandwidth


def _multiplying(tokens: int, weights: int, throughput: float) -> float:
    return 2 * tokens * weights / throughput


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, tokens: int, bits: float) -> Case:
        weights = 1000 * one(rng, 500, 2000)
        machine = 1e9 * uniform(rng, 8, 12), 1e9 * uniform(rng, 40, 60)
        return Case(label, (tokens, weights, bits, *machine))

    return [
        case("decode in float32", 1, 32),
        case("decode in 4.5 bits", 1, 4.5),
        case("a few tokens", one(rng, 5, 7), 32),
        case("a prompt in float32", one(rng, 200, 600), 32),
        case("a prompt in 4.5 bits", one(rng, 200, 600), 4.5),
        case("a few tokens in 8 bits", one(rng, 10, 20), 8),
    ]


def _with(
    reading: Callable[..., float] = _reading,
    multiplying: Callable[..., float] = _multiplying,
    both: Callable[[float, float], float] = max,
) -> Callable[..., float]:
    return lambda tokens, weights, bits, bandwidth, throughput: both(
        reading(weights, bits, bandwidth), multiplying(tokens, weights, throughput)
    )


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
            _with(both=lambda a, b: a + b),
            "Reading and multiplying go on at the same time: the longer of the two decides.",
        ),
        Misconception(
            "takes the shorter of the two",
            _with(both=min),
            "Both have to be finished: the longer of the two decides.",
        ),
        Misconception(
            "forgets the additions",
            _with(multiplying=lambda tokens, weights, speed: tokens * weights / speed),
            "A multiplication and an addition for each weight and token: two operations.",
        ),
        Misconception(
            "takes bits for bytes",
            _with(reading=lambda weights, bits, bandwidth: weights * bits / bandwidth),
            "The bandwidth is in bytes a second: bits / 8.",
        ),
        Misconception(
            "reads the weights again for each token",
            lambda tokens, weights, bits, bandwidth, throughput: max(
                tokens * _reading(weights, bits, bandwidth),
                _multiplying(tokens, weights, throughput),
            ),
            "That is what makes a prompt cheap: its weights are read once for all tokens.",
        ),
        Misconception(
            "multiplies for one token only",
            _with(multiplying=lambda tokens, weights, speed: 2 * weights / speed),
            "Each token is multiplied with all weights, and with many of them that takes longer "
            "than the reading: 2 * tokens * weights operations.",
        ),
        Misconception(
            "counts fewer operations for fewer bits",
            lambda tokens, weights, bits, bandwidth, throughput: max(
                _reading(weights, bits, bandwidth),
                _multiplying(tokens, weights, throughput) * bits / 32,
            ),
            "Weights of few bits are made real again before they are multiplied: as many "
            "operations as before.",
        ),
        Misconception(
            "counts operations alone",
            lambda tokens, weights, bits, bandwidth, throughput: _multiplying(
                tokens, weights, throughput
            ),
            "With one token the reading takes longer than the multiplications.",
        ),
        Misconception(
            "divides the bits as integers",
            _with(reading=lambda weights, bits, bandwidth: weights * (bits // 8) / bandwidth),
            "bits // 8 is 0 for 4.5 bits: divide with /, or multiply by the weights first.",
        ),
    ),
    minutes=(5, 8),
    extra=True,
)
