"""Which way a layer is computed. All give the integers of the reference; they differ in speed.

========== ========================================================================================
road       when
========== ========================================================================================
int8       The engine's operators as they are: wherever no sum of two products can leave int16,
           ``2 * (qmax - qmin) * max|w| <= 32767`` (7-bit activations or 7-bit weights, for
           example), or none of two neighbouring channels, or the processor does not add pairs in
           int16 (measured), and the accumulators cannot leave int32. QNNPACK's are taken for
           products of rows where there is no oneDNN.
int8 half  Full 8-bit operands on a chip that does add pairs in int16: the same operators, with
twice      every other channel given twice, so that nothing saturates (`labkit.kernels.pairs`): a
           sum half as long again.
int8 twice The same with every channel given twice, and all weights split into two halves, ``w = w
           // 2 + (w - w // 2)``, where that does not suffice.
float32    Exact floating-point products (`labkit.kernels.exact`): no engine that is exact (as for
           most layers on a Mac), weights that with their zero points need 9 bits, groups that the
           engine has no fast kernel for, accumulators that may leave int32, requantization in
           fixed point.
========== ========================================================================================

`labkit.kernels.choosing` has the conditions in order.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor

import labkit.kernels.engines as engines
import labkit.kernels.kept as kept
import labkit.kernels.qnnpack as qnnpack
import labkit.kernels.reference as reference
from labkit.kernels.choosing import chosen
from labkit.kernels.exact import ExactRoad
from labkit.kernels.layer import Layer
from labkit.kernels.output_stage import OutputStage
from labkit.kernels.pairs import Split
from labkit.kernels.window import Window
from labkit.qparams import Scheme


class Road(Protocol):
    """A way through a layer."""

    name: str

    def __call__(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer."""


class ReferenceRoad:
    """The formulas of `labkit.kernels.reference`, to compare with and to learn from."""

    name = "reference"

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def __call__(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer."""
        if self._layer.window is None:
            return reference.linear(self._layer, q_x)
        return reference.conv2d(self._layer, self._layer.window, q_x, q_residual)


class EngineRoad:
    """The engine's int8 operators.

    Parameters
    ----------
    layer : Layer
        What to compute.
    name : str
        Of the road.
    weights : Split
        Its weights in int8, zero points subtracted, and the channels that they take twice.
    """

    def __init__(self, layer: Layer, name: str, weights: Split) -> None:
        self.name, self._layer, self._copied = name, layer, weights.copied
        self._output = cast(OutputStage, layer.output)  # what an engine finishes with
        self._lowest = layer.x_qparams.scheme.qmin
        x_zero_point = int(layer.x_qparams.zero_point) - self._lowest
        self._product = self._prepack(weights.weight, x_zero_point)

    def __call__(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer."""
        return self._product(self._operand(q_x, dim=-1))

    def _prepack(self, weight: Tensor, x_zero_point: int) -> Callable[..., Tensor]:
        if not engines.usable():
            return qnnpack.Matmul(weight, x_zero_point, self._output)
        return engines.rows_product(weight, x_zero_point, self._output)

    def _operand(self, q_x: Tensor, dim: int) -> Tensor:
        # The engine's activations are unsigned: count from the lowest code, modulo 256.
        x = q_x.view(torch.uint8) - self._lowest if self._lowest else q_x
        if self._copied is None:
            return x
        return torch.cat([x, x[:, self._copied] if dim == 1 else x[..., self._copied]], dim)


class EngineConvolutionRoad(EngineRoad):
    """The same for a convolution, with a look at the engine for each new size of image.

    oneDNN has a kernel for every kind of window, and errs in some that are seldom used (on AVX-512,
    one channel with a horizontal stride) or ends the process (a window in the padding alone). So
    the engine has to compute random codes of a size as the exact road does before it may compute
    others; otherwise, and where it would crash, the exact road does. For one image alone it keeps
    what it has prepared (`labkit.kernels.kept`), for the first size that comes.
    """

    def __init__(self, layer: Layer, window: Window, name: str, weights: Split) -> None:
        self._window = window
        self._to_keep: tuple[Tensor, int] | None = None
        super().__init__(layer, name, weights)
        self._run_for: dict[torch.Size, Callable[..., Tensor]] = {}
        self._kept_for: torch.Size | None = None
        self._kept: Callable[..., Tensor] | None = None

    def __call__(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer."""
        shape = q_x.shape
        if shape == self._kept_for and self._kept is not None:
            return self._kept(q_x)
        image = shape[1:]
        run = self._run_for.get(image)
        if run is None:
            run = self._run_for[image] = self._trusted_for(image)
        if shape[0] == 1 and self._kept_for is None:
            self._kept_for = shape
            self._kept = self._keep(image) if run == self._run else None
        return run(q_x, q_residual)

    def _prepack(self, weight: Tensor, x_zero_point: int) -> Callable[..., Tensor]:
        if not engines.usable():
            return qnnpack.Convolution(weight, x_zero_point, self._output)
        residual = self._layer.residual_qparams
        if residual is None and self._output.dtype == torch.uint8:
            self._to_keep = weight, x_zero_point
        return engines.Convolution(
            weight,
            x_zero_point,
            self._output,
            self._window,
            residual.scheme if residual else None,
        )

    def _run(self, q_x: Tensor, q_residual: Tensor | None) -> Tensor:
        return self._product(self._operand(q_x, dim=1), q_residual)

    def _keep(self, image: torch.Size) -> Callable[..., Tensor] | None:
        if self._to_keep is None or not kept.usable():
            return None
        product = kept.KeptConvolution(*self._to_keep, self._output, self._window)
        self._to_keep = None
        q_x = _random_codes(self._layer.x_qparams.scheme, (1, *image))
        run: Callable[..., Tensor] = product
        if self._copied is not None or self._lowest:

            def run(q: Tensor) -> Tensor:
                return product(self._operand(q, dim=1))

        return run if torch.equal(run(q_x), self._run(q_x, None)) else None

    def _trusted_for(self, image: torch.Size) -> Callable[..., Tensor]:
        exact, residual = ExactRoad(self._layer), self._layer.residual_qparams
        if not self._window.always_touches(image[1:], self._layer.q_w.shape[2:]):
            return exact
        scheme = self._layer.x_qparams.scheme
        q_x = _random_codes(scheme, (2, *image))
        q_x[0] = scheme.qmax  # makes each sum of two products as large as it can be
        acc = exact.accumulators(q_x)
        q_residual = _random_codes(residual.scheme, acc.shape) if residual else None
        agrees = torch.equal(self._run(q_x, q_residual), self._layer.output(acc, q_residual))
        return self._run if agrees else exact


def choose_road(layer: Layer, backend: str) -> Road:
    """Return the fastest road that is exact for whatever the operands may hold.

    Parameters
    ----------
    layer : Layer
        What to compute.
    backend : str
        "reference" for the formulas, "torch" for speed.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    choice, weights = chosen(layer, backend)
    if choice.road == "reference":
        return ReferenceRoad(layer)
    if weights is None:
        return ExactRoad(layer)
    if layer.window is None:
        return EngineRoad(layer, choice.road, weights)
    return EngineConvolutionRoad(layer, layer.window, choice.road, weights)


def _random_codes(scheme: Scheme, shape: Sequence[int]) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(scheme.qmin, scheme.qmax + 1, shape, generator=draw).to(scheme.dtype)
