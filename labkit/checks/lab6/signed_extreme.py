"""Exercise 6.8: a block of Q4_0, whose scale has a sign."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, randn, uniform
from labkit.checks.rules import Codes


def signed_extreme(x: Tensor) -> tuple[float, Tensor]:
    """Return scale and codes, 0 to 15, of a block; the value farthest from 0 gets the code 0.

    Of several that are equally far, the first one decides, as in ggml; the check asks for none.
    """
    return _coded(x)


def _extreme(x: Tensor) -> float:
    return float(x[x.abs().argmax()])


def _coded(
    x: Tensor,
    *,
    far: Callable[[Tensor], float] = _extreme,
    steps: int = -8,
    turn: Callable[[Tensor], Tensor] = torch.round,
    into: Callable[[Tensor], Tensor] = lambda q: (q + 8).clamp(0, 15),
    zeros: Callable[[Tensor], tuple[float, Tensor]] = lambda x: (0.0, torch.zeros_like(x)),
    given: Callable[[float], float] = lambda scale: scale,
    dtype: torch.dtype = torch.int64,
) -> tuple[float, Tensor]:
    scale = far(x) / steps
    scale, real = (scale, x / scale) if scale else zeros(x)
    return given(scale), into(turn(real)).to(dtype)


def _of_range(x: Tensor) -> tuple[float, Tensor]:
    scale = float(x.max() - x.min()) / 15
    steps = (x - x.min()) / scale if scale else torch.zeros_like(x)
    return scale, torch.round(steps).clamp(0, 15).long()


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
            partial(_coded, far=lambda x: -float(x.abs().max())),
            "Then a positive extreme would need the code 16, and is cut off. With its sign, "
            "extreme / -8, it always gets the code 0.",
        ),
        Misconception(
            "divides by 8 instead of -8",
            partial(_coded, steps=8),
            "The extreme has to land on -8, not on 8, which four bits do not have.",
        ),
        Misconception(
            "divides by 7",
            partial(_coded, far=lambda x: float(x.abs().max()), steps=7),
            "That is the scale of lab 1, with codes from -7 to 7. Here all 16 codes are used: "
            "the extreme, with its sign, over -8.",
        ),
        Misconception(
            "divides by -7",
            partial(_coded, steps=-7),
            "The extreme lands on -8, the code that the other side does not have: divide by -8.",
        ),
        Misconception(
            "divides by 15",
            partial(_coded, steps=15),
            "15 is the largest code after 8 was added. The extreme lands on -8: divide by -8.",
        ),
        Misconception(
            "takes the scale from the whole range, as Q4_1 does",
            _of_range,
            "Q4_1 stores the minimum, too. Here the extreme alone decides: its value, with its "
            "sign, over -8, and the code 8 stands for 0.0.",
        ),
        Misconception(
            "divides the whole range by 15",
            partial(_coded, far=lambda x: float(x.max() - x.min()), steps=15),
            "The extreme alone decides: its value, with its sign, over -8.",
        ),
        Misconception(
            "returns the magnitude of the scale",
            partial(_coded, given=abs),
            "The sign of the scale is what lets the extreme have the code 0 on either side: "
            "without it x' = scale * (q - 8) has the wrong sign.",
        ),
        Misconception(
            "returns the inverse of the scale",
            partial(_coded, given=lambda scale: 1 / scale if scale else 0.0),
            "The scale is what a step stands for: extreme / -8.",
        ),
        Misconception(
            "rounds the scale to float16",
            partial(_coded, given=lambda scale: float(torch.tensor(scale).half())),
            "A file keeps the scale in float16. (8) asks for the scale itself: leave it unrounded.",
        ),
        Misconception(
            "lets the largest code wrap around",
            partial(_coded, into=lambda q: (q + 8) % 16),
            "A value nearly as far out on the other side rounds to 16, which is 0 in four bits: "
            "clamp to 15.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_coded, turn=torch.trunc),
            "Round to the nearest step first, or add 8.5 before you cut off.",
        ),
        Misconception(
            "adds 8.5 and rounds all the same",
            partial(_coded, turn=lambda real: torch.round(real + 0.5)),
            "The half is there for cutting off, which then rounds to the nearest. Add 8 and round, "
            "or add 8.5 and cut off.",
        ),
        Misconception(
            "rounds down",
            partial(_coded, turn=torch.floor),
            "Round to the nearest step, or add 8.5 before you cut off.",
        ),
        Misconception(
            "returns codes from -8 to 7",
            partial(_coded, into=lambda q: q.clamp(-8, 7)),
            "The file holds codes without a sign: add 8.",
        ),
        Misconception(
            "clamps to 0 and 15 before it adds 8",
            partial(_coded, into=lambda q: q.clamp(0, 15) + 8),
            "Before the 8 is added, codes run from -8 to 7: add first, then clamp to 0 and 15.",
        ),
        Misconception(
            "never adds the 8",
            partial(_coded, into=lambda q: q.clamp(0, 15)),
            "Rounded steps run from -8 to 8: add 8, and clamp then.",
        ),
        Misconception(
            "adds 8 to codes from -7 to 7",
            partial(_coded, into=lambda q: q.clamp(-7, 7) + 8),
            "The extreme is at -8 and gets the code 0: clamp to 0 and 15 after 8 was added.",
        ),
        Misconception(
            "adds 7",
            partial(_coded, into=lambda q: (q + 7).clamp(0, 15)),
            "The lowest code is -8: with 8 added it becomes 0.",
        ),
        Misconception(
            "turns the codes round",
            partial(_coded, into=lambda q: (8 - q).clamp(0, 15)),
            "The sign is in the scale already: the code is round(x / scale) + 8.",
        ),
        Misconception(
            "gives a block of zeros the scale 1",
            partial(_coded, zeros=lambda x: (1.0, x)),
            "All codes are 8 there, and the scale is 0, as in the file: 0 * 0 is 0 as well.",
        ),
        Misconception(
            "gives a block of zeros the code 0",
            partial(_coded, zeros=lambda x: (0.0, x - 8)),
            "The code of 0.0 is 8: 0 stands for the extreme, -8 steps. (0 / 0 is NaN, of which "
            "uint8 makes a 0: treat a block of zeros apart.)",
        ),
        Misconception(
            "drops the sign of the extreme",
            partial(_coded, far=lambda x: float(x.abs().max())),
            "Then a negative extreme would need the code 16, and is cut off. With its sign, "
            "extreme / -8, it always gets the code 0.",
        ),
        Misconception(
            "takes the largest value for the extreme",
            partial(_coded, far=lambda x: float(x.max())),
            "The extreme is the value that is farthest from 0, and may be negative: "
            "x[x.abs().argmax()].",
        ),
        Misconception(
            "takes the smallest value for the extreme",
            partial(_coded, far=lambda x: float(x.min())),
            "The extreme is the value that is farthest from 0, and may be positive: "
            "x[x.abs().argmax()].",
        ),
        Misconception(
            "does not clamp",
            partial(_coded, into=lambda q: q + 8),
            "A value nearly as far out on the other side rounds to 16, which four bits do not "
            "hold: clamp to 15.",
        ),
        *(
            Misconception(
                "divides a block of zeros by 0",
                partial(_coded, zeros=lambda x: (0.0, x / 0), dtype=dtype),
                "0 / 0 is NaN, and NaN has no code. A block of zeros has the scale 0 and the codes "
                "8: treat it apart.",
            )
            for dtype in (torch.int32, torch.int64)  # NaN becomes another number
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
