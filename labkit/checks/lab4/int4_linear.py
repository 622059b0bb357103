"""Exercise 4.6: a linear layer whose weights are packed 4-bit codes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor) -> Tensor:
    """Return x times the transposed weights, which are packed and have a scale a group."""
    return x @ _dequantized(_unpacked(packed), scales).t()


def _unpacked(packed: Tensor) -> Tensor:
    codes = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1).to(torch.int32)
    return torch.where(codes > 7, codes - 16, codes)


def _dequantized(q_w: Tensor, scales: Tensor) -> Tensor:
    group_size = q_w.shape[1] // scales.shape[1]
    return q_w * scales.repeat_interleave(group_size, dim=1)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, batch: int, inputs: int, outputs: int, groups: int) -> Case:
        packed = torch.randint(0, 256, (outputs, inputs // 2), generator=rng, dtype=torch.uint8)
        scales = 0.01 + 0.1 * torch.rand(outputs, groups, generator=rng)
        return Case(label, (randn(rng, batch, inputs), packed, scales))

    return [
        case("one weight in two", 1, 2, 1, 1),
        case("one group a row", 2, 4, 3, 1),
        case("two groups", 2, 8, 3, 2),
        case("a group for each byte", 3, 8, 4, 4),
        case("as many groups as outputs", 3, 16, 4, 4),
        case("a layer", 5, 64, 10, 2),
    ]


Decode = Callable[[Tensor], Tensor]


def _from(least: int, less: int = 16) -> Decode:
    """Return what makes codes from `least` on negative."""
    return lambda codes: torch.where(codes >= least, codes - less, codes)


TWOS_COMPLEMENT = _from(8)


def _multiplied(
    x: Tensor,
    packed: Tensor,
    scales: Tensor,
    *,
    low: Decode = TWOS_COMPLEMENT,
    high: Decode = TWOS_COMPLEMENT,
    masked: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda packed: (packed & 15, packed >> 4),
    order: tuple[int, int] = (0, 1),
    joined: Callable[[Tensor, Tensor], Tensor] = lambda first, second: torch.stack(
        [first, second], dim=-1
    ).flatten(1),
    placed: Callable[[Tensor, int], Tensor] = lambda q_w, size: q_w,
    spread: Callable[[Tensor, int], Tensor] = lambda scales, size: scales.repeat_interleave(
        size, dim=1
    ),
    scaled: Callable[[Tensor, Tensor], Tensor] = torch.mul,
) -> Tensor:
    """Return the product, of which any part may be another one."""
    halves = [half.int() for half in masked(packed)]
    decoded = low(halves[0]), high(halves[1])
    q_w = joined(*(decoded[k] for k in order))
    size = q_w.shape[1] // scales.shape[1]
    return x @ scaled(placed(q_w, size), spread(scales, size)).float().t()


def _halves_apart(q_w: Tensor, size: int) -> Tensor:
    """Put the lower halves of each group before its upper ones."""
    groups = q_w.reshape(len(q_w), -1, size)
    return torch.cat([groups[..., ::2], groups[..., 1::2]], dim=2).flatten(1)


def _both(decode: Decode) -> Callable[..., Tensor]:
    return partial(_multiplied, low=decode, high=decode)


BOTH_HALVES = (
    "Both halves of a byte hold a code in two's complement: from 8 up they stand for code - 16."
)


INT4_LINEAR = Exercise(
    id="4.6",
    title="Weights of 4 bits",
    points=3,
    minutes=(10, 15),
    extra=True,
    reference=int4_linear,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-4),),
    hints=(
        "From bytes to codes (lab 1), from codes to weights, then a product. How many weights "
        "share a scale? The shapes tell.",
        "packed & 15 are the weights 0, 2, 4, ..., packed >> 4 the weights 1, 3, 5, ...; stack "
        "them on a last dim and flatten(1). A code above 7 stands for code - 16.",
        "codes = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1).int(); codes = "
        "torch.where(codes > 7, codes - 16, codes); group = codes.shape[1] // scales.shape[1]; "
        "return x @ (codes * scales.repeat_interleave(group, dim=1)).t().",
    ),
    misconceptions=(
        Misconception(
            "takes the upper four bits first",
            partial(_multiplied, order=(1, 0)),
            "The first weight lies in the lowest four bits: packed & 15.",
        ),
        Misconception(
            "reads the codes as unsigned",
            _both(lambda codes: codes),
            "They run from -8 to 7: 15 stands for -1. Subtract 16 from codes above 7.",
        ),
        Misconception(
            "subtracts 8 from every code",
            _both(lambda codes: codes - 8),
            "That is another format. These are two's complement, as in lab 1: only codes above 7 "
            "become negative, code - 16.",
        ),
        Misconception(
            "subtracts 16 from every code",
            _both(lambda codes: codes - 16),
            "Only codes above 7 stand for negative ones: torch.where(codes > 7, codes - 16, "
            "codes).",
        ),
        Misconception(
            "reads the codes as sign and magnitude",
            _both(lambda codes: torch.where(codes > 7, 8 - codes, codes)),
            "These are two's complement, as in lab 1: 15 stands for -1, codes above 7 for code - "
            "16.",
        ),
        Misconception(
            "subtracts 15 from negative codes",
            _both(_from(8, 15)),
            "Four bits have 16 codes, so 15 stands for -1: code - 16.",
        ),
        Misconception(
            "subtracts 8 from negative codes",
            _both(_from(8, 8)),
            "Four bits have 16 codes, so 15 stands for -1: code - 16.",
        ),
        Misconception(
            "puts all lower halves before all upper ones",
            partial(_multiplied, joined=lambda first, second: torch.cat([first, second], dim=1)),
            "Neighbours share a byte: weight 0 and weight 1 come from byte 0. Stack on a last "
            "dim, then flatten.",
        ),
        Misconception(
            "puts the lower halves of each group before its upper ones",
            partial(_multiplied, placed=_halves_apart),
            "GGUF packs its blocks that way. Here neighbours share a byte: weight 0 and weight 1 "
            "come from byte 0. Stack on a last dim, then flatten.",
        ),
        Misconception(
            "multiplies by the sum of a row's scales",
            partial(_multiplied, spread=lambda scales, size: scales.sum(1, keepdim=True)),
            "Each group has its own scale: expand them over group_size neighbours.",
        ),
        Misconception(
            "gives neighbours different scales",
            partial(_multiplied, spread=lambda scales, size: scales.repeat(1, size)),
            "A group is a run of neighbours: repeat_interleave repeats each scale in its place, "
            "repeat repeats the whole row.",
        ),
        Misconception(
            "uses one scale a row",
            partial(_multiplied, spread=lambda scales, size: scales[:, :1]),
            "Each row has a scale for each group: expand them over group_size neighbours.",
        ),
        Misconception(
            "uses the last scale of a row",
            partial(_multiplied, spread=lambda scales, size: scales[:, -1:]),
            "Each row has a scale for each group: expand them over group_size neighbours.",
        ),
        Misconception(
            "uses the largest scale of a row",
            partial(_multiplied, spread=lambda scales, size: scales.amax(1, keepdim=True)),
            "Each row has a scale for each group: expand them over group_size neighbours.",
        ),
        Misconception(
            "leaves the scales out",
            partial(_multiplied, scaled=lambda q_w, scales: q_w),
            "A code is a number of steps: times its group's scale it is a weight.",
        ),
        Misconception(
            "divides by the scales",
            partial(_multiplied, scaled=torch.div),
            "A scale is the length of a step, and a code a number of steps: multiply them.",
        ),
        Misconception(
            "subtracts 16 in uint8",
            _both(lambda codes: TWOS_COMPLEMENT(codes) & 255),
            "uint8 has no negative numbers: 15 - 16 is 255. Convert to int32 first.",
        ),
        Misconception(
            "takes the code 8 for 8",
            _both(_from(9)),
            "Four bits end at 7: 8 is 1000, the lowest negative code, -8.",
        ),
        Misconception(
            "takes the code 7 for a negative one",
            _both(_from(7)),
            "7 is 0111, the largest positive code. Negative ones start with a 1: 8 to 15.",
        ),
        Misconception(
            "clamps the code -8 to -7",
            _both(lambda codes: TWOS_COMPLEMENT(codes).clamp(min=-7)),
            "Stored codes are taken as they are: 8 stands for -8.",
        ),
        Misconception(
            "multiplies by the mean of a row's scales",
            partial(_multiplied, spread=lambda scales, size: scales.mean(1, keepdim=True)),
            "Each group has its own scale: expand them over group_size neighbours.",
        ),
        Misconception(
            "reads the lower codes as unsigned",
            partial(_multiplied, low=lambda codes: codes),
            BOTH_HALVES,
        ),
        Misconception(
            "reads the upper codes as unsigned",
            partial(_multiplied, high=lambda codes: codes),
            BOTH_HALVES,
        ),
        Misconception(
            "keeps three bits of the lower codes",
            partial(_multiplied, masked=lambda packed: (packed & 7, packed >> 4)),
            "A code has four bits: packed & 15.",
        ),
        Misconception(
            "takes the lower codes twice",
            partial(_multiplied, masked=lambda packed: (packed & 15, packed & 15)),
            "The second weight of a byte lies in its upper four bits: packed >> 4.",
        ),
        Misconception(
            "takes the upper codes twice",
            partial(_multiplied, masked=lambda packed: (packed >> 4, packed >> 4)),
            "The first weight of a byte lies in its lowest four bits: packed & 15.",
        ),
        Misconception(
            "reads the bytes from the right",
            partial(
                _multiplied,
                joined=lambda first, second: (
                    torch.stack([first, second], dim=-1).flip(1).flatten(1)
                ),
            ),
            "Byte 0 holds the weights 0 and 1, byte 1 the weights 2 and 3: keep their order.",
        ),
    ),
)
