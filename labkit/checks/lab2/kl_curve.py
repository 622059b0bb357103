"""Exercise 2.8: divergence against the threshold."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab2.kl_divergence import kl_divergence
from labkit.checks.lab2.merge_levels import merge_levels
from labkit.checks.rules import Rule


def kl_curve(counts: Tensor, levels: int) -> Tensor:
    """Return KL(P, Q) for each number of bins kept, from `levels` to all of them."""
    kept = range(levels, len(counts) + 1)
    pairs = [(_folded(counts, i), merge_levels(counts[:i], levels)) for i in kept]
    return torch.tensor([kl_divergence(p, q) for p, q in pairs], dtype=torch.float64)


def _folded(counts: Tensor, kept: int) -> Tensor:
    p = counts[:kept].clone()
    p[-1] += counts[kept:].sum()
    return p


def _curve_cases(rng: torch.Generator) -> list[Case]:
    def falling(bins: int) -> Tensor:
        noise = torch.rand(bins, generator=rng)
        return (1 + noise * 400 * torch.exp(-5 * torch.arange(bins) / bins)).floor()

    def few(bins: int) -> Tensor:
        return whole(rng, 1, 9, bins).float()

    empty_tail = falling(40)
    empty_tail[25:38] = 0
    return [
        Case("four bins, two levels", (few(4), 2)),
        Case("as many levels as bins", (few(3), 3)),
        Case("one level", (few(3), 1)),
        Case("an outlier in the last bin", (torch.cat([few(4), torch.tensor([0.0, 0, 1])]), 3)),
        Case("falling counts", (falling(30), 8)),
        Case("many levels", (falling(40), 32)),
        Case("a gap before the outliers", (empty_tail, 8)),
        Case("few levels", (falling(25), 4)),
    ]


def _in_place(counts: Tensor, levels: int) -> Tensor:
    counts, divergences = counts.clone(), []
    for kept in range(levels, len(counts) + 1):
        p = counts[:kept]
        p[-1] += counts[kept:].sum()
        divergences.append(kl_divergence(p, merge_levels(counts[:kept], levels)))
    return torch.tensor(divergences)


def _in_place_after_q(counts: Tensor, levels: int) -> Tensor:
    counts, pairs = counts.clone(), []
    for kept in range(levels, len(counts) + 1):
        q = merge_levels(counts[:kept], levels)
        counts[kept - 1] += counts[kept:].sum()
        pairs.append((counts[:kept].clone(), q))
    return _curve(pairs)


def _curve(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.tensor([kl_divergence(p, q) for p, q in pairs])


def _own_levels(counts: Tensor, kept: int, levels: int) -> Tensor:
    return merge_levels(counts[:kept], levels)


def _piled(counts: Tensor, kept: int, pile: Callable[[Tensor, int], Tensor]) -> Tensor:
    p = counts[:kept].clone()
    p[-1] = pile(counts, kept)
    return p


def _candidates(
    counts: Tensor,
    levels: int,
    *,
    kept: Callable[[int, int], Sequence[int]] = lambda levels, n: range(levels, n + 1),
    p_of: Callable[[Tensor, int], Tensor] = _folded,
    q_of: Callable[[Tensor, int, int], Tensor] = _own_levels,
    order: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda p, q: (p, q),
) -> Tensor:
    """Return the divergence of each candidate, of which any part may be another one."""
    pairs = [(p_of(counts, i), q_of(counts, i, levels)) for i in kept(levels, len(counts))]
    return _curve([order(p, q) for p, q in pairs])


def _pile(pile: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """Return P with ``pile(counts, kept)`` in its last bin."""
    return partial(_piled, pile=pile)


def _pile_in_q(counts: Tensor, kept: int, levels: int) -> Tensor:
    q = merge_levels(counts[:kept], levels)
    q[-1] += counts[kept:].sum()
    return q


KL_CURVE = Exercise(
    id="2.8",
    title="Divergence against the threshold",
    points=3,
    minutes=(10, 15),
    extra=True,
    reference=kl_curve,
    cases=_curve_cases,
    rules=(Rule(relative=1e-3, absolute=2e-6),),
    hints=(
        "Take one number of bins kept, i, and write down P and Q for it. Which of them knows about "
        "the outliers?",
        "P is counts[:i] with counts[i:].sum() added to its last bin; Q is merge_levels of "
        "counts[:i] without them. Slicing makes no copy: add to P and you add to counts.",
        "for i in range(levels, len(counts) + 1): p = counts[:i].clone(); p[-1] += "
        "counts[i:].sum(); q = merge_levels(counts[:i], levels); append kl_divergence(p, q). "
        "torch.tensor of the list is the answer.",
    ),
    misconceptions=(
        Misconception(
            "leaves the outliers out of P",
            partial(_candidates, p_of=lambda counts, kept: counts[:kept]),
            "Then clipping costs nothing and the smallest threshold wins. What is clipped piles "
            "up in the last bin kept.",
        ),
        Misconception(
            "puts the outliers into Q as well",
            partial(
                _candidates,
                q_of=lambda counts, kept, levels: merge_levels(_folded(counts, kept), levels),
            ),
            "Q is built from the bins kept as they are. If it also had the pile in its last bin, "
            "clipping would cost nothing.",
        ),
        Misconception(
            "puts the outliers into Q as well",
            partial(_candidates, q_of=_pile_in_q),
            "Q is built from the bins kept as they are. If it also had the pile in its last bin, "
            "clipping would cost nothing.",
        ),
        Misconception(
            "adds the outliers to the histogram itself",
            _in_place,
            "counts[:i] shares its memory with counts, so the next candidate finds them there "
            "twice. Take counts[:i].clone().",
        ),
        Misconception(
            "adds the outliers to the histogram itself",
            _in_place_after_q,
            "counts[:i] shares its memory with counts, so the next candidate finds them there "
            "twice. Take counts[:i].clone().",
        ),
        Misconception(
            "replaces the last bin by the outliers",
            partial(
                _candidates,
                p_of=_pile(
                    lambda counts, kept: (
                        counts[kept:].sum() if kept < len(counts) else counts[kept - 1]
                    )
                ),
            ),
            "The last bin keeps its own values, too: p[-1] += counts[i:].sum().",
        ),
        Misconception(
            "loses the first of the outliers",
            partial(
                _candidates,
                p_of=_pile(lambda counts, kept: counts[kept - 1] + counts[kept + 1 :].sum()),
            ),
            "Bins 0 to i - 1 are kept, so the clipped ones begin at i: counts[i:].",
        ),
        Misconception(
            "merges the whole histogram once for all candidates",
            partial(
                _candidates, q_of=lambda counts, kept, levels: merge_levels(counts, levels)[:kept]
            ),
            "Each candidate has its own levels: merge_levels(counts[:i], levels).",
        ),
        Misconception(
            "starts with one bin too many",
            partial(_candidates, kept=lambda levels, n: range(levels + 1, n + 1)),
            "As many bins as levels is the first candidate: range(levels, len(counts) + 1).",
        ),
        Misconception(
            "stops before the full range",
            partial(_candidates, kept=lambda levels, n: range(levels, n)),
            "Keeping all bins, clipping nothing, is a candidate, too: range(levels, len(counts) + "
            "1).",
        ),
        Misconception(
            "starts with a single bin",
            partial(_candidates, kept=lambda levels, n: range(1, n + 1)),
            "With fewer bins than levels there is nothing to merge: start at i = levels.",
        ),
        Misconception(
            "swaps P and Q",
            partial(_candidates, order=lambda p, q: (q, p)),
            "kl_divergence(P, Q) asks what is lost when Q stands for P: P comes first.",
        ),
        Misconception(
            "gives the bins kept as Q",
            partial(_candidates, q_of=lambda counts, kept, levels: counts[:kept]),
            "Q is what few levels leave of them: merge_levels(counts[:i], levels).",
        ),
        Misconception(
            "adds only the next of the outliers",
            partial(
                _candidates, p_of=_pile(lambda counts, kept: counts[kept - 1 : kept + 1].sum())
            ),
            "All that lies beyond belongs into the last bin: counts[kept:].sum().",
        ),
        Misconception(
            "spreads the outliers over all bins",
            partial(
                _candidates, p_of=lambda counts, kept: counts[:kept] + counts[kept:].sum() / kept
            ),
            "Clipping puts what lies beyond at the threshold itself: all of it goes into the last "
            "bin of P.",
        ),
    ),
)
