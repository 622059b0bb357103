"""Slips in a convolution by loops, for exercise 8.9."""

from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab8.convolve_parts import by_loops, convolved, made, padded


def _as_torch_stores_them(q_w: Tensor) -> Tensor:
    outputs, rows, columns, channels = q_w.shape
    return q_w.reshape(outputs, channels, rows, columns).permute(0, 2, 3, 1)


def _square_kernel(q_w: Tensor, side: int) -> Tensor:
    """Return the kernel with as many rows as columns; raise where it has not so many."""
    places = torch.arange(q_w.shape[side])
    return q_w[:, places][:, :, places]


def _cut_short(q_w: Tensor, side: int) -> Tensor:
    """Return the kernel without the weights that loops over a square leave out."""
    places = torch.arange(q_w.shape[side])
    short = torch.zeros_like(q_w)
    short[:, places[:, None], places] = q_w[:, places[:, None], places]
    return short


def _stride_in_rows_only(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, stride: int, padding: int
) -> Tensor:
    right = made(q_x, q_w, q_bias, x_zero_point, stride, padding)
    dense = convolved(q_x.double() - x_zero_point, q_w, q_bias, (stride, 1), padding)
    return dense[:, : right.shape[1]]


def _in_float32(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, stride: int, padding: int
) -> Tensor:
    no_bias = convolved(q_x.double() - x_zero_point, q_w, 0 * q_bias, stride, padding)
    return (no_bias.float() + q_bias.float()).to(torch.int32)


def _kept_sum(acc: Tensor) -> Tensor:
    return acc.flatten().cumsum(0).reshape(acc.shape).to(torch.int32)


def _square(acc: Tensor) -> Tensor:
    """Give as many columns as rows; raise where there are not so many."""
    return acc[:, torch.arange(len(acc))]


def _one_before(q_x, q_w, q_bias, x_zero_point, stride, padding):
    height, width = (
        (n + 2 * padding - k + 1) // stride
        for n, k in zip(q_x.shape[:2], q_w.shape[1:3], strict=True)
    )
    return made(q_x, q_w, q_bias, x_zero_point, stride, padding)[:height, :width]


def _plus_padding(i: int, j: int, r: int, s: int, stride: int, padding: int) -> tuple[int, int]:
    return i * stride + r + padding, j * stride + s + padding


def _exchanged(i: int, j: int, r: int, s: int, stride: int, padding: int) -> tuple[int, int]:
    return i * stride + s - padding, j * stride + r - padding


def _dilated(i: int, j: int, r: int, s: int, stride: int, padding: int) -> tuple[int, int]:
    return i + r * stride - padding, j + s * stride - padding


def _usual(i: int, j: int, r: int, s: int, stride: int, padding: int) -> tuple[int, int]:
    return i * stride + r - padding, j * stride + s - padding


def _bias_of_each(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, stride: int, padding: int
) -> Tensor:
    """Add the bias for each pixel of the kernel that lies inside."""
    ones = torch.ones(*q_x.shape[:2], 1)
    taps = convolved(ones, torch.ones(1, *q_w.shape[1:3], 1), torch.zeros(1), stride, padding)
    return made(q_x, q_w, 0 * q_bias, x_zero_point, stride, padding) + taps * q_bias


