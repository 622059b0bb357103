"""Exercise 6.8: a block of Q4_0, whose scale has a sign."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, randn, uniform
from labkit.checks.rules import Codes


def signed_extreme(x: Tensor) -> tuple[float, Tensor]:
    """Return scale and codes, 0 to 15, of a block; the value farthest from 0 gets the code 0.

    Of several that are equally far, the first one decides, as in ggml; the check asks for none.
    """
    return _coded(x, _extreme(x) / -8)


def _extreme(x: Tensor) -> float:
    return float(x[x.abs().argmax()])


def _coded(x: Tensor, scale: float, turn: Callable[[Tensor], Tensor] = torch.round) -> tuple:
    steps = x / scale if scale else torch.zeros_like(x)
    return scale, (turn(steps) + 8).clamp(0, 15).to(torch.uint8)


def _unrounded(x: Tensor) -> tuple[Tensor, int, int]:
    scale = _extreme(x) / -8
    return (x.double() / scale if scale else torch.zeros_like(x)) + 8, 0, 15


def _cases(rng: torch.Generator) -> list[Case]:
    def block(extreme: float) -> Tensor:
        x = randn(rng, 32).clamp(-2, 2)
        x[int(torch.randint(32, (), generator=rng))] = extreme
        return x

    few = torch.tensor([0.5, -1.25, 4.0, 3.9]) + 0.1 * torch.rand(4, generator=rng)
    return [
        Case("four values", (few,)),
        Case("a negative extreme", (block(-3.5),)),
        Case("a positive extreme", (block(3.5),)),
        Case("both ends nearly alike", (torch.tensor([4.0, 0.3, -3.9, 1.7]) * uniform(rng, 1, 2),)),
        Case("an outlier", (block(40.0),)),
        Case("all values negative", (-randn(rng, 32).abs() - 0.1,)),
        Case("a block of zeros", (torch.zeros(32),)),
        Case("a tiny block", (1e-6 * randn(rng, 32),)),
    ]


def _with_scale(choose: Callable[[Tensor], float]) -> Callable[[Tensor], tuple]:
    return lambda x: _coded(x, choose(x))


def _wraps(x: Tensor) -> tuple[float, Tensor]:
    scale, _ = signed_extreme(x)
    steps = x / scale if scale else torch.zeros_like(x)
    return scale, (torch.round(steps) + 8).to(torch.int64) % 16


def _one_for_zeros(x: Tensor) -> tuple[float, Tensor]:
    scale, codes = signed_extreme(x)
    return scale or 1.0, codes


def _unclamped(x: Tensor) -> tuple[float, Tensor]:
    scale, _ = signed_extreme(x)
    steps = x / scale if scale else torch.zeros_like(x)
    return scale, (torch.round(steps) + 8).long()


def _unguarded(dtype: torch.dtype) -> Callable[[Tensor], tuple]:
    def wrong(x: Tensor) -> tuple[float, Tensor]:
        scale = _extreme(x) / -8
        return scale, (torch.round(x / scale) + 8).clamp(0, 15).to(dtype)

    return wrong


SIGNED_EXTREME = Exercise(
    id="6.8",
    title="The signed extreme",
    points=2,
    reference=signed_extreme,
    cases=_cases,
    rules=(SCALE, Codes(unrounded=_unrounded)),
    names=("scale", "codes"),
    hints=(
        "Codes -8 to 7 have one more on the negative side. Who should get it? The value that is "
        "farthest from 0, whatever its sign.",
        "extreme = x[x.abs().argmax()], with its sign; scale = extreme / -8, so extreme / scale is "
        "-8. Add 8 to get codes from 0, and clamp: a value of the other sign may round to 16.",
        "scale = float(x[x.abs().argmax()]) / -8; steps = x / scale if scale else torch.zeros_like("
        "x); return scale, (torch.round(steps) + 8).clamp(0, 15).to(torch.uint8).",
    ),
    misconceptions=(
        Misconception(
            "drops the sign of the extreme",
            _with_scale(lambda x: float(x.abs().max()) / 8),
            "Then a positive extreme would need the code 16, and is cut off. With its sign, "
            "extreme / -8, it always gets the code 0.",
        ),
        Misconception(
            "divides by 8 instead of -8",
            _with_scale(lambda x: _extreme(x) / 8),
            "The extreme has to land on -8, not on 8, which four bits do not have.",
        ),
        Misconception(
            "divides by 7",
            _with_scale(lambda x: float(x.abs().max()) / 7),
            "That is the scale of lab 1, with codes from -7 to 7. Here all 16 codes are used: "
            "the extreme, with its sign, over -8.",
        ),
        Misconception(
            "lets the largest code wrap around",
            _wraps,
            "A value nearly as far out on the other side rounds to 16, which is 0 in four bits: "
            "clamp to 15.",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda x: _coded(x, _extreme(x) / -8, torch.trunc),
            "Round to the nearest step first, or add 8.5 before you cut off.",
        ),
        Misconception(
            "rounds down",
            lambda x: _coded(x, _extreme(x) / -8, torch.floor),
            "Round to the nearest step, or add 8.5 before you cut off.",
        ),
        Misconception(
            "returns codes from -8 to 7",
            lambda x: (signed_extreme(x)[0], signed_extreme(x)[1].to(torch.int8) - 8),
            "The file holds codes without a sign: add 8.",
        ),
        Misconception(
            "gives a block of zeros the scale 1",
            _one_for_zeros,
            "All codes are 8 there, and the scale is 0, as in the file: 0 * 0 is 0 as well.",
        ),
        Misconception(
            "drops the sign of the extreme",
            _with_scale(lambda x: float(x.abs().max()) / -8),
            "Then a negative extreme would need the code 16, and is cut off. With its sign, "
            "extreme / -8, it always gets the code 0.",
        ),
        Misconception(
            "does not clamp",
            _unclamped,
            "A value nearly as far out on the other side rounds to 16, which four bits do not "
            "hold: clamp to 15.",
        ),
        *(
            Misconception(
                "divides a block of zeros by 0",
                _unguarded(dtype),
                "0 / 0 is NaN, and NaN has no code. A block of zeros has the scale 0 and the codes "
                "8: treat it apart.",
            )
            for dtype in (torch.int32, torch.uint8, torch.int64)  # NaN becomes another number
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
