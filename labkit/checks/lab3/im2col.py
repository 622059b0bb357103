"""Exercise 3.10: a convolution as a product of matrices."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one
from labkit.checks.lab3.inputs import int8_codes, uint8_codes
from labkit.checks.rules import Codes


def im2col(q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int) -> Tensor:
    """Return the patches under the kernel as columns, [C * kernel_size^2, positions]."""
    padded = F.pad(q_x.to(torch.int32), (padding,) * 4, value=zero_point)
    patches = padded.unfold(1, kernel_size, stride).unfold(2, kernel_size, stride)
    channels, height, width = patches.shape[:3]
    columns = patches.permute(0, 3, 4, 1, 2)
    return columns.reshape(channels * kernel_size**2, height * width)


def _im2col_cases(rng: torch.Generator) -> list[Case]:
    ramp = (torch.arange(12) + one(rng, 1, 100)).char().reshape(1, 3, 4)
    return [
        Case("one channel, no padding", (ramp, 2, 1, 0, 0)),
        Case("two channels", (uint8_codes(rng, 2, 3, 3), 2, 1, 0, 0)),
        Case("padding with zero point 0", (ramp, 3, 1, 1, 0)),
        Case("padding with another zero point", (uint8_codes(rng, 2, 3, 4), 3, 1, 1, 131)),
        Case("a kernel of one pixel", (int8_codes(rng, 3, 2, 3), 1, 1, 0, -5)),
        Case("a stride", (uint8_codes(rng, 1, 6, 5), 2, 2, 0, 7)),
        Case("stride and padding", (int8_codes(rng, 3, 5, 7), 3, 2, 1, -77)),
        Case("as many rows as columns", (uint8_codes(rng, 1, 4, 4), 2, 2, 0, 3)),
        Case("a stride that leaves a rest", (int8_codes(rng, 2, 7, 6), 3, 3, 1, -128)),
        Case("a wide padding", (uint8_codes(rng, 2, 5, 4), 3, 1, 2, 255)),
    ]


def _rearranged(
    change: Callable[[Tensor, int, int], Tensor],
) -> Callable[[Tensor, int, int, int, int], Tensor]:
    """Return im2col with its result, [C, kernel, kernel, positions], arranged otherwise."""

    def wrong(q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int) -> Tensor:
        right = im2col(q_x, kernel_size, stride, padding, zero_point)
        width = (q_x.shape[2] + 2 * padding - kernel_size) // stride + 1
        patches = right.reshape(len(q_x), kernel_size, kernel_size, -1, width)
        return change(patches, *right.shape)

    return wrong


def _in_one_direction(
    q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int
) -> Tensor:
    width = (q_x.shape[2] + 2 * padding - kernel_size) + 1
    columns = im2col(q_x, kernel_size, 1, padding, zero_point)
    patches = columns.reshape(len(columns), -1, width)
    return patches[:, :, ::stride].reshape(len(columns), -1)


def _one_position_early(
    q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int
) -> Tensor:
    padded = F.pad(q_x.to(torch.int32), (padding,) * 4, value=zero_point)
    height, width = padded.shape[1:]
    if min(height, width) <= kernel_size:
        return q_x.new_zeros(0)
    return im2col(padded[:, : height - 1, : width - 1], kernel_size, stride, 0, zero_point)


def _padded_behind(
    q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int
) -> Tensor:
    padded = F.pad(q_x.to(torch.int32), (0, 2 * padding, 0, 2 * padding), value=zero_point)
    return im2col(padded, kernel_size, stride, 0, zero_point)


def _not_permuted(
    q_x: Tensor, kernel_size: int, stride: int, padding: int, zero_point: int
) -> Tensor:
    right = im2col(q_x, kernel_size, stride, padding, zero_point)
    patches = right.reshape(len(q_x), kernel_size**2, -1).transpose(1, 2)
    return patches.reshape(right.shape)


IM2COL = Exercise(
    id="3.10",
    title="A convolution as a product of matrices",
    points=3,
    minutes=(12, 18),
    extra=True,
    reference=im2col,
    cases=_im2col_cases,
    rules=(Codes(),),
    hints=(
        "Write the patches of a 3 x 4 image under a 2 x 2 kernel on paper, each as a column. Where "
        "does the next patch start?",
        "Pad with nn.functional.pad(..., value=zero_point). Then loop over the positions, row by "
        "row: padded[:, i : i + kernel_size, j : j + kernel_size].flatten() is a column.",
        "columns = [padded[:, i : i + k, j : j + k].flatten() for i in range(0, H - k + 1, stride) "
        "for j in range(0, W - k + 1, stride)], with H and W of the padded image; then "
        "torch.stack(columns, dim=1).",
    ),
    misconceptions=(
        Misconception(
            "pads with 0",
            lambda q_x, kernel_size, stride, padding, zero_point: im2col(
                q_x, kernel_size, stride, padding, 0
            ),
            "The code 0 stands for -Z * S, not for 0.0: pad with zero_point.",
        ),
        Misconception(
            "does not pad",
            lambda q_x, kernel_size, stride, padding, zero_point: (
                im2col(q_x, kernel_size, stride, 0, zero_point)
                if kernel_size <= min(q_x.shape[1:])
                else q_x.new_zeros(0)
            ),
            "Add `padding` rows and columns on each side first.",
        ),
        Misconception(
            "stops one position early",
            _one_position_early,
            "The last patch starts at H - k, which range(0, H - k, stride) leaves out: "
            "range(0, H - k + 1, stride).",
        ),
        Misconception(
            "moves by one pixel always",
            lambda q_x, kernel_size, stride, padding, zero_point: im2col(
                q_x, kernel_size, 1, padding, zero_point
            ),
            "The kernel moves by `stride` pixels, down as well as to the right.",
        ),
        Misconception(
            "moves by `stride` to the right only",
            _in_one_direction,
            "The kernel moves by `stride` pixels downwards, too.",
        ),
        Misconception(
            "pads below and to the right only",
            _padded_behind,
            "`padding` rows and columns lie on each of the four sides: pad by (padding,) * 4.",
        ),
        Misconception(
            "takes the zero point away",
            lambda q_x, kernel_size, stride, padding, zero_point: (
                im2col(q_x, kernel_size, stride, padding, zero_point) - zero_point
            ),
            "The columns hold codes, as the image does; the correction comes after the product.",
        ),
        Misconception(
            "reshapes without changing the order of the dimensions",
            _not_permuted,
            "unfold puts the kernel's rows and columns last, behind the positions: "
            ".permute(0, 3, 4, 1, 2) first.",
        ),
        Misconception(
            "writes each patch as a row",
            _rearranged(lambda patches, rows, columns: patches.reshape(rows, columns).t()),
            "Here a patch is a column, so that q_w.flatten(1) @ columns is the convolution: stack "
            "along dim=1.",
        ),
        Misconception(
            "goes down the columns of the image first",
            _rearranged(lambda patches, rows, columns: patches.mT.reshape(rows, columns)),
            "The positions run as the pixels lie in memory: along a row of the result, then the "
            "next row.",
        ),
        Misconception(
            "puts the channels last in a column",
            _rearranged(
                lambda patches, rows, columns: patches.permute(1, 2, 0, 3, 4).reshape(rows, columns)
            ),
            "A column must have the order of q_w.flatten(1): channel, then kernel row, then kernel "
            "column.",
        ),
        Misconception(
            "turns the kernel by half a turn",
            _rearranged(lambda patches, rows, columns: patches.flip(1, 2).reshape(rows, columns)),
            "That is the convolution of signal processing. Networks do not flip the kernel.",
        ),
        Misconception(
            "exchanges kernel rows and kernel columns",
            _rearranged(
                lambda patches, rows, columns: patches.transpose(1, 2).reshape(rows, columns)
            ),
            "A column must have the order of q_w.flatten(1): channel, then kernel row, then kernel "
            "column.",
        ),
        Misconception(
            "adds the zero point to every pixel",
            lambda q_x, kernel_size, stride, padding, zero_point: (
                im2col(q_x, kernel_size, stride, padding, 0) + zero_point
            ),
            "The pixels are codes already. Only the frame around them gets the code zero_point.",
        ),
    ),
)
