"""What talks to oneDNN, torch's int8 engine on x86.

It uses oneDNN's operators on plain integer tensors, ``torch.ops.onednn.*_pointwise``: fbgemm and
qnnpack (`labkit.kernels.qnnpack`) need torch's quantized tensors, which are to be removed
(pytorch#184982). What an engine can do is measured by calling it, not read from a list of
processors.

A chip without 8-bit dot products (AVX2 without VNNI) multiplies unsigned activations by signed
weights with ``vpmaddubsw``, which adds pairs of products in int16 and saturates: 255 * 127 twice
gives 32,767, where 64,770 is right.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.kernels.output_stage import OutputStage
from labkit.kernels.timing import quicker
from labkit.kernels.window import Window
from labkit.qparams import Scheme

OPERATORS = ("qlinear_prepack", "qlinear_pointwise", "qconv_prepack", "qconv2d_pointwise")

# The codes that may come out, and how a kernel with a residual keeps to them: dtype and post-op.
# It knows no other bounds than those of a dtype and the 0 of relu.
RESIDUAL_CLAMPS = {
    (0, 255): (torch.uint8, "none"),
    (0, 127): (torch.int8, "relu"),
    (-128, 127): (torch.int8, "none"),
}


# Where oneDNN has no kernel for a processor, plain loops give the right integers: tens of times as
# slowly as products in float32.
SLOWEST = 4.0


@cache
def usable() -> bool:
    """Tell whether the operators exist, finish as `OutputStage` does, and are no plain loops."""
    return _exact() and _is_compiled_for_this_processor()


def _exact() -> bool:
    if not all(hasattr(torch.ops.onednn, name) for name in OPERATORS):
        return False
    draw = torch.Generator().manual_seed(0)
    x, weight, multiplier, offset = probe(draw, images=2)
    alone = OutputStage(multiplier, offset, 3, 127, torch.uint8)
    joined = OutputStage(multiplier, offset, 0, 127, torch.uint8, step=1.7)
    window, zero_point = Window(), 5
    acc = F.conv2d(x.double() - zero_point, weight.double())
    residual = torch.randint(0, 128, acc.shape, generator=draw, dtype=torch.uint8)
    rows = x.flatten(1)
    matrix = torch.randint(-128, 128, (16, rows.shape[1]), generator=draw, dtype=torch.int8)
    flat = OutputStage(multiplier.flatten(), offset.flatten(), 0, 255, torch.uint8)
    try:
        results = [
            Convolution(weight, zero_point, alone, window)(x),
            Convolution(weight, zero_point, joined, window, Scheme(7, signed=False))(x, residual),
            Matmul(matrix, zero_point, flat)(rows),
        ]
    except RuntimeError:  # Declared, but without a kernel for this processor.
        return False
    expected = [
        alone(acc),
        joined(acc, residual),
        flat((rows.double() - zero_point) @ matrix.double().t()),
    ]
    return all(torch.equal(*pair) for pair in zip(results, expected, strict=True))


def _is_compiled_for_this_processor() -> bool:
    x = torch.ones(1, 64, 14, 14, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, dtype=torch.int8)
    output = OutputStage(torch.ones(64), torch.zeros(64), 0, 255, torch.uint8)
    convolution = Convolution(weight, 0, output, Window())
    real, real_weight = x.float(), weight.float()
    return quicker(lambda: convolution(x), lambda: F.conv2d(real, real_weight), SLOWEST)


def probe(draw: torch.Generator, images: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images, weights, multipliers and offsets of a convolution with many ties."""
    x = torch.randint(0, 128, (images, 8, 7, 7), generator=draw, dtype=torch.uint8)
    weight = torch.randint(-128, 128, (16, 8, 3, 3), generator=draw, dtype=torch.int8)
    # Half of the multipliers are 2^-7: so are the ties made.
    multiplier = torch.rand(16, 1, 1, generator=draw).mul_(2**-6)
    multiplier[::2] = 2**-7
    offset = torch.randint(0, 128, (16, 1, 1), generator=draw) + multiplier * 301
    return x, weight, multiplier, offset


@cache
def saturates(depthwise: bool = False) -> bool:
    """Tell whether sums of 255 * 127 come out wrong, in a dense or in a depthwise kernel."""
    channels, size = 16, 3
    inputs = 1 if depthwise else channels
    images = torch.full((1, channels, size, size), 255, dtype=torch.uint8)
    weight = torch.full((channels, inputs, size, size), 127, dtype=torch.int8)
    points = weight[:, :, :1, :1].contiguous()

    def gives_200(terms: int) -> OutputStage:
        multiplier = torch.full((channels,), 200 / (255 * 127 * terms))
        return OutputStage(multiplier, torch.zeros(channels), 0, 255, torch.uint8)

    area = inputs * size * size
    if depthwise:
        results = [Convolution(weight, 0, gives_200(area), Window(groups=channels))(images)]
    else:
        results = [
            Convolution(weight, 0, gives_200(area), Window())(images),
            Convolution(points, 0, gives_200(inputs), Window())(images),
            Matmul(points.flatten(1), 0, gives_200(inputs))(images[:, :, 0, 0]),
        ]
    return any(bool((result != 200).any()) for result in results)


