"""The two things that describe a quantized tensor: which integers it uses, and how they are spaced.

Everything in the package that quantizes takes or returns these two; `labkit.linear` has the
equations.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.validation import (
    axis_of,
    codes_within,
    first_wrong,
    instance_of,
    real_numbers,
    true_or_false,
    whole_number,
    whole_numbers,
)

BITS = (2, 3, 4, 5, 6, 7, 8, 16)


@dataclass(frozen=True)
class Scheme:
    """Which integers are available, and where zero lies among them.

    Parameters
    ----------
    bits : int
        Width of a code: 2 to 8, or 16.
    signed : bool
        Two's complement, [-2^(bits-1), 2^(bits-1) - 1], or unsigned, [0, 2^bits - 1].
    symmetric : bool
        Fix the zero point at the middle of the range (0 if signed, 2^(bits-1) if unsigned)
        instead of choosing it from the data (affine).
    narrow : bool
        Give up the lowest code, so that a signed range is [-127, 127] rather than [-128, 127].

    Raises
    ------
    TypeError, ValueError
        If `bits` is no integer or not one of 2 to 8 and 16, or another argument is no bool.
    """

    bits: int = 8
    signed: bool = True
    symmetric: bool = False
    narrow: bool = False

    def __post_init__(self) -> None:
        # As int: numpy's int8(8) is an integer too, but 2**7 wraps to -128 in it.
        object.__setattr__(self, "bits", whole_number(self.bits, "bits"))
        if self.bits not in BITS:
            raise ValueError(f"bits is {self.bits}; expected 2 to 8, or 16.")
        for name in ("signed", "symmetric", "narrow"):
            object.__setattr__(self, name, true_or_false(getattr(self, name), name))

    @property
    def qmin(self) -> int:
        """The smallest code."""
        return (-(2 ** (self.bits - 1)) if self.signed else 0) + self.narrow

    @property
    def qmax(self) -> int:
        """The largest code."""
        return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1

    @property
    def middle(self) -> int:
        """The zero point of a symmetric scheme: as many codes above it as below, or one less."""
        return 0 if self.signed else 2 ** (self.bits - 1)

    @property
    def dtype(self) -> torch.dtype:
        """The smallest torch dtype that holds a code."""
        if self.bits <= 8:
            return torch.int8 if self.signed else torch.uint8
        return torch.int16 if self.signed else torch.uint16


@dataclass(frozen=True, eq=False)
class QParams:
    """Scale and zero point of a tensor, of each of its channels, or of groups in a channel.

    Constants: no gradient flows into them. Two of them are equal only if they are the same object.

    Parameters
    ----------
    scale : Tensor or float
        S, float32, positive, in units of `x` per code. Shape (): one for the whole tensor; [C]:
        one for each index along `axis`; with `group_size`, the shape of `x` with ``x.shape[axis]``
        replaced by the number of groups, ceil(x.shape[axis] / group_size).
    zero_point : Tensor or int
        Z, int32, in [qmin, qmax], of the shape of `scale`; ``scheme.middle`` if symmetric.
    scheme : Scheme
        The integers to quantize to.
    axis : int, optional
        The channels' axis, or the axis cut into groups.
    group_size : int, optional
        How many neighbours along `axis` share a scale. The last group may be smaller.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, a scale is not positive and finite, or a zero point is no integer, not
        in range, or not in the middle of a symmetric scheme.
    """

    scale: Tensor
    zero_point: Tensor
    scheme: Scheme
    axis: int | None = None
    group_size: int | None = None

    def __post_init__(self) -> None:
        scheme = instance_of(self.scheme, Scheme, "scheme", "Scheme(bits=8)")
        scale = real_numbers(self.scale, "scale", torch.float32)
        zero_point = whole_numbers(self.zero_point, "zero_point")
        wrong = ~((scale > 0) & torch.isfinite(scale))
        if bool(wrong.any()):
            raise ValueError(
                f"{first_wrong(scale, wrong, 'scale')}; expected positive finite numbers in "
                "float32, as from_range and choose_qparams give them."
            )
        codes_within(zero_point, scheme.qmin, scheme.qmax, "zero_point")
        zero_point = zero_point.to(torch.int32)
        wrong = zero_point != scheme.middle
        if scheme.symmetric and bool(wrong.any()):
            raise ValueError(
                f"{first_wrong(zero_point, wrong, 'zero_point')}; expected {scheme.middle} in a "
                "symmetric scheme. Use symmetric=False for a zero point elsewhere."
            )
        if scale.shape != zero_point.shape:
            raise ValueError(
                f"scale has shape {tuple(scale.shape)} and zero_point {tuple(zero_point.shape)}; "
                "expected one zero point for each scale."
            )
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "zero_point", zero_point)
        self._check_axis_and_group_size()

    def _check_axis_and_group_size(self) -> None:
        if self.axis is not None:
            object.__setattr__(self, "axis", whole_number(self.axis, "axis"))
        if self.group_size is not None:
            object.__setattr__(self, "group_size", positive_group_size(self.group_size))
            if self.axis is None:
                raise ValueError(
                    f"group_size is {self.group_size} without an axis; expected the axis to cut "
                    "into groups, for example axis=-1."
                )
        elif self.scale.ndim != (0 if self.axis is None else 1):
            raise ValueError(
                f"scale has shape {tuple(self.scale.shape)} with axis={self.axis}; expected a "
                "single number for the whole tensor (axis=None), or a vector with one number per "
                "channel (axis given)."
            )

    def expand_to(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Return scale and zero point, shaped to broadcast against a tensor of `shape`.

        Raises
        ------
        ValueError
            If a tensor of `shape` has no such axis, or not as many channels or groups.
        """
        if self.axis is None:
            return self.scale, self.zero_point
        axis = axis_of(self.axis, shape, "the tensor")
        if self.group_size is None:
            expected: tuple[int, ...] = (shape[axis],)
        else:
            groups = math.ceil(shape[axis] / self.group_size)
            expected = (*shape[:axis], groups, *shape[axis + 1 :])
        if tuple(self.scale.shape) != expected:
            raise ValueError(
                f"scale has shape {tuple(self.scale.shape)}; a tensor of shape {tuple(shape)} with "
                f"axis={self.axis}, group_size={self.group_size} expects {expected}."
            )
        return self._along(axis, shape, self.scale), self._along(axis, shape, self.zero_point)

    def _along(self, axis: int, shape: torch.Size, values: Tensor) -> Tensor:
        if self.group_size is None:
            return values.reshape([-1 if d == axis else 1 for d in range(len(shape))])
        return values.repeat_interleave(self.group_size, axis).narrow(axis, 0, shape[axis])


def positive_group_size(group_size: object) -> int:
    """Return `group_size` as int, refused unless it is a whole number above 0.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    number = whole_number(group_size, "group_size")
    if number < 1:
        raise ValueError(f"group_size is {number}; expected 1 or more values per group.")
    return number
