"""Exercise 5.1: fake quantization."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.lab5.inputs import INT4, INT8, TERNARY, UINT4, UINT8, between_ties
from labkit.checks.rules import Rule


def fake_quantize(x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int) -> Tensor:
    """Return `x` rounded to the grid, as real numbers."""
    q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax)
    return (q - zero_point) * scale


def _cases(rng: torch.Generator) -> list[Case]:
    s = [uniform(rng, 0.03, 0.9) for _ in range(8)]
    beyond = torch.tensor([100.0, -100.0, 0.0])
    zero_point = int(torch.randint(3, 12, (), generator=rng))
    # float32 has the multiples of 1024 up to 2^34. The range is narrow enough to list it.
    far, end = 2**33, 2**33 + 2**16
    thousands = 1024.0 * torch.tensor([0, one(rng, 1, 63), one(rng, 65, 99), -one(rng, 1, 9)])
    return [
        Case("one number", (between_ties(rng, s[6], 1, 6, 1), s[6], 0, *INT4)),
        Case("4 bits", (between_ties(rng, s[0], -7, 7, 9), s[0], 0, *INT4)),
        Case(
            "a zero point that is not 0", (between_ties(rng, s[1], -3, 12, 3, 4), s[1], 3, *UINT4)
        ),
        Case("values above and below the range", (beyond, s[7], zero_point, *UINT4)),
        Case("some out of range", (between_ties(rng, s[2], -20, 20, 4, 5), s[2], -2, *INT4)),
        Case("ternary", (between_ties(rng, s[3], -3, 3, 3, 2, 2), s[3], 0, *TERNARY)),
        Case("8 bits, unsigned", (between_ties(rng, s[4], -90, 250, 40), s[4], 77, *UINT8)),
        Case("codes that int32 does not hold", (thousands, 1.0, far, far, end)),
        Case("8 bits, signed", (between_ties(rng, s[5], -150, 150, 40), s[5], 0, *INT8)),
    ]


def _within(q: Tensor, qmin: int, qmax: int) -> Tensor:
    return q.clamp(qmin, qmax)


def _as_it_is(q: Tensor, other: float) -> Tensor:
    return q


def _there_and_back(
    x: Tensor,
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    shifted: Callable[[Tensor, int], Tensor] = torch.add,
    limit: Callable[[Tensor, int, int], Tensor] = _within,
    centred: Callable[[Tensor, int], Tensor] = torch.sub,
    back: Callable[[Tensor, float], Tensor] = torch.mul,
    given: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda y, x, inside: y,
) -> Tensor:
    """Return fake-quantized values, of which any part may be another one."""
    q = shifted(turn(steps(x, scale)), zero_point)
    y = back(centred(limit(q, qmin, qmax), zero_point), scale)
    return given(y, x, (q >= qmin) & (q <= qmax))


def _in_int32(q: Tensor, qmin: int, qmax: int) -> Tensor:
    # beyond int32, x86 gives the lowest number: 2^31 wraps to it
    whole = q.clamp(qmin, qmax).clamp(-(2.0**31), 2.0**31).to(torch.int64)
    return whole.to(torch.int32)


# What cards know; a good test of properties need not catch it.
MORE = (
    Misconception(
        "leaves the zero point out on the way in",
        partial(_there_and_back, shifted=_as_it_is),
        "A code is round(x / scale) + zero_point: add it before you clamp.",
    ),
    Misconception(
        "clamps above only",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(max=qmax)),
        "Codes end on both sides: clamp to qmin as well.",
    ),
    Misconception(
        "clamps below only",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(min=qmin)),
        "Codes end on both sides: clamp to qmax as well.",
    ),
    Misconception(
        "rounds up",
        partial(_there_and_back, turn=torch.ceil),
        "ceil goes to the code above, off by up to a whole step. Use torch.round.",
    ),
    Misconception(
        "divides by the scale on the way back",
        partial(_there_and_back, back=torch.div),
        "A code counts steps of length scale: multiply to come back.",
    ),
    Misconception(
        "clamps to -qmax on the lower side",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(-qmax, qmax)),
        "Not every range is symmetric: clamp to qmin and qmax.",
    ),
    Misconception(
        "puts 0 for what is out of range",
        partial(_there_and_back, given=lambda y, x, inside: y * inside),
        "What is out of range gets the code at that end: clamp(qmin, qmax). A mask of what is "
        "inside belongs to the gradient (5.3).",
    ),
    Misconception(
        "puts the code 0 for what is out of range",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q * ((q >= qmin) & (q <= qmax))),
        "What is out of range gets the code at that end: clamp(qmin, qmax).",
    ),
    Misconception(
        "leaves what is out of range as it was",
        partial(_there_and_back, given=lambda y, x, inside: torch.where(inside, y, x)),
        "No code stands for such a number: what is out of range gets the code at that end, "
        "clamp(qmin, qmax).",
    ),
    Misconception(
        "drops what is out of range",
        partial(_there_and_back, given=lambda y, x, inside: y[inside]),
        "The result has the shape of x: what is out of range gets the code at that end, "
        "clamp(qmin, qmax).",
    ),
    Misconception(
        "lets the codes begin at 0",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(0, qmax)),
        "That is so behind a ReLU. Here the smallest code is an argument: clamp(qmin, qmax).",
    ),
    Misconception(
        "ends at qmax - 1",
        partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(qmin, qmax - 1)),
        "qmax is the largest code itself, unlike the end of a range(): clamp(qmin, qmax).",
    ),
    Misconception(
        "adds the zero point to x",
        lambda x, scale, zero_point, qmin, qmax: (
            (torch.round((x + zero_point) / scale).clamp(qmin, qmax) - zero_point) * scale
        ),
        "zero_point is a code: add it to round(x / scale), not to x.",
    ),
    Misconception(
        "adds the zero point on the way back, too",
        partial(_there_and_back, centred=torch.add),
        "On the way back the zero point comes off again: (q - Z) * scale.",
    ),
)


FAKE_QUANTIZE = Exercise(
    id="5.1",
    title="Fake quantization",
    points=1,
    minutes=(8, 12),
    reference=fake_quantize,
    cases=_cases,
    rules=(Rule(relative=1e-5, absolute=1e-6),),
    hints=(
        "Quantize as in lab 1, then dequantize at once. Nothing has to become an integer dtype.",
        "q = clamp(round(x / scale) + zero_point, qmin, qmax) can stay float32: torch.round and "
        "clamp work on real tensors. Then come back.",
        "q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax); return (q - zero_point) * "
        "scale.",
    ),
    misconceptions=(
        Misconception(
            "returns the codes",
            partial(_there_and_back, centred=_as_it_is, back=_as_it_is),
            "The next layer computes with real numbers: turn the codes back, (q - Z) * scale.",
        ),
        Misconception(
            "leaves the zero point in on the way back",
            partial(_there_and_back, centred=_as_it_is),
            "On the way back the zero point comes off again: (q - Z) * scale.",
        ),
        Misconception(
            "does not clamp",
            partial(_there_and_back, limit=lambda q, qmin, qmax: q),
            "Codes beyond qmin and qmax do not exist. Without the clamp the network learns to use "
            "numbers that it will not have.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            partial(_there_and_back, shifted=_as_it_is, centred=_as_it_is),
            "qmin and qmax are codes: add zero_point first, then clamp.",
        ),
        Misconception(
            "rounds down",
            partial(_there_and_back, turn=torch.floor),
            "floor goes to the code below, off by up to a whole step. Use torch.round.",
        ),
        Misconception(
            "multiplies by the scale on the way in",
            partial(_there_and_back, steps=torch.mul, back=torch.div),
            "scale is the length of a step: divide to count steps, multiply to come back.",
        ),
        Misconception(
            "does not round",
            partial(_there_and_back, turn=torch.clone),
            "Without torch.round nothing is quantized: only whole codes exist.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_there_and_back, turn=torch.trunc),
            "Converting to an integer dtype drops what is behind the point (and the gradient). Use "
            "torch.round, and stay real.",
        ),
        Misconception(
            "clamps x instead of its code",
            lambda x, scale, zero_point, qmin, qmax: (
                torch.round(x.clamp(qmin, qmax) / scale) * scale
            ),
            "qmin and qmax are codes: divide by scale, round and add zero_point before you clamp.",
        ),
        Misconception(
            "goes through int32",
            partial(_there_and_back, limit=_in_int32),
            "A conversion to an integer dtype cuts the gradient off, and int32 ends at 2^31. Stay "
            "real: torch.round and clamp do.",
        ),
        Misconception(
            "clamps to 8 bits",
            partial(_there_and_back, limit=lambda q, qmin, qmax: q.clamp(-128, 127)),
            "The range is an argument: clamp to qmin and qmax.",
        ),
        Misconception(
            "takes the zero point off after scaling",
            lambda x, scale, zero_point, qmin, qmax: (
                (torch.round(x / scale) + zero_point).clamp(qmin, qmax) * scale - zero_point
            ),
            "zero_point is a code: take it off first, then multiply by the scale.",
        ),
        Misconception(
            "has the zero point's sign turned round",
            partial(_there_and_back, shifted=torch.sub, centred=torch.add),
            "q = round(x / scale) + zero_point on the way in, q - zero_point on the way back.",
        ),
        *MORE,
    ),
)