@cache
def adds_neighbours() -> bool:
    """Tell whether no other sums come out wrong than those of the channels (0, 1), (2, 3), ...

    The weights are such that these fit into int16, and those of any other two do not.
    """
    channels, size = 16, 3
    images = torch.full((2, channels, size, size), 255, dtype=torch.uint8)
    rows = images[0, :, :, 0].t()

    def gives_200(area: int) -> OutputStage:
        multiplier = torch.full((channels,), 200 / (255 * 64 * channels * area))
        return OutputStage(multiplier, torch.zeros(channels), 0, 255, torch.uint8)

    results = []
    for one in (0, 1):
        for other in (2, 3):
            weight = torch.ones(channels, channels, size, size, dtype=torch.int8)
            weight[:, one::4] = weight[:, other::4] = 127
            points = weight[:, :, :1, :1].contiguous()
            product = rows_product(points.flatten(1), 0, gives_200(1))
            results += [
                Convolution(weight, 0, gives_200(size * size), Window())(images),
                Convolution(points, 0, gives_200(1), Window())(images),
                *(product(rows), product(rows[:1])),
            ]
    return all(bool((result == 200).all()) for result in results)


def rows_product(
    weight: Tensor, x_zero_point: int, output: OutputStage
) -> Callable[[Tensor], Tensor]:
    """Return the faster operator for a linear layer, [..., in] -> [..., out].

    Where there are no 8-bit dot products, oneDNN multiplies few rows slowly, but not as a 1x1
    convolution over the pixels of one image, which is the same sum.
    """
    if not saturates():
        return Matmul(weight, x_zero_point, output)
    convolution = Convolution(weight[:, :, None, None], x_zero_point, output, Window())

    def product(x: Tensor) -> Tensor:
        # Rows of a matrix lie in memory as pixels with their channels last: nothing is copied.
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        return convolution(pixels).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)

    return product


class Matmul:
    """A prepacked product with its output stage, uint8 [..., in] -> [..., out].

    Parameters
    ----------
    weight : Tensor
        int8 [out, in].
    x_zero_point : int
        Zero point of the activations.
    output : OutputStage
        With one multiplier and one offset per output.
    """

    def __init__(self, weight: Tensor, x_zero_point: int, output: OutputStage) -> None:
        packed = torch.ops.onednn.qlinear_prepack(weight.contiguous(), None)
        no_zero_points = torch.zeros(len(weight), dtype=torch.int32)
        self._arguments = (
            *(1.0, x_zero_point),
            *(packed, output.multiplier.flatten().contiguous(), no_zero_points),
            output.offset.flatten().contiguous(),
            *(1.0, 0, output.dtype),
            *_clamp(output),
            "",
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the product."""
        return torch.ops.onednn.qlinear_pointwise.default(x, *self._arguments)


class Convolution:
    """A prepacked convolution with its output stage, uint8 [N, in, H, W] -> [N, out, H', W'].

    Only for images for which `Window.always_touches`: on AVX-512, oneDNN ends the process where a
    window lies in the padding alone.

    Parameters
    ----------
    weight : Tensor
        int8 [out, in / groups, kernel height, kernel width].
    x_zero_point, output
        As for `Matmul`.
    window : Window
        Stride, padding, dilation and groups.
    residual : Scheme, optional
        Codes of the residual that each call adds.
    """

    def __init__(
        self,
        weight: Tensor,
        x_zero_point: int,
        output: OutputStage,
        window: Window,
        residual: Scheme | None = None,
    ) -> None:
        self._output, self._residual = output, residual
        multiplier = output.multiplier.flatten().contiguous()
        packed = torch.ops.onednn.qconv_prepack(
            weight.contiguous(), multiplier, 1.0, x_zero_point, *moves(window), None
        )
        no_zero_points = torch.zeros(len(weight), dtype=torch.int32)
        self._operands = (1.0, x_zero_point, packed, multiplier, no_zero_points)
        self._offset_and_moves = (output.offset.flatten().contiguous(), *moves(window))
        self._codes = (1.0, 0, output.dtype, *_clamp(output), "")

    def __call__(self, x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the convolution."""
        if q_residual is None:
            return torch.ops.onednn.qconv2d_pointwise.default(
                x, *self._operands, *self._offset_and_moves, *self._codes
            )
        dtype, post_op = RESIDUAL_CLAMPS.get((self._output.low, self._output.high), (None, ""))
        if dtype is None or not _readable_as(self._residual, dtype):
            real = torch.ops.onednn.qconv2d_pointwise.default(
                x, *self._operands, *self._offset_and_moves, 1.0, 0, torch.float32, "none", [], ""
            )
            return self._output.finish(real, q_residual)
        # The operator adds to the residual in place.
        total = q_residual.clone(memory_format=torch.channels_last)
        total = total if total.dtype == dtype else total.view(dtype)
        torch.ops.onednn.qconv2d_pointwise.binary(
            x,
            *self._operands,
            total,
            *self._offset_and_moves,
            *(self._output.step, 0, dtype),
            *(1.0, 0, "sum", 1.0),
            *(post_op, [], ""),
        )
        return total.view(self._output.dtype)


def moves(window: Window) -> tuple[list[int], list[int], list[int], int]:
    """Return a window as the operators take it."""
    return list(window.stride), list(window.padding), list(window.dilation), window.groups


def _clamp(output: OutputStage) -> tuple[str, list[float]]:
    """Return the post-op that keeps codes in [low, high], where the dtype alone does not."""
    info = torch.iinfo(output.dtype)
    if (output.low, output.high) == (info.min, info.max):
        return "none", []
    return "hardtanh", [float(output.low), float(output.high)]


def _readable_as(scheme: Scheme | None, dtype: torch.dtype) -> bool:
    """Tell whether the bytes of the scheme's codes mean the same in `dtype`."""
    return scheme is not None and (
        scheme.dtype == dtype or (scheme.qmin >= 0 and scheme.qmax <= 127)
    )
