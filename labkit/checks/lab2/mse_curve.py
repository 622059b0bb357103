"""Exercise 2.5: squared error against the threshold."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, whole
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule


def mse_curve(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    """Return the mean squared error of symmetric codes for each clipping threshold.

    `values` may be negative: both ends are clamped.
    """
    return _curve(values, counts.double() / counts.sum(), thresholds, 2 ** (bits - 1) - 1)


def _curve(values: Tensor, weights: Tensor, thresholds: Tensor, qmax: int) -> Tensor:
    scale = (thresholds.double() / qmax)[:, None]
    back = (values / scale).round().clamp(-qmax, qmax) * scale
    return ((values - back) ** 2 * weights).sum(dim=1)


def _mse_cases(rng: torch.Generator) -> list[Case]:
    few, ones = short(rng, 0.2, 1.2, 3) * torch.tensor([-1.0, 1, 1]), torch.ones(3).long()
    normal, counts = randn(rng, 60), whole(rng, 1, 50, 60)
    tail = torch.cat([normal[:20], -short(rng, 8.0, 9.0, 1), short(rng, 15.0, 17.0, 1)])
    rare = torch.cat([counts[:20], torch.tensor([2, 1])])
    one, two = short(rng, 0.4, 0.8, 1), short(rng, 0.3, 1.0, 2)
    return [
        Case("one threshold, each value once", (few, ones, one, 3)),
        Case("nothing is clipped", (few, ones, 1 + one, 4)),
        Case("counts that differ", (few, whole(rng, 1, 20, 3), two, 3)),
        Case("a count of 0", (few, whole(rng, 1, 9, 3) * torch.tensor([1, 0, 1]), two, 4)),
        Case("60 values, each once", (normal, torch.ones_like(counts), torch.tensor([1.0, 3]), 4)),
        Case("60 values and their counts", (normal, counts, torch.linspace(0.5, 4.0, 8), 4)),
        Case("outliers", (tail, rare, torch.linspace(1.0, 17.0, 9), 5)),
        Case("after a ReLU", (normal.relu(), counts, torch.linspace(0.3, 3.0, 5), 4)),
        Case("2 bits", (normal, counts, torch.linspace(0.3, 3.0, 5), 2)),
        Case("8 bits", (normal, counts, torch.linspace(1.0, 4.0, 5), 8)),
    ]


def _sum(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    return _curve(values, counts.double(), thresholds, 2 ** (bits - 1) - 1)


def _each_once(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    return mse_curve(values, torch.ones_like(counts), thresholds, bits)


def _per_bucket(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    weights = counts.double() / len(counts)
    return _curve(values, weights, thresholds, 2 ** (bits - 1) - 1)


def _divided_only(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    return mse_curve(values, torch.ones_like(counts), thresholds, bits) * len(counts) / counts.sum()


def _root(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    return mse_curve(values, counts, thresholds, bits).sqrt()


def _with_codes(
    qmax_of: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    clamp: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    rounded: Callable[[Tensor], Tensor] = torch.round,
    scaled: bool = True,
) -> Callable[..., Tensor]:
    """Return the wrong answer with other codes, or whose codes are not scaled back."""

    def wrong(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
        qmax = qmax_of(bits)
        scale = (thresholds.double() / qmax)[:, None]
        q = clamp(rounded(values / scale), qmax)
        errors = (values - (q * scale if scaled else q)) ** 2
        return (errors * counts).sum(dim=1) / counts.sum()

    return wrong


def _clipping_only(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    t = thresholds[:, None]
    return ((values - values.clamp(-t, t)).double() ** 2 * counts).sum(dim=1) / counts.sum()


def _absolute(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    qmax = 2 ** (bits - 1) - 1
    scale = (thresholds.double() / qmax)[:, None]
    back = (values / scale).round().clamp(-qmax, qmax) * scale
    return ((values - back).abs() * counts).sum(dim=1) / counts.sum()


def _with_steps(steps_of: Callable[[int], float]) -> Callable[..., Tensor]:
    """Return the wrong answer whose threshold is ``steps_of(bits)`` steps away from 0."""

    def wrong(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
        qmax = 2 ** (bits - 1) - 1
        scale = (thresholds.double() / steps_of(bits))[:, None]
        back = (values / scale).round().clamp(-qmax, qmax) * scale
        return ((values - back) ** 2 * counts).sum(dim=1) / counts.sum()

    return wrong


def _rounding_only(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    t = thresholds.double()[:, None]
    clipped, scale = values.clamp(-t, t), t / (2 ** (bits - 1) - 1)
    return ((clipped - (clipped / scale).round() * scale) ** 2 * counts).sum(dim=1) / counts.sum()


def _relative(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    power = (values.double() ** 2 * counts).sum() / counts.sum()
    return mse_curve(values, counts, thresholds, bits) / power


def _squared_counts(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    return mse_curve(values, counts**2, thresholds, bits) * (counts**2).sum() / counts.sum()


MSE_CURVE = Exercise(
    id="2.5",
    title="Squared error against the threshold",
    points=3,
    minutes=(10, 15),
    reference=mse_curve,
    cases=_mse_cases,
    rules=(Rule(relative=1e-3, absolute=1e-9),),
    hints=(
        "Take a single threshold first. How long is one step if the largest code, qmax, stands "
        "for the threshold?",
        "scale = threshold / qmax with qmax = 2**(bits - 1) - 1; round, clamp to [-qmax, qmax], "
        "multiply by scale: that is what comes back. A value that was seen 20 times counts 20 "
        "times in the mean.",
        "back = (values / scale).round().clamp(-qmax, qmax) * scale; error = (counts * (values - "
        "back)**2).sum() / counts.sum(). Do that for every threshold and put the errors together "
        "with torch.stack.",
    ),
    misconceptions=(
        Misconception(
            "ignores the counts",
            _each_once,
            "A value that was seen 20 times is 20 values: weigh its squared error by 20.",
        ),
        Misconception(
            "returns the sum instead of the mean",
            _sum,
            "Divide by how many values there are, counts.sum().",
        ),
        Misconception(
            "divides by the number of different values",
            _per_bucket,
            "There are counts.sum() values; len(values) only says how many different ones.",
        ),
        Misconception(
            "leaves the counts out above the fraction bar",
            _divided_only,
            "A value that was seen 20 times has 20 errors: multiply its squared error by its "
            "count.",
        ),
        Misconception(
            "takes the root",
            _root,
            "Asked is the mean squared error itself, without a root.",
        ),
        Misconception(
            "divides the threshold by 2^(bits-1)",
            _with_codes(lambda bits: 2 ** (bits - 1), lambda q, half: q.clamp(-half, half - 1)),
            "The largest code is 2^(bits-1) - 1, and on the narrow range the smallest is its "
            "negative.",
        ),
        Misconception(
            "takes 2^(bits-1) for the largest code",
            _with_codes(lambda bits: 2 ** (bits - 1)),
            "The largest code is 2^(bits-1) - 1: 7 for 4 bits.",
        ),
        Misconception(
            "takes 2^bits - 1 for the largest code",
            _with_codes(lambda bits: 2**bits - 1),
            "One of the bits is the sign: the largest code is 2^(bits-1) - 1, 7 for 4 bits.",
        ),
        Misconception(
            "clips everything below 0",
            _with_codes(clamp=lambda q, qmax: q.clamp(0, qmax)),
            "Symmetric codes go from -qmax to qmax.",
        ),
        Misconception(
            "clamps above only",
            _with_codes(clamp=lambda q, qmax: q.clamp(max=qmax)),
            "Clamp on both sides: the codes go from -qmax to qmax.",
        ),
        Misconception(
            "rounds down",
            _with_codes(rounded=torch.floor),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "cuts off decimals",
            _with_codes(rounded=torch.trunc),
            "A code is the nearest integer: torch.round. Converting to integers cuts off.",
        ),
        Misconception(
            "compares the values with codes",
            _with_codes(scaled=False),
            "A code counts steps. What comes back is the code times the scale.",
        ),
        Misconception(
            "uses one code more below 0 than above",
            _with_codes(clamp=lambda q, qmax: q.clamp(-qmax - 1, qmax)),
            "The range is narrow: from -qmax to qmax, so that it clips at the threshold on both "
            "sides.",
        ),
        Misconception(
            "does not clamp",
            _with_codes(clamp=lambda q, qmax: q),
            "Then nothing is ever clipped and small thresholds look best. The codes end at -qmax "
            "and qmax.",
        ),
        Misconception(
            "measures clipping only",
            _clipping_only,
            "Values inside the range are rounded to whole steps: that error counts as well.",
        ),
        Misconception(
            "takes absolute errors",
            _absolute,
            "Square the differences before you average them.",
        ),
        Misconception(
            "spreads the whole width over 2^bits - 1 steps",
            _with_steps(lambda bits: (2**bits - 1) / 2),
            "From -t to t on the narrow range there are 2^bits - 2 steps: scale = t / qmax with "
            "qmax = 2^(bits-1) - 1.",
        ),
        Misconception(
            "leaves clipping out",
            _rounding_only,
            "The error is between the value itself and what comes back. Compare with `values`, not "
            "with the clipped ones.",
        ),
        Misconception(
            "takes the error relative to the power of the signal",
            _relative,
            "Asked is the mean squared error itself: divide by counts.sum(), not by the power of "
            "the values.",
        ),
        Misconception(
            "uses unsigned codes",
            _with_codes(lambda bits: 2**bits - 1, lambda q, qmax: q.clamp(0, qmax)),
            "The codes are symmetric: from -qmax to qmax, with qmax = 2^(bits-1) - 1.",
        ),
        Misconception(
            "squares the counts as well",
            _squared_counts,
            "Square the error alone, then weigh it: counts * error ** 2.",
        ),
        Misconception(
            "takes the scale from the largest value, whatever the threshold",
            lambda values, counts, thresholds, bits: mse_curve(
                values, counts, torch.full_like(thresholds, float(values.abs().max())), bits
            ),
            "Each threshold has a scale of its own: threshold / qmax.",
        ),
    ),
)
