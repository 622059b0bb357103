"""Exercise 2.3: a histogram that needs no range."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, whole
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Codes


def bucket_counts(batches: list[Tensor], bits: int) -> Tensor:
    """Return how many values of all batches lie in each bucket: the upper `bits` of a float32."""
    counts = torch.zeros(2**bits, dtype=torch.int64)
    for x in batches:
        counts += torch.bincount(_buckets(x, bits), minlength=2**bits)
    return counts


def _buckets(x: Tensor, bits: int) -> Tensor:
    pattern = x.contiguous().view(torch.int32).flatten().to(torch.int64)
    return pattern >> (32 - bits) & (2**bits - 1)


def _bucket_cases(rng: torch.Generator) -> list[Case]:
    normal = [randn(rng, 40), 3 * randn(rng, 5, 8)]
    sizes = torch.tensor([1e-30, 1e-3, 1.0, 1e3, 1e30]) * (1 + torch.rand(5, generator=rng))
    a, b, c = short(rng, 1.0, 1.9, 3) * torch.tensor([1.0, 2.0, 4.0])
    octave = 2.0 ** int(whole(rng, -3, 3))
    infinite = torch.tensor([torch.inf, -torch.inf])
    return [
        Case("one value", ([b.reshape(1)], 10)),
        Case("the same bucket three times", ([octave * torch.tensor([2.0, 2.001, 2.0])], 10)),
        Case("negative values", ([torch.stack([-a, b, -c])], 10)),
        Case("0 and -0", ([torch.stack([b, 0 * b, -0.0 * b])], 10)),
        Case("values just below a bucket's end", ([octave * torch.tensor([1.999, -0.9999])], 11)),
        Case("two batches", ([torch.stack([a, c]), a.reshape(1)], 10)),
        Case("tiny and huge values", ([sizes, -sizes, infinite], 12)),
        Case("zeros, as after a ReLU", ([x.relu() for x in normal], 12)),
        Case("random batches of two shapes", (normal, 12)),
        Case("16 bits", (normal, 16)),
        Case("many values in one batch", ([randn(rng, 3000)], 11)),
        Case("70,000 times the same value", ([b.expand(200, 350).clone()], 10)),
    ]


def _small_counters(dtype: torch.dtype) -> Callable[[list[Tensor], int], Tensor]:
    return lambda batches, bits: bucket_counts(batches, bits).to(dtype)


def _last_batch(batches: list[Tensor], bits: int) -> Tensor:
    return bucket_counts(batches[-1:], bits)


def _each_bucket_once(batches: list[Tensor], bits: int) -> Tensor:
    counts = torch.zeros(2**bits, dtype=torch.int64)
    for x in batches:
        counts[_buckets(x, bits)] += 1
    return counts


def _lower_bits(batches: list[Tensor], bits: int) -> Tensor:
    patterns = torch.cat([_buckets(x, 32) for x in batches])
    return torch.bincount(patterns & (2**bits - 1), minlength=2**bits)


def _rounded(batches: list[Tensor], bits: int) -> Tensor:
    half = 1 << (31 - bits)
    patterns = torch.cat([_buckets(x, 32) for x in batches])
    return torch.bincount((patterns + half >> (32 - bits)) & (2**bits - 1), minlength=2**bits)


def _integers(batches: list[Tensor], bits: int) -> Tensor:
    whole = torch.cat([x.flatten() for x in batches]).clamp(-(2.0**31), 2.0**31 - 1)
    buckets = whole.to(torch.int64) >> (32 - bits) & (2**bits - 1)
    return torch.bincount(buckets, minlength=2**bits)


def _shifted_by(places: Callable[[int], int]) -> Callable[[list[Tensor], int], Tensor]:
    """Return the wrong answer that shifts the pattern by ``places(bits)``."""

    def wrong(batches: list[Tensor], bits: int) -> Tensor:
        patterns = torch.cat([x.contiguous().view(torch.int32).flatten() for x in batches])
        return torch.bincount(patterns >> places(bits) & (2**bits - 1), minlength=2**bits)

    return wrong


def _sign_of_value(batches: list[Tensor], bits: int) -> Tensor:
    return bucket_counts([torch.where(x < 0, x, x.abs()) for x in batches], bits)


BUCKET_COUNTS = Exercise(
    id="2.3",
    title="A histogram without a range",
    points=3,
    minutes=(10, 15),
    reference=bucket_counts,
    cases=_bucket_cases,
    rules=(Codes(),),
    hints=(
        "x.view(torch.int32) shows the bits of a float32 tensor as integers, as in lab 0. Which "
        "operation keeps the upper ones only?",
        "Shift right by 32 - bits. The sign bit fills up from the left, so keep the lowest `bits` "
        "of what comes out: & (2**bits - 1). torch.bincount counts whole numbers.",
        "buckets = (x.view(torch.int32) >> (32 - bits)) & (2**bits - 1); counts += "
        "torch.bincount(buckets.flatten(), minlength=2**bits), for every batch, with counts "
        "starting as torch.zeros(2**bits, dtype=torch.int64).",
    ),
    misconceptions=(
        Misconception(
            "counts the last batch only",
            _last_batch,
            "The histogram of a stream is the sum over its batches: counts += ...",
        ),
        Misconception(
            "counts a bucket once, however many values fall into it",
            _each_bucket_once,
            "counts[buckets] += 1 adds 1 to each bucket named, once. torch.bincount counts every "
            "mention.",
        ),
        *(
            Misconception(
                f"counts in {str(dtype).removeprefix('torch.')}",
                _small_counters(dtype),
                "A layer puts out millions of values, and many are 0: such a counter wraps. "
                "Start from torch.zeros(2**bits, dtype=torch.int64).",
            )
            for dtype in (torch.int16, torch.uint8, torch.int8)
        ),
        Misconception(
            "takes the lower bits",
            _lower_bits,
            "Those are the last digits of the mantissa. Sign, exponent and the first digits are "
            "the upper bits: shift right by 32 - bits.",
        ),
        Misconception(
            "shifts by `bits`",
            _shifted_by(lambda bits: bits),
            "bits are to be left, so 32 - bits must go: shift by 32 - bits.",
        ),
        Misconception(
            "shifts by 20, however many bits are asked for",
            _shifted_by(lambda bits: 20),
            "20 is right for 12 bits. In general it is 32 - bits.",
        ),
        Misconception(
            "counts the first batch only",
            lambda batches, bits: bucket_counts(batches[:1], bits),
            "The loop must reach every batch: look at where your `return` stands.",
        ),
        Misconception(
            "asks for the sign with x < 0",
            _sign_of_value,
            "-0.0 is not below 0, and its sign bit is set. Take the bit from the pattern.",
        ),
        Misconception(
            "loses the sign",
            lambda batches, bits: bucket_counts([x.abs() for x in batches], bits),
            "Negative values have buckets of their own, the upper half of them all.",
        ),
        Misconception(
            "rounds to the nearest bucket",
            _rounded,
            "A bucket holds the values whose upper bits agree: shift, do not round. (Converting "
            "to bfloat16 rounds.)",
        ),
        Misconception(
            "converts the values to integers",
            _integers,
            "x.to(torch.int32) cuts the decimals off. x.view(torch.int32) reads the same bits as "
            "another type.",
        ),
        Misconception(
            "puts negative values before positive ones",
            lambda batches, bits: bucket_counts(batches, bits).roll(2 ** (bits - 1)),
            "The buckets follow the pattern, sign bit first: it is 1 for negative values, so that "
            "they come behind the positive ones. A shift fills up from the left: mask with 2**bits "
            "- 1, add nothing.",
        ),
        Misconception(
            "ends the result at the highest bucket that occurs",
            lambda batches, bits: torch.bincount(torch.cat([_buckets(x, bits) for x in batches])),
            "torch.bincount stops at the largest number it meets: with minlength=2**bits every "
            "bucket has its place.",
        ),
        Misconception(
            "gives shares instead of counts",
            lambda batches, bits: bucket_counts(batches, bits) / bucket_counts(batches, bits).sum(),
            "Counts of two streams can be added, shares cannot: leave them undivided.",
        ),
    ),
)
