"""Exercise 2.6: the divergence of two histograms."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Rule


def kl_divergence(p_counts: Tensor, q_counts: Tensor) -> float:
    """Return the Kullback-Leibler divergence of two histograms, in nats."""
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    seen = p > 0
    return float((p[seen] * torch.log(p[seen] / q[seen])).sum())


def _kl_cases(rng: torch.Generator) -> list[Case]:
    def counts(size: int) -> Tensor:
        return whole(rng, 1, 40, size).float()

    p, q, gap = counts(30), counts(30), torch.tensor([1.0, 0.0, 1.0])
    holes = torch.rand(30, generator=rng) < 0.3
    holes[7] = True
    same = counts(2)
    return [
        Case("two bins", (counts(2), counts(2))),
        Case("the same shape, twice as many", (same, 2 * same)),
        Case("p has an empty bin", (gap * counts(3), counts(3))),
        Case("q lacks what p has", (counts(2), torch.tensor([1.0, 0.0]) * counts(2))),
        Case("both have an empty bin", (gap * counts(3), gap * counts(3))),
        Case("30 bins", (p, q)),
        Case("30 bins, swapped", (q, p)),
        Case("different totals", (p, 17 * q)),
        Case("holes in p", (p.masked_fill(holes, 0), q)),
        Case("holes in q", (p, q.masked_fill(holes, 0))),
        Case("whole numbers", (counts(12).long(), counts(12).long())),
    ]


def _not_normalized(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double(), q_counts.double()
    seen = p > 0
    return float((p[seen] * torch.log(p[seen] / q[seen])).sum())


def _with_empty_bins(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    return float((p * torch.log(p / q)).sum())


def _smoothed(small: float, both: bool = True) -> Callable[[Tensor, Tensor], float]:
    """Return the wrong answer that adds `small` to q, and to p as well if `both`."""

    def wrong(p_counts: Tensor, q_counts: Tensor) -> float:
        p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
        seen = p > 0
        ratio = (p + small if both else p)[seen] / (q + small)[seen]
        return float((p[seen] * torch.log(ratio)).sum())

    return wrong


def _skips_infinite(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    both = (p > 0) & (q > 0)
    return float((p[both] * torch.log(p[both] / q[both])).sum())


def _where_q_is(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    seen = q > 0
    return float((p[seen] * torch.log(p[seen] / q[seen])).sum())


def _one_total(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / p_counts.sum()
    seen = p > 0
    return float((p[seen] * torch.log(p[seen] / q[seen])).sum())


def _mean(p_counts: Tensor, q_counts: Tensor) -> float:
    return kl_divergence(p_counts, q_counts) / int((p_counts > 0).sum())


def _cross_entropy(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    return -float((p[p > 0] * torch.log(q[p > 0])).sum())


def _both_ways(p_counts: Tensor, q_counts: Tensor) -> float:
    return (kl_divergence(p_counts, q_counts) + kl_divergence(q_counts, p_counts)) / 2


def _weighed_with_q(p_counts: Tensor, q_counts: Tensor) -> float:
    p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
    seen = p > 0
    return float((q[seen] * torch.log(p[seen] / q[seen])).sum())


KL_DIVERGENCE = Exercise(
    id="2.6",
    title="The divergence of two histograms",
    points=2,
    minutes=(6, 9),
    extra=True,
    reference=kl_divergence,
    cases=_kl_cases,
    rules=(Rule(relative=1e-4, absolute=1e-6),),
    hints=(
        "Counts are not probabilities yet. What must each histogram add up to?",
        "Divide each by its sum. An empty bin of p adds nothing, although its logarithm does not "
        "exist: leave those bins out before you take it.",
        "p = p_counts / p_counts.sum(), q likewise; seen = p > 0; return (p[seen] * "
        "torch.log(p[seen] / q[seen])).sum().item(). Where q is 0 there, torch gives inf by "
        "itself.",
    ),
    misconceptions=(
        Misconception(
            "does not make probabilities of the counts",
            _not_normalized,
            "Twice as many values of the same kind must give 0. Divide each histogram by its sum.",
        ),
        Misconception(
            "swaps p and q",
            lambda p_counts, q_counts: kl_divergence(q_counts, p_counts),
            "The divergence is no distance: the weights in front of the logarithm are p's.",
        ),
        Misconception(
            "uses the logarithm to base 2",
            lambda p_counts, q_counts: kl_divergence(p_counts, q_counts) / math.log(2),
            "That is in bits. This exercise asks for nats: torch.log.",
        ),
        Misconception(
            "takes the logarithm of empty bins, too",
            _with_empty_bins,
            "Where p is 0 that gives 0 * log(0), which is NaN, and NaN spoils the sum. Leave those "
            "bins out before you take the logarithm: they add nothing.",
        ),
        Misconception(
            "takes the logarithm of Q / P",
            lambda p_counts, q_counts: -kl_divergence(p_counts, q_counts),
            "A divergence is never below 0. P stands above the fraction bar: log(P / Q).",
        ),
        Misconception(
            "uses the logarithm to base 10",
            lambda p_counts, q_counts: kl_divergence(p_counts, q_counts) / math.log(10),
            "Nats belong to the natural logarithm: torch.log.",
        ),
        *(
            Misconception(
                "adds a small number to keep the logarithm finite",
                _smoothed(small, both),
                "Where q says that what p has never happens, the divergence is infinite. Leave out "
                "the bins where p is 0, and let the others be.",
            )
            for small in (1e-12, 1e-10, 1e-9, 1e-8, 1e-6)
            for both in (True, False)
        ),
        Misconception(
            "leaves out the bins where q is 0, instead of those where p is",
            _where_q_is,
            "An empty bin of p adds nothing and gives NaN: leave it out. An empty bin of q where p "
            "has values makes the result inf.",
        ),
        Misconception(
            "divides both histograms by the total of p",
            _one_total,
            "Each is divided by its own sum: q_counts / q_counts.sum().",
        ),
        Misconception(
            "leaves out the bins where q is 0",
            _skips_infinite,
            "Those are the worst errors: p has values where q says there are none. The result is "
            "inf.",
        ),
        Misconception(
            "takes the mean over the bins",
            _mean,
            "p already weighs the bins: sum them up.",
        ),
        Misconception(
            "leaves P's own entropy out",
            _cross_entropy,
            "-sum p log q is the cross-entropy. The divergence is sum p log (p / q): it is 0 for "
            "equal histograms.",
        ),
        Misconception(
            "averages both directions",
            _both_ways,
            "Only P's direction is asked: the sum of p log (p / q).",
        ),
        Misconception(
            "weighs the logarithm with Q",
            _weighed_with_q,
            "The weight in front of log (p / q) is p. In F.kl_div(input, target) the target is P, "
            "and the input is log Q.",
        ),
    ),
)
