"""Exercise 4.6: a linear layer whose weights are packed 4-bit codes."""

from collections.abc import Callable

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


def _with(
    unpack: Callable[[Tensor], Tensor] = _unpacked,
    dequantize: Callable[[Tensor, Tensor], Tensor] = _dequantized,
) -> Callable[..., Tensor]:
    """Return a layer that unpacks or dequantizes in another way."""
    return lambda x, packed, scales: x @ dequantize(unpack(packed), scales).t()


def _swapped(packed: Tensor) -> Tensor:
    return _unpacked((packed << 4) | (packed >> 4))


def _unsigned(packed: Tensor) -> Tensor:
    return _unpacked(packed) & 15


def _offset(packed: Tensor) -> Tensor:
    return _unsigned(packed) - 8


def _wrapped(packed: Tensor) -> Tensor:
    return _unpacked(packed) & 255


def _signed_from(packed: Tensor, least: int) -> Tensor:
    codes = _unsigned(packed)
    return torch.where(codes >= least, codes - 16, codes)


def _halves(packed: Tensor) -> Tensor:
    codes = _unpacked(packed)
    return torch.cat([codes[:, ::2], codes[:, 1::2]], dim=1)


def _tiled(q_w: Tensor, scales: Tensor) -> Tensor:
    return q_w * scales.repeat(1, q_w.shape[1] // scales.shape[1])


def _half_signed(packed: Tensor, unsigned: int) -> Tensor:
    """Return the codes with those at even (0) or odd (1) places without their sign."""
    codes = _unpacked(packed).clone()
    codes[:, unsigned::2] &= 15
    return codes


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
            _with(_swapped),
            "The first weight lies in the lowest four bits: packed & 15.",
        ),
        Misconception(
            "reads the codes as unsigned",
            _with(_unsigned),
            "They run from -8 to 7: 15 stands for -1. Subtract 16 from codes above 7.",
        ),
        Misconception(
            "subtracts 8 from every code",
            _with(_offset),
            "That is another format. These are two's complement, as in lab 1: only codes above 7 "
            "become negative, code - 16.",
        ),
        Misconception(
            "puts all lower halves before all upper ones",
            _with(_halves),
            "Neighbours share a byte: weight 0 and weight 1 come from byte 0. Stack on a last "
            "dim, then flatten.",
        ),
        Misconception(
            "gives neighbours different scales",
            _with(dequantize=_tiled),
            "A group is a run of neighbours: repeat_interleave repeats each scale in its place, "
            "repeat repeats the whole row.",
        ),
        Misconception(
            "uses one scale a row",
            _with(dequantize=lambda q_w, scales: q_w * scales[:, :1]),
            "Each row has a scale for each group: expand them over group_size neighbours.",
        ),
        Misconception(
            "leaves the scales out",
            _with(dequantize=lambda q_w, scales: q_w.float()),
            "A code is a number of steps: times its group's scale it is a weight.",
        ),
        Misconception(
            "subtracts 16 in uint8",
            _with(_wrapped),
            "uint8 has no negative numbers: 15 - 16 is 255. Convert to int32 first.",
        ),
        Misconception(
            "takes the code 8 for 8",
            _with(lambda packed: _signed_from(packed, 9)),
            "Four bits end at 7: 8 is 1000, the lowest negative code, -8.",
        ),
        Misconception(
            "takes the code 7 for a negative one",
            _with(lambda packed: _signed_from(packed, 7)),
            "7 is 0111, the largest positive code. Negative ones start with a 1: 8 to 15.",
        ),
        Misconception(
            "multiplies by the mean of a row's scales",
            _with(dequantize=lambda q_w, scales: q_w * scales.mean(1, keepdim=True)),
            "Each group has its own scale: expand them over group_size neighbours.",
        ),
        Misconception(
            "reads the lower codes as unsigned",
            _with(lambda packed: _half_signed(packed, 0)),
            "Both halves of a byte hold a code in two's complement: from 8 up they stand for code "
            "- 16.",
        ),
        Misconception(
            "reads the upper codes as unsigned",
            _with(lambda packed: _half_signed(packed, 1)),
            "Both halves of a byte hold a code in two's complement: from 8 up they stand for code "
            "- 16.",
        ),
    ),
)
