"""The range with the smallest mean squared error, clipping and rounding together.

The search runs over what the integers really offer: a scale S and, for an affine scheme, the zero
point. Count codes from the zero point. A value x > 0 then moves up from code k to k + 1 where it
passes the boundary b_k = (k + 1/2) S, so its code is the number of boundaries below it, and sums
over all values become sums over the boundaries that there are::

    sum(x code)   = sum over k of  A(b_k)             A(b): the sum of all x above b
    sum(code^2)   = sum over k of  (2k + 1) N(b_k)    N(b): how many x lie above b

The values below 0 do the same on their side, and the zero point only decides how many boundaries
each side has. A and N are cumulative sums of the histogram, so many scales, each with all zero
points, are scored at once. For given codes the squared error is a parabola in S::

    error(S) = sum(x^2) - 2 S sum(x code) + S^2 sum(code^2)
    best S   = sum(x code) / sum(code^2)
    error    = sum(x^2) - gain,  gain = sum(x code)^2 / sum(code^2)
"""

import numpy as np
import numpy.typing as npt

from labkit.calibration.buckets import Counts, Floats
from labkit.calibration.histogram import Histogram
from labkit.linear import LARGEST
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["mse_range"]

_ROUNDS = 4
_FINER = 8  # every round looks at scales so many times closer together than the one before
_KEPT = 64  # around so many of the best of the round before
_LOOKUPS = 2**19  # but no more than so many boundaries a round
_TIE = 1e-12  # gains this close, in parts of the gain, differ by rounding only


def mse_range(histogram: Histogram, scheme: Scheme) -> tuple[float, float]:
    """Return the range whose grid has the smallest mean squared error on what was observed.

    Parameters
    ----------
    histogram : Histogram
        The values.
    scheme : Scheme
        The integers to use. Affine: every zero point is tried with every scale.

    Returns
    -------
    (float, float)
        rmin <= 0 <= rmax: the values of the lowest and the highest code (symmetric: the nearer
        of the two, on both sides), from which `from_range` gets back the scale and the zero point
        that were found. Of grids that are equally good, as two values have, the finest. A single
        value is its own range.

    Raises
    ------
    ValueError
        If nothing was observed yet.

    Notes
    -----
    The first round's scales are 1/16 octave apart, the last one's 1/8192. Choosing the clipping
    threshold by the squared error: Banner et al., "Post Training 4-bit Quantization of
    Convolutional Networks for Rapid-Deployment", NeurIPS 2019, section 3. Alternating between
    codes and scale: Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information
    Theory 28(2), 1982.
    """
    instance_of(scheme, Scheme, "scheme", "Scheme(bits=8)")
    grids = _Grids(*histogram.buckets(), scheme)
    if histogram.min == histogram.max:
        return histogram.min, histogram.max
    if scheme.symmetric:
        lowest, highest = scheme.middle - scheme.qmax, scheme.qmax - scheme.middle
        scale, _ = _best(grids, max(abs(histogram.min), abs(histogram.max)) / highest)
    else:
        spread = max(histogram.max, 0.0) - min(histogram.min, 0.0)
        scale, highest = _best(grids, spread / grids.steps)
        lowest = highest - grids.steps
    return lowest * scale, highest * scale


