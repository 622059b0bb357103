"""The table of number formats: how each divides its bits, and what follows from that.

A floating-point format splits its bits into sign s, exponent E and mantissa M (m bits) and holds

    x = (-1)^s * (1 + M / 2^m) * 2^(E - bias)     E > 0: normal           (1)
    x = (-1)^s * (0 + M / 2^m) * 2^(1 - bias)     E = 0: subnormal        (2)

Sources: IEEE 754-2019 (fp32, fp16); Kalamkar et al. 2019, arXiv:1905.12322 (bf16);
Micikevicius et al. 2022, arXiv:2209.05433, and OCP, 8-bit Floating Point Specification 1.0 (fp8);
Courbariaux et al. 2015, arXiv:1511.00363 (binary).
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["FORMATS", "Format", "find_format"]


@dataclass(frozen=True)
class Format:
    """A number format, given by how its bits are divided; the rest follows by formula.

    Parameters
    ----------
    name : str
        What `FORMATS` calls it.
    bits : int
        Bits per value.
    kind : {"float", "int", "uint", "binary"}
        Floating point, two's complement, unsigned, or the two values -1 and +1.
    exponent_bits : int
        Bits of a float's exponent field, 2 to 8; 0 for the other kinds.
    has_infinity : bool
        True for floats that follow IEEE 754: the top exponent is kept for infinity (M = 0) and
        NaN (M > 0), and overflow gives infinity. False: overflow gives `min` or `max`, and a
        float gives up one mantissa of the top exponent, all ones, for NaN (fp8_e4m3).

    Raises
    ------
    ValueError
        If no such format exists, or float32 cannot hold its values.
    """

    name: str
    bits: int
    kind: Literal["float", "int", "uint", "binary"]
    exponent_bits: int = 0
    has_infinity: bool = False

    def __post_init__(self) -> None:
        valid = {
            "float": 2 <= self.exponent_bits <= 8 and 1 <= self.mantissa_bits <= 23,
            "int": 2 <= self.bits <= 24,
            "uint": 1 <= self.bits <= 24,
            "binary": self.bits == 1,
        }
        float_fields_only = self.kind == "float" or not (self.exponent_bits or self.has_infinity)
        if not (valid.get(self.kind, False) and float_fields_only):
            raise ValueError(
                f"{self} is no format whose values float32 holds: expected a float of 2-8 exponent "
                "and 1-23 mantissa bits, or, without exponent and infinity, an int of 2-24 bits, "
                "a uint of 1-24 bits or a binary of 1 bit"
            )

    @property
    def mantissa_bits(self) -> int:
        """``m = bits - 1 - exponent_bits`` of a float, else 0."""
        return self.bits - 1 - self.exponent_bits if self.kind == "float" else 0

    @property
    def bias(self) -> int:
        """``2^(exponent_bits - 1) - 1`` of a float, else 0."""
        return 2 ** (self.exponent_bits - 1) - 1 if self.kind == "float" else 0

    @property
    def min(self) -> float:
        """Smallest finite value: ``-2^(bits-1)`` of an int, 0 of a uint, else ``-max``."""
        return {"int": -(2 ** (self.bits - 1)), "uint": 0}.get(self.kind, -self.max)

    @property
    def max(self) -> float:
        """Largest finite value: ``2^(bits-1) - 1`` of an int, ``2^bits - 1`` of a uint.

        Of a float, equation (1) at the largest E and M that infinity and NaN leave over.
        """
        if self.kind != "float":
            integers = {"int": 2 ** (self.bits - 1) - 1, "uint": 2**self.bits - 1, "binary": 1}
            return integers[self.kind]
        E, M = 2**self.exponent_bits - 1, 2**self.mantissa_bits - 1
        E, M = (E - 1, M) if self.has_infinity else (E, M - 1)
        return (1 + M / 2**self.mantissa_bits) * 2.0 ** (E - self.bias)

    @property
    def smallest_normal(self) -> float | None:
        """``2^(1 - bias)`` of a float, else None."""
        return 2.0 ** (1 - self.bias) if self.kind == "float" else None

    @property
    def smallest_subnormal(self) -> float | None:
        """``2^(1 - bias - m)`` of a float, which is its gap around 0; else None."""
        return 2.0 ** (1 - self.bias - self.mantissa_bits) if self.kind == "float" else None

    @property
    def bytes(self) -> float:
        """Bytes per value when values are packed: ``bits / 8``, so 0.5 for int4."""
        return self.bits / 8


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("fp32", 32, "float", exponent_bits=8, has_infinity=True),
        Format("fp16", 16, "float", exponent_bits=5, has_infinity=True),
        Format("bf16", 16, "float", exponent_bits=8, has_infinity=True),
        Format("fp8_e4m3", 8, "float", exponent_bits=4),
        Format("fp8_e5m2", 8, "float", exponent_bits=5, has_infinity=True),
        Format("int8", 8, "int"),
        Format("uint8", 8, "uint"),
        Format("int4", 4, "int"),
        Format("int2", 2, "int"),
        Format("binary", 1, "binary"),
    )
}


def find_format(format: Format | str) -> Format:
    """Return the format that a name in `FORMATS` stands for; a `Format` stands for itself.

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if isinstance(format, Format):
        return format
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected a Format or one of {', '.join(FORMATS)}")
    return FORMATS[format]
