"""Observers: watch a tensor batch by batch, then choose the range to quantize it with.

What all of them do, and the two that only look at the extremes of each batch.
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from labkit.calibration.histogram import nothing_observed, within_float32
from labkit.linear import LARGEST, from_range
from labkit.qparams import QParams, Scheme
from labkit.validation import axis_of, real_tensor, whole_number

__all__ = ["MinMax", "MovingAverage", "Observer", "Range"]

Range = tuple[float, float] | tuple[Tensor, Tensor]


class Observer(ABC):
    """What all observers do.

    Parameters
    ----------
    axis : int, optional
        None: one range for the whole tensor. Otherwise one for each index along `axis`.

    Raises
    ------
    TypeError
        If `axis` is no whole number.
    """

    def __init__(self, axis: int | None = None) -> None:
        self.axis = None if axis is None else whole_number(axis, "axis")
        self._channels: int | None = None

    def observe(self, x: Tensor) -> None:
        """Take in a batch.

        Parameters
        ----------
        x : Tensor
            Any shape and floating-point dtype; with `axis`, as many channels in every batch.

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite, non-empty real tensor, lacks the axis, or has another number of
            channels than the batches before. Nothing is taken in then.
        """
        if self.axis is None:
            self._observe(x)
            return
        x = within_float32(x)
        axis = axis_of(self.axis, x.shape, "x")
        self._same_channels(x.shape[axis], "x")
        self._observe(x.movedim(axis, 0).reshape(x.shape[axis], -1))
        self._channels = x.shape[axis]

    def merge(self, other: Self) -> None:
        """Take in all that `other` has observed.

        Raises
        ------
        TypeError, ValueError
            If `other` is not of the same kind, or has another axis or number of channels.
        """
        if type(other) is not type(self):
            raise TypeError(
                f"other is a {type(other).__name__}; expected a {type(self).__name__}, like the "
                "observer that it is merged into."
            )
        if other.axis != self.axis:
            raise ValueError(
                f"other has axis={other.axis}; expected {self.axis}, like the observer that it is "
                "merged into."
            )
        if other._channels is not None:
            self._same_channels(other._channels, "other")
        self._merge(other)
        self._channels = self._channels or other._channels

    @abstractmethod
    def range(self, scheme: Scheme) -> Range:
        """Return the range that the integers of `scheme` should cover, in units of `x`.

        Returns
        -------
        (float, float); with `axis` two float64 tensors [C]
            rmin <= rmax.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """

    def qparams(self, scheme: Scheme) -> QParams:
        """Return the scale and zero point that cover ``range(scheme)``.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        low, high = self.range(scheme)
        return from_range(low, high, scheme, self.axis)

    @property
    def nbytes(self) -> int:
        """How much memory is taken, but for a few numbers."""
        return 0

    def compact(self) -> None:  # noqa: B027
        """Take less memory until the next batch, at the price of some time; nothing is lost."""

    @abstractmethod
    def _observe(self, x: Tensor) -> None:
        """Take in `x`; with an axis it is finite and has the shape [C, values]."""

    @abstractmethod
    def _merge(self, other: Self) -> None: ...

    def _same_channels(self, number: int, name: str) -> None:
        if self._channels not in (None, number):
            raise ValueError(
                f"{name} has {number} channels along axis {self.axis}; expected {self._channels} "
                "as in the batches before."
            )


class MinMax(Observer):
    """The smallest and the largest value of all batches: nothing is clipped.

    ``rmin = min(x), rmax = max(x)``. One outlier stretches the range for all other values.

    Parameters
    ----------
    axis : int, optional
        As in `Observer`.
    """

    def __init__(self, axis: int | None = None) -> None:
        super().__init__(axis)
        self._extremes: tuple[Tensor, Tensor] | None = None

    def range(self, scheme: Scheme) -> Range:
        """Return (rmin, rmax), the same for every scheme; see `Observer.range`."""
        if self._extremes is None:
            raise nothing_observed()
        low, high = self._extremes
        return (float(low), float(high)) if self.axis is None else (low, high)

    def _observe(self, x: Tensor) -> None:
        self._combine(*_extremes(x, None if self.axis is None else 1))

    def _merge(self, other: Self) -> None:
        if other._extremes is not None:
            self._combine(*other._extremes)

    def _combine(self, low: Tensor, high: Tensor) -> None:
        if self._extremes is not None:
            low = torch.minimum(self._extremes[0], low)
            high = torch.maximum(self._extremes[1], high)
        self._extremes = low, high


class MovingAverage(MinMax):
    """The exponential moving average of each batch's minimum and maximum.

    ``r = momentum * r + (1 - momentum) * r(batch)``, started at the first batch's. Later batches
    count more, and a rare outlier moves the range only a little.

    Parameters
    ----------
    momentum : float
        From 0 (only the last batch counts) to less than 1.
    axis : int, optional
        As in `Observer`.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).

    Notes
    -----
    Jacob et al. 2018, section 3.1. The result depends on the order of the batches and on how the
    data is cut into batches, so two averages cannot be merged: `merge` raises TypeError.
    """

    def __init__(self, momentum: float = 0.9, axis: int | None = None) -> None:
        super().__init__(axis)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; expected 0 or more, and less than 1.")
        self.momentum = float(momentum)

    def merge(self, other: Self) -> None:
        """Refuse: an average over an order of batches has no order to be merged in.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "a MovingAverage depends on the order of its batches, so two cannot be merged. Let one "
            "observer see all batches, or use MinMax, Percentile, Entropy or MSE."
        )

    def _combine(self, low: Tensor, high: Tensor) -> None:
        if self._extremes is not None:
            low = self.momentum * self._extremes[0] + (1 - self.momentum) * low
            high = self.momentum * self._extremes[1] + (1 - self.momentum) * high
        self._extremes = low, high


def _extremes(x: Tensor, dim: int | None) -> tuple[Tensor, Tensor]:
    """Return minimum and maximum of all values, or along `dim`, as float64."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.numel() == 0:
        real_tensor(x, "x")
    x = x.detach() if x.dtype == torch.float64 else x.detach().float()
    low, high = x.aminmax() if dim is None else x.aminmax(dim=dim)
    if not bool((low >= -LARGEST).all() and (high <= LARGEST).all()):
        within_float32(x)
    return low.double().cpu() + 0.0, high.double().cpu() + 0.0  # never -0.0
