"""Exercise 2.5: squared error against the threshold."""

from collections.abc import Callable
from functools import partial

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
    qmax = 2 ** (bits - 1) - 1
    scale = (thresholds.double() / qmax)[:, None]
    back = (values / scale).round().clamp(-qmax, qmax) * scale
    return ((values - back) ** 2 * counts).sum(dim=1) / counts.sum()


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


def _qmax(bits: int) -> float:
    return 2 ** (bits - 1) - 1


def _to_qmax(q: Tensor, qmax: float) -> Tensor:
    return q.clamp(-qmax, qmax)


def _errors(
    values: Tensor,
    counts: Tensor,
    thresholds: Tensor,
    bits: int,
    *,
    reach: Callable[[Tensor, Tensor], Tensor] = lambda thresholds, values: thresholds,
    steps: Callable[[int], float] = _qmax,
    turn: Callable[[Tensor], Tensor] = torch.round,
    last: Callable[[int], float] = _qmax,
    limit: Callable[[Tensor, float], Tensor] = _to_qmax,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    compared: Callable[[Tensor, Tensor], Tensor] = lambda values, t: values,
    size: Callable[[Tensor], Tensor] = torch.square,
    weights: Callable[[Tensor], Tensor] = lambda counts: counts,
    total: Callable[[Tensor], Tensor | int] = torch.sum,
    given: Callable[[Tensor], Tensor] = lambda errors: errors,
) -> Tensor:
    """Return the curve, of which any part may be another one."""
    t = reach(thresholds, values).double()[:, None]
    scale = t / steps(bits)
    back_again = back(limit(turn(values / scale), last(bits)), scale)
    errors = size(compared(values, t) - back_again) * weights(counts)
    return given(errors.sum(dim=1) / total(counts))