def _best(grids: "_Grids", full: float) -> tuple[float, int]:
    """Return the best scale and highest code, given the scale that clips nothing."""
    # A scale of more than 2 * full is never better than half of it, which has all its multiples
    # (one step more makes room for the zero point). Clipping to below the mean size never pays,
    # nor does clipping the largest value by more than all the rounding errors together cost.
    steps = grids.steps
    last = 2 * full * steps / (steps - 1)
    first = max(grids.mean_size / steps, full * (1 - grids.total**0.5 / steps)) / 2
    spacing = 1 / 16
    octaves = np.arange(np.floor(np.log2(first / full) / spacing), np.log2(last / full) / spacing)
    scales = full * 2.0 ** (spacing * octaves)
    kept = max(1, min(_KEPT, _LOOKUPS // (2 * steps * _FINER)))
    for _ in range(_ROUNDS):
        gain, better, highest = grids.score(scales)
        best = np.lexsort((better, -np.where(_tied(gain), gain.max(), gain)))[:kept]
        spacing /= _FINER
        around = 2.0 ** (spacing * (np.arange(_FINER) - _FINER // 2))
        scales = np.outer(scales[best], around).ravel()
    return float(better[best[0]]), int(highest[best[0]])


class _Grids:
    """All grids that a scheme can lay over the values that were observed.

    Attributes
    ----------
    steps : int
        qmax - qmin.
    highest : int array
        The highest code, counted from the zero point, for each zero point of the scheme.
    total : int
        How many values there are.
    mean_size : float
        The mean of |x|.
    """

    def __init__(self, lower: Floats, upper: Floats, counts: Counts, scheme: Scheme) -> None:
        self.steps = scheme.qmax - scheme.qmin
        self.highest = np.arange(self.steps + 1)
        self._reach = np.maximum(self.highest, self.steps - self.highest)
        if scheme.symmetric:
            self._reach = self.highest = np.array([scheme.qmax - scheme.middle])
        above, below = upper > 0, lower < 0
        self._positive = _Side(lower[above], upper[above], counts[above])
        self._negative = _Side(-upper[below][::-1], -lower[below][::-1], counts[below][::-1])
        self.total = int(counts.sum())
        self.mean_size = float((counts * np.abs(lower + upper)).sum()) / 2 / self.total

    def score(self, scales: Floats) -> tuple[Floats, Floats, Counts]:
        """Round to the grid of each scale; return what the best zero point makes of it.

        Returns
        -------
        gain : float64 array [scales]
            The largest gain of any scale with these codes: by how much the squared error is lower
            than if all codes were 0.
        better : float64 array [scales]
            That scale. Its own codes can only gain more.
        highest : int array [scales]
            The highest code, which tells the zero point.
        """
        x_code, code_2 = self._positive.sums(scales, self.steps)
        x_code_below, code_2_below = self._negative.sums(scales, self.steps)
        x_code = x_code[:, self.highest] + x_code_below[:, self.steps - self.highest]
        code_2 = code_2[:, self.highest] + code_2_below[:, self.steps - self.highest]
        better = x_code / np.maximum(code_2, np.finfo(np.float64).tiny)
        gain = x_code * better
        # Both ends must be float32 numbers: an end cut off there would change the scale.
        gain[better * self._reach > LARGEST] = -np.inf
        best = np.where(_tied(gain), better, np.inf).argmin(axis=1)
        rows = np.arange(len(scales))
        return gain[rows, best], better[rows, best], self.highest[best]


def _tied(gain: Floats) -> npt.NDArray[np.bool_]:
    """Tell which are as good as the best of their row.

    Few values have many grids without error; the finest errs least on what was not observed.
    """
    return gain >= gain.max(axis=-1, keepdims=True) * (1 - _TIE)


class _Side:
    """What lies on one side of zero: N and A at the edges of the buckets, by distance from zero.

    Within a bucket values count as evenly spread, so there N is linear in b and A in b^2.
    """

    def __init__(self, inner: Floats, outer: Floats, counts: Counts) -> None:
        self._edges = _interleaved(inner, outer)
        self._count_above = _from_the_far_end(counts.astype(np.float64))
        self._sum_above = _from_the_far_end(counts * (inner + outer) / 2)

    def sums(self, scales: Floats, steps: int) -> tuple[Floats, Floats]:
        """Return sum(x code) and sum(code^2), each [scales, steps + 1], for 0 to `steps` codes."""
        x_code = np.zeros((len(scales), steps + 1))
        code_2 = np.zeros_like(x_code)
        if len(self._edges):
            k = np.arange(steps)
            b = scales[:, None] * (k + 0.5)
            a_above = np.interp(b**2, self._edges**2, self._sum_above)
            n_above = np.interp(b, self._edges, self._count_above)
            np.cumsum(a_above, axis=1, out=x_code[:, 1:])
            np.cumsum((2 * k + 1) * n_above, axis=1, out=code_2[:, 1:])
        return x_code, code_2


def _interleaved(first: Floats, second: Floats) -> Floats:
    return np.stack([first, second], axis=1).ravel()


def _from_the_far_end(amounts: Floats) -> Floats:
    """Return how much lies beyond the inner and beyond the outer edge of each bucket."""
    beyond = np.append(np.cumsum(amounts[::-1])[::-1], 0.0)
    return _interleaved(beyond[:-1], beyond[1:])