ONCE = "A sum begins with its bias once, before the loops over the kernel."
SIDES = (
    "A kernel may have other rows than columns: r runs to q_w.shape[1], s to q_w.shape[2], and so "
    "for the sizes of the result."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "pads with the code 0",
        partial(made, outside=lambda z: -z),
        "Outside the image there is 0.0, whose code is x_zero_point. Less x_zero_point that "
        "is 0: a pixel outside adds nothing, so skip it.",
    ),
    Misconception(
        "leaves the zero point in",
        partial(made, shifted=lambda q, z: q),
        "What is multiplied is q_x - x_zero_point.",
    ),
    Misconception(
        "subtracts in bytes",
        partial(made, shifted=lambda q, z: (q.long() - z) % 256),
        "q_x is uint8, and 3 - 128 wraps to 131 in it: convert before you subtract.",
    ),
    Misconception(
        "turns the kernel round",
        partial(made, kernel=lambda q_w: q_w.flip(1, 2)),
        "In neural networks a convolution does not turn its kernel: row r of the kernel lies "
        "on row i * stride + r - padding of the image.",
    ),
    Misconception(
        "reads weights in torch's order",
        partial(made, kernel=_as_torch_stores_them),
        "Here weights lie as [out, rows, columns, channels], the channels last.",
    ),
    Misconception(
        "makes as many columns as rows",
        partial(made, given=_square),
        "Height and width are counted apart: rows from q_x.shape[0] and q_w.shape[1], columns "
        "from q_x.shape[1] and q_w.shape[2].",
    ),
    Misconception(
        "takes the codes away from the zero point",
        partial(made, shifted=lambda q, z: z - q.double()),
        "What is multiplied is q_x - x_zero_point, in this order.",
    ),
    Misconception(
        "adds the zero point",
        partial(made, shifted=lambda q, z: q.double() + z),
        "What is multiplied is q_x - x_zero_point.",
    ),
    Misconception(
        "subtracts the bias",
        partial(made, biases=lambda q_bias, q_w: -q_bias),
        "Every sum begins with q_bias[n], which is added.",
    ),
    Misconception(
        "takes the first bias for all",
        partial(made, biases=lambda q_bias, q_w: q_bias[:1].expand(len(q_bias))),
        "Each output has its own bias, q_bias[n].",
    ),
    Misconception(
        "reads signed weights as bytes without a sign",
        partial(made, kernel=lambda q_w: q_w.long() % 256),
        "The weights are int8, from -128 to 127: convert them with their sign.",
    ),
    Misconception(
        "puts the channels first",
        partial(made, given=lambda acc: acc.permute(2, 0, 1)),
        "The channels come last: [height, width, out].",
    ),
    Misconception(
        "forgets the stride along a row",
        _stride_in_rows_only,
        "The stride holds in both directions: j * stride + s - padding.",
    ),
    Misconception(
        "keeps the sum of the result before",
        partial(made, given=_kept_sum),
        "Each result is a sum of its own: begin it with acc = q_bias[n], in the loop over n.",
    ),
    Misconception(
        "forgets the bias",
        partial(made, biases=lambda q_bias, q_w: 0 * q_bias),
        "Every sum begins with q_bias[n], not with 0.",
    ),
    Misconception(
        "begins at the first pixel in spite of padding",
        padded(before=0, after=2),
        "With padding the kernel begins outside: i * stride + r - padding.",
    ),
    Misconception(
        "adds the padding",
        by_loops(_plus_padding),
        "With padding the kernel begins outside, before the first pixel: i * stride + r - padding.",
    ),
    Misconception(
        "reads pixels from the other end",
        by_loops(_usual, skip_below=False),
        "An index of -1 is the last pixel in Python, and other bytes in C: a place below 0 "
        "lies outside, too, and is skipped.",
    ),
    Misconception(
        "exchanges rows and columns of the kernel",
        by_loops(_exchanged),
        "r counts rows and goes with i, s counts columns and goes with j.",
    ),
    Misconception(
        "multiplies the places of the kernel by the stride",
        by_loops(_dilated),
        "The stride moves the whole kernel, and its weights stay neighbours: i * stride + r - "
        "padding.",
    ),
    Misconception(
        "adds 1 before it divides by the stride",
        _one_before,
        "The first place counts whole, then one more for each stride: (H + 2 * padding - R) // "
        "stride + 1.",
    ),
    Misconception(
        "pads on two sides only",
        padded(before=1, after=0),
        "The image has padding on all four sides: H + 2 * padding - R.",
    ),
    Misconception(
        "adds the bias for each weight",
        _bias_of_each,
        ONCE,
    ),
    *(
        Misconception("adds the bias for each weight", partial(made, biases=biases), ONCE)
        for biases in (
            lambda q_bias, q_w: q_bias.long() * q_w[0, ..., 0].numel(),
            lambda q_bias, q_w: q_bias.long() * q_w[0].numel(),
            lambda q_bias, q_w: q_bias.long() * q_w.shape[1],
        )
    ),
    *(
        Misconception("takes the kernel for square", partial(made, kernel=kernel), SIDES)
        for kernel in (
            partial(_square_kernel, side=1),
            partial(_square_kernel, side=2),
            partial(_cut_short, side=1),
            partial(_cut_short, side=2),
        )
    ),
    Misconception(
        "has a row and a column too few",
        partial(made, given=lambda acc: acc[:-1, :-1]),
        "(H + 2 * padding - R) // stride are the steps that the kernel can take; it stands "
        "once more than it steps: + 1.",
    ),
    Misconception(
        "adds up in float32",
        _in_float32,
        "float32 has 24 bits, and loses the lowest ones of a large sum. Add up in int32 or "
        "int64, or in float64.",
    ),
)