def _clipping_only(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    t = thresholds[:, None]
    return ((values - values.clamp(-t, t)).double() ** 2 * counts).sum(dim=1) / counts.sum()


def _relative(values: Tensor, counts: Tensor, thresholds: Tensor, bits: int) -> Tensor:
    power = (values.double() ** 2 * counts).sum() / counts.sum()
    return mse_curve(values, counts, thresholds, bits) / power


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
            partial(_errors, weights=torch.ones_like, total=len),
            "A value that was seen 20 times is 20 values: weigh its squared error by 20.",
        ),
        Misconception(
            "returns the sum instead of the mean",
            partial(_errors, total=lambda counts: 1),
            "Divide by how many values there are, counts.sum().",
        ),
        Misconception(
            "divides by the number of different values",
            partial(_errors, total=len),
            "There are counts.sum() values; len(values) only says how many different ones.",
        ),
        Misconception(
            "leaves the counts out above the fraction bar",
            partial(_errors, weights=torch.ones_like),
            "A value that was seen 20 times has 20 errors: multiply its squared error by its "
            "count.",
        ),
        Misconception(
            "takes the root",
            partial(_errors, given=torch.sqrt),
            "Asked is the mean squared error itself, without a root.",
        ),
        Misconception(
            "divides the threshold by 2^(bits-1)",
            partial(
                _errors,
                steps=lambda bits: 2 ** (bits - 1),
                last=lambda bits: 2 ** (bits - 1),
                limit=lambda q, half: q.clamp(-half, half - 1),
            ),
            "The largest code is 2^(bits-1) - 1, and on the narrow range the smallest is its "
            "negative.",
        ),
        Misconception(
            "takes 2^(bits-1) for the largest code",
            partial(_errors, steps=lambda bits: 2 ** (bits - 1), last=lambda bits: 2 ** (bits - 1)),
            "The largest code is 2^(bits-1) - 1: 7 for 4 bits.",
        ),
        Misconception(
            "takes 2^bits - 1 for the largest code",
            partial(_errors, steps=lambda bits: 2**bits - 1, last=lambda bits: 2**bits - 1),
            "One of the bits is the sign: the largest code is 2^(bits-1) - 1, 7 for 4 bits.",
        ),
        Misconception(
            "clips everything below 0",
            partial(_errors, limit=lambda q, qmax: q.clamp(0, qmax)),
            "Symmetric codes go from -qmax to qmax.",
        ),
        Misconception(
            "clamps above only",
            partial(_errors, limit=lambda q, qmax: q.clamp(max=qmax)),
            "Clamp on both sides: the codes go from -qmax to qmax.",
        ),
        Misconception(
            "rounds down",
            partial(_errors, turn=torch.floor),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "cuts off decimals",
            partial(_errors, turn=torch.trunc),
            "A code is the nearest integer: torch.round. Converting to integers cuts off.",
        ),
        Misconception(
            "compares the values with codes",
            partial(_errors, back=lambda q, scale: q),
            "A code counts steps. What comes back is the code times the scale.",
        ),
        Misconception(
            "uses one code more below 0 than above",
            partial(_errors, limit=lambda q, qmax: q.clamp(-qmax - 1, qmax)),
            "The range is narrow: from -qmax to qmax, so that it clips at the threshold on both "
            "sides.",
        ),
        Misconception(
            "does not clamp",
            partial(_errors, limit=lambda q, qmax: q),
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
            partial(_errors, size=torch.abs),
            "Square the differences before you average them.",
        ),
        Misconception(
            "spreads the whole width over 2^bits - 1 steps",
            partial(_errors, steps=lambda bits: (2**bits - 1) / 2),
            "From -t to t on the narrow range there are 2^bits - 2 steps: scale = t / qmax with "
            "qmax = 2^(bits-1) - 1.",
        ),
        Misconception(
            "leaves clipping out",
            partial(_errors, compared=lambda values, t: values.clamp(-t, t)),
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
            partial(
                _errors,
                steps=lambda bits: 2**bits - 1,
                last=lambda bits: 2**bits - 1,
                limit=lambda q, qmax: q.clamp(0, qmax),
            ),
            "The codes are symmetric: from -qmax to qmax, with qmax = 2^(bits-1) - 1.",
        ),
        Misconception(
            "squares the counts as well",
            partial(_errors, weights=torch.square),
            "Square the error alone, then weigh it: counts * error ** 2.",
        ),
        Misconception(
            "takes the scale from the largest value, whatever the threshold",
            partial(
                _errors,
                reach=lambda thresholds, values: torch.full_like(
                    thresholds, float(values.abs().max())
                ),
            ),
            "Each threshold has a scale of its own: threshold / qmax.",
        ),
        Misconception(
            "divides by 2^(bits-1)",
            partial(_errors, steps=lambda bits: 2 ** (bits - 1)),
            "The threshold lands on the largest code: scale = threshold / qmax with qmax = "
            "2^(bits-1) - 1.",
        ),
        Misconception(
            "divides by 2^bits - 1",
            partial(_errors, steps=lambda bits: 2**bits - 1),
            "From 0 to the threshold there are qmax steps: scale = threshold / qmax with qmax = "
            "2^(bits-1) - 1.",
        ),
        Misconception(
            "rounds up",
            partial(_errors, turn=torch.ceil),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "divides the codes by the scale",
            partial(_errors, back=torch.div),
            "A code counts steps of length scale: multiply to come back.",
        ),
        Misconception(
            "clamps below only",
            partial(_errors, limit=lambda q, qmax: q.clamp(min=-qmax)),
            "Clamp on both sides: the codes go from -qmax to qmax.",
        ),
        Misconception(
            "does not square",
            partial(_errors, size=torch.clone),
            "Errors of both signs cancel: square each difference before you add it up.",
        ),
        Misconception(
            "takes the decibels",
            partial(_errors, given=lambda errors: 10 * errors.log10()),
            "Asked is the mean squared error itself, without a logarithm.",
        ),
        Misconception(
            "divides by the largest error",
            partial(_errors, given=lambda errors: errors / errors.max()),
            "Asked is the mean squared error itself: only counts.sum() divides it.",
        ),
        Misconception(
            "adds up over the thresholds",
            partial(_errors, given=torch.sum),
            "Each threshold has an error of its own: sum over the values, dim=1, alone.",
        ),
    ),
)
