"""The operators that hold no weights for a chip without floating point: twins of `operators`.

Each sums integers times real numbers, as there, and rounds by `labkit.kernels.fixed_stage`: the
real numbers are int32 mantissas with one right shift, and ties go away from zero.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import labkit.ptq.operators as operators
from labkit.kernels.fixed_stage import quantize_multipliers
from labkit.kernels.output_stage import output_range
from labkit.kernels.requantization import rounding_right_shift
from labkit.ptq.functions import COMBINATIONS, called
from labkit.qparams import QParams

# The bits behind the point in the second of two matrices; the first has what a mantissa has.
ALONG_BITS, LONGEST_SHIFT = 16, 62
SUMS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.sum,
    "sum": torch.sum,
    "cumsum": torch.cumsum,
}
"""The combinations whose codes all count alike."""


class Rounding:
    """``q = clamp(round((t_1 M_1 + t_2 M_2 + ...) / 2^shift) + Z, low, high)``.

    Parameters
    ----------
    multipliers : sequence of float
        m_i = M_i / 2^shift, of which one at least is not 0.
    out_qparams : QParams
    relu : bool
        low is Z rather than qmin.
    """

    def __init__(
        self, multipliers: Sequence[float], out_qparams: QParams, relu: bool = False
    ) -> None:
        self.low, self.high, self.zero_point = output_range(out_qparams, relu)
        self.dtype = out_qparams.scheme.dtype
        real = [torch.tensor(m, dtype=torch.float64) for m in multipliers]
        mantissas, shift = quantize_multipliers(real)
        self.mantissas, self.shift = [int(m) for m in mantissas], int(shift)

    def __call__(self, *terms: Tensor) -> Tensor:
        """Round terms, int64 or integers in another dtype."""
        pairs = zip(terms, self.mantissas, strict=True)
        return self.finish(sum(t.to(torch.int64) * mantissa for t, mantissa in pairs))

    def finish(self, total: Any) -> Tensor:
        """Apply what follows the products."""
        rounded = rounding_right_shift(total, self.shift)
        return (rounded + self.zero_point).clamp_(self.low, self.high).to(self.dtype)


class Add(nn.Module):
    """As `operators.Add`."""

    def __init__(
        self,
        inputs: list[QParams],
        out_qparams: QParams,
        relu: bool,
        factors: list[float] | None = None,
    ) -> None:
        super().__init__()
        multipliers = [
            factor * float(x.scale.double() / out_qparams.scale.double())
            for x, factor in zip(inputs, factors or [1, 1], strict=True)
        ]
        self.zero_points = [int(x.zero_point) for x in inputs]
        self.rounding = Rounding(multipliers, out_qparams, relu)

    def forward(self, q_a: Tensor, q_b: Tensor) -> Tensor:
        """Add codes of shapes that broadcast."""
        pairs = zip((q_a, q_b), self.zero_points, strict=True)
        return self.rounding(*(q.to(torch.int64) - zero_point for q, zero_point in pairs))


class Multiply(operators.Multiply):
    """As `operators.Multiply`."""

    def __init__(self, inputs: list[QParams], out_qparams: QParams, relu: bool) -> None:
        super().__init__(inputs, out_qparams, relu)
        self.rounding = Rounding([self.multiplier], out_qparams, relu)

    def forward(self, q_a: Tensor, q_b: Tensor) -> Tensor:
        """Multiply codes of shapes that broadcast."""
        pairs = zip((q_a, q_b), self.zero_points, strict=True)
        a, b = (q.to(torch.int64) - zero_point for q, zero_point in pairs)
        return self.rounding(a * b)


class Rescale(operators.Rescale):
    """As `operators.Rescale`."""

    def __init__(self, x_qparams: QParams, out_qparams: QParams) -> None:
        super().__init__(x_qparams, out_qparams)
        self.out_qparams = out_qparams

    def finish(self, total: Tensor, terms: int = 1) -> Tensor:
        """Scale, round and saturate sums of `terms` codes."""
        return self.rounding(terms)(total)

    def rounding(self, terms: int = 1) -> Rounding:
        """Return how sums of `terms` codes are rounded."""
        return Rounding([self.multiplier / terms], self.out_qparams)


class Concatenate(operators.Concatenate):
    """As `operators.Concatenate`."""

    def __init__(self, inputs: list[QParams], out_qparams: QParams, **settings: Any) -> None:
        super().__init__(inputs, out_qparams, **settings)
        self.rescales = nn.ModuleList(Rescale(qparams, out_qparams) for qparams in inputs)


class Matrices(nn.Module):
    """What works on rows and columns apart, as two matrices of integers.

    ::

        q = clamp(round(down (q_x - Z_x) along / 2^shift) + Z_y, qmin, qmax)

    Parameters
    ----------
    function : callable
        From real images to smaller or larger ones, linear: a mean over windows of several sizes,
        or an interpolation.
    rescale : Rescale
    """

    def __init__(self, function: Callable[[Tensor], Tensor], rescale: Rescale) -> None:
        super().__init__()
        self.function, self.rescale = function, rescale
        self._made: dict[tuple[int, int], tuple[Tensor, Tensor, Rounding]] = {}

    def forward(self, q_x: Tensor) -> Tensor:
        """Combine codes [..., H, W]."""
        down, along, rounding = self.of(q_x.shape[-2], q_x.shape[-1])
        shifted = q_x.to(torch.int64) - self.rescale.x_zero_point
        return rounding.finish(down @ shifted @ along)

    def of(self, high: int, wide: int) -> tuple[Tensor, Tensor, Rounding]:
        """Return ``down`` [rows, H], ``along`` [W, columns] and the rounding for images of a size.

        Raises
        ------
        ValueError
            If the function does not go axis by axis.
        """
        if (high, wide) not in self._made:
            self._made[high, wide] = self._matrices(high, wide)
        return self._made[high, wide]

    def _matrices(self, high: int, wide: int) -> tuple[Tensor, Tensor, Rounding]:
        def applied(images: Tensor) -> Tensor:
            return self.function(images.double()[:, None])[:, 0]

        whole = applied(torch.ones(1, high, wide))[0]
        down = applied(torch.eye(high)[:, :, None].expand(high, high, wide))[:, :, 0].t()
        along = applied(torch.eye(wide)[:, None, :].expand(wide, high, wide))[:, 0] / whole[0, 0]
        probe = torch.arange(high * wide).reshape(1, high, wide) % 251
        if not torch.allclose(down @ probe[0].double() @ along, applied(probe)[0], atol=1e-6):
            raise ValueError("it does not go axis by axis; expected a mean or an interpolation.")
        # Each number of `down` is a multiplier, and the largest has the 31 bits of a mantissa.
        largest = float(down.abs().max()) * self.rescale.multiplier
        rounding = Rounding([largest], self.rescale.out_qparams)
        scaled = down * self.rescale.multiplier * 2.0**rounding.shift
        bits = min(ALONG_BITS, LONGEST_SHIFT - rounding.shift)
        rounding.shift += bits
        return _nearest(scaled), _nearest(along * 2**bits), rounding


def _nearest(x: Tensor) -> Tensor:
    """Round ties away from zero."""
    return (torch.floor(x.abs() + 0.5) * x.sign()).to(torch.int64)


class AveragePool(operators.AveragePool):
    """As `operators.AveragePool`."""

    def __init__(self, x_qparams: QParams, out_qparams: QParams, **settings: Any) -> None:
        super().__init__(x_qparams, out_qparams, **settings)
        self.rescale: Rescale = Rescale(x_qparams, out_qparams)
        size = tuple(self.output_size or ())
        self.matrices = Matrices(lambda x: F.adaptive_avg_pool2d(x, size), self.rescale)  # type: ignore[arg-type]

    def uneven(self, image: Sequence[int]) -> bool:
        """Tell whether the windows have several sizes."""
        sizes = zip(image, self.output_size or image, strict=True)
        return any(size % windows for size, windows in sizes)

    def forward(self, q_x: Tensor) -> Tensor:
        """Average codes [N, C, H, W]."""
        return self.matrices(q_x) if self.uneven(q_x.shape[2:]) else super().forward(q_x)


class Combination(operators.Combination):
    """As `operators.Combination`; sums are exact, and what is no sum is `Matrices`."""

    def __init__(self, x_qparams: QParams, out_qparams: QParams, settings: dict) -> None:
        super().__init__(x_qparams, out_qparams, settings)
        self.rescale: Rescale = Rescale(x_qparams, out_qparams)

    def forward(self, q_x: Tensor, *numbers: Any) -> Tensor:
        """Combine codes."""
        if self.settings["function"] in SUMS:
            shifted = q_x.to(torch.int64) - self.rescale.x_zero_point
            total = called(SUMS[self.settings["function"]], self.settings, [shifted, *numbers])
            return self.rescale.finish(total, self.terms(q_x, total))
        if q_x.ndim == 4:
            return self.matrices(q_x, numbers)(q_x)
        return self.matrices(q_x, numbers)(q_x[..., None, :])[..., 0, :]

    def terms(self, q_x: Tensor, total: Tensor) -> int:
        """Return how many codes a sum is divided by."""
        return q_x.numel() // total.numel() if self.settings["function"] == "mean" else 1

    def matrices(self, q_x: Tensor, numbers: Sequence[Any]) -> Matrices:
        """Return the matrices of a function of images, or of sequences, which have one row.

        Raises
        ------
        ValueError
            If it is one of something else.
        """
        if q_x.ndim not in (3, 4):
            raise ValueError(f"combines {q_x.ndim} dimensions; expected images or sequences.")
        function = COMBINATIONS[self.settings["function"]]

        def applied(x: Tensor) -> Tensor:
            x = x if q_x.ndim == 4 else x[..., 0, :]
            y = called(function, self.settings, [x, *numbers])
            return y if q_x.ndim == 4 else y[..., None, :]

        return Matrices(applied, self.rescale)
