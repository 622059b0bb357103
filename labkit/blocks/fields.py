"""What lies where in a block: numbers such as a scale, and codes of a few bits, packed in bytes.

A field turns its values into bytes and back. Codes narrower than a byte share one, as digits of a
number of base b: two digits of base 16, four of base 4, eight of base 2, or five of base 3::

    byte = digit[0] * b^0 + digit[1] * b^1 + ...

Which values share a byte differs from format to format: neighbours (``plane=1``), or values that
lie `plane` places apart, so that a processor unpacks `plane` neighbours with one instruction.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

NUMBERS = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "e8m0": torch.float8_e8m0fnu,
}


@dataclass(frozen=True)
class Number:
    """Numbers for a whole block, or for equally long parts of it.

    Parameters
    ----------
    name : {"scale", "minimum"}
        What it is for: ``x' = scale * level + minimum``.
    kind : str
        A key of `NUMBERS`. "e8m0" holds powers of two: the byte E stands for 2^(E - 127), 255 for
        NaN (OCP, Microscaling Formats 1.0, section 5.4.1).
    count : int
        How many.
    """

    name: str
    kind: str
    count: int = 1

    @property
    def bits(self) -> int:
        """Bits of one number."""
        return 8 * NUMBERS[self.kind].itemsize

    @property
    def bytes(self) -> int:
        """Bytes of the field."""
        return self.count * self.bits // 8

    def pack(self, numbers: Tensor) -> Tensor:
        """Turn float32 [..., count] into uint8 [..., bytes], lowest byte first.

        Rounded to nearest, ties to even. Beyond its range fp16 becomes infinite, fp8_e4m3 its
        largest value.
        """
        return numbers.to(NUMBERS[self.kind]).contiguous().view(torch.uint8)

    def unpack(self, data: Tensor) -> Tensor:
        """Turn uint8 [..., bytes] into float32 [..., count]."""
        return data.contiguous().view(NUMBERS[self.kind]).float()


@dataclass(frozen=True)
class Codes:
    """Codes as digits in bytes.

    Parameters
    ----------
    count : int
        How many.
    base : int
        A digit is below it: 2^bits, or 3.
    plane : int
        Values so many places apart share a byte; 1: neighbours.
    start : int
        The first value of the block that has a digit here.
    shift : int
        By how many bits a digit counts more in its code: 4 for the fifth bit of Q5_0.
    highest_first : bool
        The first of the values that share a byte takes the highest digit.
    """

    count: int
    base: int
    plane: int = 1
    start: int = 0
    shift: int = 0
    highest_first: bool = False
    name: ClassVar[str] = "codes"

    @property
    def per_byte(self) -> int:
        """How many digits a byte holds: the most with base^per_byte <= 256."""
        return max(n for n in range(1, 9) if self.base**n <= 256)

    @property
    def bits(self) -> float:
        """Bits of one digit: 8 / per_byte."""
        return 8 / self.per_byte

    @property
    def bytes(self) -> int:
        """Bytes of the field."""
        return self.count // self.per_byte

    @property
    def places(self) -> slice:
        """The values of the block that have a digit here."""
        return slice(self.start, self.start + self.count)

    @property
    def weights(self) -> Tensor:
        """What each digit of a byte counts, uint8 [per_byte]."""
        powers = [self.base**place for place in range(self.per_byte)]
        return torch.tensor(powers[::-1] if self.highest_first else powers, dtype=torch.uint8)

    def pack(self, digits: Tensor) -> Tensor:
        """Turn digits [..., count] into uint8 [..., bytes]."""
        together = digits.to(torch.uint8).unflatten(-1, (-1, self.per_byte, self.plane))
        weighted = together * self.weights.unsqueeze(-1)
        return weighted.sum(-2, dtype=torch.uint8).flatten(-2)

    def unpack(self, data: Tensor) -> Tensor:
        """Turn uint8 [..., bytes] into digits [..., count], uint8."""
        together = data.unflatten(-1, (-1, 1, self.plane))
        digits = together // self.weights.unsqueeze(-1)
        return (digits % self.base if self.per_byte > 1 else digits).flatten(-3)


@dataclass(frozen=True)
class Trits(Codes):
    """Codes of base 3, five in a byte (3^5 = 243), as a fraction of 256.

    The byte is not the number n < 243 itself but ``ceil(256 n / 243)``. Then no division is needed
    to unpack it: multiplying by 3 moves the highest digit above the eighth bit, and the rest of the
    byte holds the others::

        digit = 3 byte >> 8;    byte = 3 byte & 255

    Source: T. Compilade, "ggml-quants: ternary packing for TriLMs and BitNet b1.58", 2024.

    Parameters
    ----------
    per : int
        Digits a byte; fewer than five leave the lowest ones 0.
    """

    base: int = 3
    highest_first: bool = True
    per: int = 5

    @property
    def per_byte(self) -> int:
        """As many digits as it was told."""
        return self.per

    @property
    def weights(self) -> Tensor:
        """81, 27, 9, 3, 1."""
        return torch.tensor([3**place for place in range(4, 4 - self.per, -1)], dtype=torch.uint8)

    def pack(self, digits: Tensor) -> Tensor:
        """Turn digits [..., count] into uint8 [..., bytes]."""
        return ((super().pack(digits).int() * 256 + 242) // 243).to(torch.uint8)

    def unpack(self, data: Tensor) -> Tensor:
        """Turn uint8 [..., bytes] into digits [..., count], uint8."""
        together = data.int().unflatten(-1, (-1, 1, self.plane))
        above = 3 ** torch.arange(self.per).unsqueeze(-1)
        return ((together * above & 255) * 3 >> 8).to(torch.uint8).flatten(-3)


Field = Number | Codes
