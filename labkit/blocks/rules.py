"""How the scale, the minimum and the codes of a block are chosen: one rule for each family.

A rule takes float32 [..., block size] and returns what the block's fields hold. Codes are found
with the scale in float32, before it is rounded for storing, as ggml does it; the rules that follow
hardware (`shared_exponent`, `scaled_levels`) use the scale that is stored.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from labkit.blocks.fields import NUMBERS
from labkit.codebooks.levels import nearest

Parts = dict[str, Tensor]
Rule = Callable[[Tensor], Parts]


def symmetric(qmax: int, offset: int = 0) -> Rule:
    """Q8_0, TQ1_0, TQ2_0: ``scale = max|x| / qmax``, ``code = round(x / scale) + offset``.

    Ties go away from zero. Codes below 0 are stored in two's complement of 8 bits.
    """

    def rule(x: Tensor) -> Parts:
        scale = x.abs().amax(-1, keepdim=True) / qmax
        steps = _times(x, scale)
        rounded = steps.sign() * torch.floor(steps.abs() + 0.5)
        return {"scale": scale, "codes": (_whole(rounded) + offset).to(torch.uint8)}

    return rule


def signed_extreme(bits: int) -> Rule:
    """Q4_0, Q5_0: ``scale = extreme / -half``, ``code = floor(x / scale + half + 1/2)``.

    ``half`` is 2^(bits-1). The extreme is the value farthest from 0, with its sign. It gets the
    code 0, the lowest one, which stands for -half: so the scale may be negative, and no code is
    wasted. Saturates at 2^bits - 1.
    """
    half = 2 ** (bits - 1)

    def rule(x: Tensor) -> Parts:
        extreme = x.gather(-1, x.abs().argmax(-1, keepdim=True))
        scale = extreme / -half
        codes = _whole(_times(x, scale) + (half + 0.5))
        return {"scale": scale, "codes": codes.clamp(0, 2 * half - 1).to(torch.uint8)}

    return rule


def whole_range(bits: int) -> Rule:
    """Q4_1, Q5_1: ``scale = (max - min) / qmax``, ``code = floor((x - min) / scale + 1/2)``.

    ``qmax`` is 2^bits - 1.
    """
    qmax = 2**bits - 1

    def rule(x: Tensor) -> Parts:
        minimum, maximum = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
        scale = (maximum - minimum) / qmax
        codes = _whole(_times(x - minimum, scale) + 0.5)
        return {"scale": scale, "minimum": minimum, "codes": codes.clamp(0, qmax).to(torch.uint8)}

    return rule


def shared_exponent(encode: Callable[[Tensor], Tensor], largest_exponent: int) -> Rule:
    """MXFP4, MXFP8: ``scale = 2^(floor(log2 max|x|) - largest_exponent)``, codes of ``x / scale``.

    `largest_exponent` is that of the elements: 2 for E2M1, whose largest value is 6 = 1.5 * 2^2.
    The exponent is floored, so that x / scale lies below 2^(largest_exponent + 1): between the
    largest value and that, elements saturate. Down to 2^-127; a block of zeros has that scale.
    The logarithm is float32's, as in ggml: just below a power of two it rounds up.

    Source: OCP, Microscaling Formats (MX) Specification 1.0, 2023, section 6.3.
    """

    def rule(x: Tensor) -> Parts:
        largest = x.abs().amax(-1, keepdim=True)
        exponent = torch.floor(torch.log2(largest)) - largest_exponent
        scale = torch.ldexp(torch.ones_like(largest), exponent.clamp(-127, 127).int())
        return {"scale": scale, "codes": encode(x / scale)}

    return rule


def scaled_levels(
    encode: Callable[[Tensor], Tensor], largest: float, kind: str, parts: int = 1
) -> Rule:
    """NVFP4, NF4: ``scale = max|x| / largest`` in the number format `kind`, codes of ``x / scale``.

    `largest` is the largest level; the block is cut into `parts`, each with a scale of its own.
    Where the stored scale is 0, all codes are those of 0.
    """

    def rule(x: Tensor) -> Parts:
        pieces = x.unflatten(-1, (parts, -1))
        scale = (pieces.abs().amax(-1) / largest).to(NUMBERS[kind]).float()
        ratio = pieces / torch.where(scale == 0, torch.inf, scale).unsqueeze(-1)
        return {"scale": scale, "codes": encode(ratio).flatten(-2)}

    return rule


def to_levels(levels: Sequence[float]) -> Callable[[Tensor], Tensor]:
    """Return what gives the code of the nearest of `levels`, ties to the lower one."""
    return lambda x: nearest(x, torch.tensor(levels))


def to_signed_levels(magnitudes: Sequence[float]) -> Callable[[Tensor], Tensor]:
    """Return what gives the code of the nearest magnitude, ties to the smaller one.

    The sign is the bit above it; what becomes 0 has none.
    """

    def encode(x: Tensor) -> Tensor:
        codes = nearest(x.abs(), torch.tensor(magnitudes))
        return codes + len(magnitudes) * ((x < 0) & (codes > 0))

    return encode


def _times(x: Tensor, scale: Tensor) -> Tensor:
    """Return x / scale as ggml has it: times the reciprocal; 0 where the scale is 0."""
    return x * torch.where(scale == 0, 0.0, scale.reciprocal())


def _whole(steps: Tensor) -> Tensor:
    """Cut off; 0 where the reciprocal of a scale below 3e-39 was infinite (it is stored as 0)."""
    return torch.trunc(steps.nan_to_num(0.0, 0.0, 0.0)).to(torch.int32)
