"""Exercise 2.6: the divergence of two histograms."""

from collections.abc import Callable
from functools import partial

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


def _shares(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return p / p.sum(), q / q.sum()


def _diverged(
    p_counts: Tensor,
    q_counts: Tensor,
    *,
    shares: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _shares,
    kept: Callable[[Tensor, Tensor], Tensor] = lambda p, q: p > 0,
    weight: Callable[[Tensor, Tensor], Tensor] = lambda p, q: p,
    log: Callable[[Tensor, Tensor], Tensor] = lambda p, q: torch.log(p / q),
    term: Callable[[Tensor], Tensor] = lambda terms: terms,
    joined: Callable[[Tensor, Tensor], Tensor] = lambda terms, p: terms.sum(),
) -> float:
    """Return the sum of p log (p / q), of which any part may be another one."""
    p, q = shares(p_counts.double(), q_counts.double())
    here = kept(p, q)
    return float(joined(term((weight(p, q) * log(p, q))[here]), p))


def _all_bins(p: Tensor, q: Tensor) -> Tensor:
    return torch.ones_like(p, dtype=torch.bool)


def _smoothed(small: float, both: bool = True) -> Callable[[Tensor, Tensor], float]:
    """Return the wrong answer that adds `small` to q, and to p as well if `both`."""

    def wrong(p_counts: Tensor, q_counts: Tensor) -> float:
        p, q = p_counts.double() / p_counts.sum(), q_counts.double() / q_counts.sum()
        seen = p > 0
        ratio = (p + small if both else p)[seen] / (q + small)[seen]
        return float((p[seen] * torch.log(ratio)).sum())

    return wrong


def _both_ways(p_counts: Tensor, q_counts: Tensor) -> float:
    return (kl_divergence(p_counts, q_counts) + kl_divergence(q_counts, p_counts)) / 2


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
            partial(_diverged, shares=lambda p, q: (p, q)),
            "Twice as many values of the same kind must give 0. Divide each histogram by its sum.",
        ),
        Misconception(
            "swaps p and q",
            lambda p_counts, q_counts: kl_divergence(q_counts, p_counts),
            "The divergence is no distance: the weights in front of the logarithm are p's.",
        ),
        Misconception(
            "uses the logarithm to base 2",
            partial(_diverged, log=lambda p, q: torch.log2(p / q)),
            "That is in bits. This exercise asks for nats: torch.log.",
        ),
        Misconception(
            "takes the logarithm of empty bins, too",
            partial(_diverged, kept=_all_bins),
            "Where p is 0 that gives 0 * log(0), which is NaN, and NaN spoils the sum. Leave those "
            "bins out before you take the logarithm: they add nothing.",
        ),
        Misconception(
            "takes the logarithm of Q / P",
            partial(_diverged, log=lambda p, q: torch.log(q / p)),
            "A divergence is never below 0. P stands above the fraction bar: log(P / Q).",
        ),
        Misconception(
            "uses the logarithm to base 10",
            partial(_diverged, log=lambda p, q: torch.log10(p / q)),
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
            partial(_diverged, kept=lambda p, q: q > 0),
            "An empty bin of p adds nothing and gives NaN: leave it out. An empty bin of q where p "
            "has values makes the result inf.",
        ),
        Misconception(
            "divides both histograms by the total of p",
            partial(_diverged, shares=lambda p, q: (p / p.sum(), q / p.sum())),
            "Each is divided by its own sum: q_counts / q_counts.sum().",
        ),
        Misconception(
            "leaves out the bins where q is 0",
            partial(_diverged, kept=lambda p, q: (p > 0) & (q > 0)),
            "Those are the worst errors: p has values where q says there are none. The result is "
            "inf.",
        ),
        Misconception(
            "takes the mean over the bins",
            partial(_diverged, joined=lambda terms, p: terms.mean()),
            "p already weighs the bins: sum them up.",
        ),
        Misconception(
            "leaves P's own entropy out",
            partial(_diverged, log=lambda p, q: -torch.log(q)),
            "-sum p log q is the cross-entropy. The divergence is sum p log (p / q): it is 0 for "
            "equal histograms.",
        ),
        Misconception(
            "takes the mean over the bins",
            partial(_diverged, joined=lambda terms, p: terms.sum() / len(p)),
            "p already weighs the bins: sum them up.",
        ),
        Misconception(
            "makes NaN of bins that are empty in both",
            partial(_diverged, kept=lambda p, q: (p > 0) | (q == 0)),
            "0 * log(0) is NaN, and NaN spoils the sum: leave out every bin where p is 0.",
        ),
        Misconception(
            "replaces infinity by the largest float",
            partial(
                _diverged, kept=_all_bins, term=lambda terms: terms.float().nan_to_num().double()
            ),
            "nan_to_num makes numbers of inf as well. Where q is 0 and p is not, inf is right: "
            "leave out the bins where p is 0 instead.",
        ),
        Misconception(
            "replaces infinity by the largest float",
            partial(_diverged, kept=_all_bins, term=torch.nan_to_num),
            "nan_to_num makes numbers of inf as well. Where q is 0 and p is not, inf is right: "
            "leave out the bins where p is 0 instead.",
        ),
        Misconception(
            "takes magnitudes of the logarithm",
            partial(_diverged, term=torch.abs),
            "Some terms are negative, and belong to the sum as they are.",
        ),
        Misconception(
            "averages both directions",
            _both_ways,
            "Only P's direction is asked: the sum of p log (p / q).",
        ),
        Misconception(
            "weighs the logarithm with Q",
            partial(_diverged, weight=lambda p, q: q),
            "The weight in front of log (p / q) is p. In F.kl_div(input, target) the target is P, "
            "and the input is log Q.",
        ),
    ),
)
