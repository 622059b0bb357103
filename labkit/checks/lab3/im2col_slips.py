"""Slips in writing the patches of an image as columns, for exercise 3.10."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab3.im2col_parts import (
    by_one,
    by_the_kernel,
    counted_by_one,
    repeated,
    unfolded,
    without_last,
    written,
)
from labkit.checks.lab3.inputs import difference_in_8_bits

ORDER = (
    "A column must have the order of q_w.flatten(1): channel, then kernel row, then kernel column."
)
LAST_START = (
    "The last patch starts at H - k, which range(0, H - k, stride) leaves out: range(0, H - k + "
    "1, stride)."
)
FOUR_SIDES = "`padding` rows and columns lie on each of the four sides: pad by (padding,) * 4."
CODES = "The columns hold codes, as the image does; the correction comes after the product."
NOT_SQUARE = (
    "An image may have more rows than columns, or fewer: q_x.shape[1] and q_x.shape[2] apart."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "pads with 0",
        partial(written, value=lambda q_x, zero_point: 0),
        "The code 0 stands for -Z * S, not for 0.0: pad with zero_point.",
    ),
    Misconception(
        "does not pad",
        partial(written, frame=lambda padding, kernel_size: (0,) * 4),
        "Add `padding` rows and columns on each side first.",
    ),
    Misconception(
        "stops one position early",
        partial(written, down=without_last, across=without_last),
        LAST_START,
    ),
    Misconception(
        "stops one position early downwards",
        partial(written, down=without_last),
        LAST_START,
    ),
    Misconception(
        "stops one position early to the right",
        partial(written, across=without_last),
        "The last patch starts at W - k, which range(0, W - k, stride) leaves out: range(0, W - k "
        "+ 1, stride).",
    ),
    Misconception(
        "moves by one pixel always",
        partial(written, down=by_one, across=by_one),
        "The kernel moves by `stride` pixels, down as well as to the right.",
    ),
    Misconception(
        "moves by `stride` to the right only",
        partial(written, down=by_one),
        "The kernel moves by `stride` pixels downwards, too.",
    ),
    Misconception(
        "moves by `stride` downwards only",
        partial(written, across=by_one),
        "The kernel moves by `stride` pixels to the right, too.",
    ),
    Misconception(
        "moves by one pixel, as often as by `stride`",
        partial(written, down=counted_by_one, across=counted_by_one),
        "Position i starts at pixel i * stride: padded[:, i * stride : i * stride + kernel_size, "
        "...].",
    ),
    Misconception(
        "moves by the size of the kernel",
        partial(written, down=by_the_kernel, across=by_the_kernel),
        "The kernel moves by `stride` pixels, and patches may overlap.",
    ),
    Misconception(
        "pads below and to the right only, by 2 * padding",
        partial(written, frame=lambda padding, kernel_size: (0, 2 * padding, 0, 2 * padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads below and to the right only",
        partial(written, frame=lambda padding, kernel_size: (0, padding, 0, padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads above and to the left only",
        partial(written, frame=lambda padding, kernel_size: (padding, 0, padding, 0)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads to the left and to the right only",
        partial(written, frame=lambda padding, kernel_size: (padding, padding, 0, 0)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads above and below only",
        partial(written, frame=lambda padding, kernel_size: (0, 0, padding, padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads twice as wide",
        partial(written, frame=lambda padding, kernel_size: (2 * padding,) * 4),
        "`padding` rows and columns lie on each side; together they make the image 2 * padding "
        "larger.",
    ),
    Misconception(
        "pads by half of the kernel, whatever `padding` is",
        partial(written, frame=lambda padding, kernel_size: (kernel_size // 2,) * 4),
        "The frame is an argument: pad by (padding,) * 4.",
    ),
    Misconception(
        "pads with the smallest code",
        partial(written, value=lambda q_x, zero_point: int(q_x.min())),
        "What stands for 0.0 is the code zero_point: pad with that.",
    ),
    Misconception(
        "pads with -zero_point",
        partial(written, value=lambda q_x, zero_point: -zero_point),
        "0.0 has the code zero_point, with its own sign: pad with that.",
    ),
    Misconception(
        "subtracts the zero point from the pixels",
        partial(
            written,
            pixels=lambda q_x, zero_point: q_x.int() - zero_point,
            value=lambda q_x, zero_point: 0,
        ),
        CODES,
    ),
    Misconception(
        "takes the zero point off the pixels, and not off the frame",
        partial(written, pixels=lambda q_x, zero_point: q_x.int() - zero_point),
        CODES,
    ),
    Misconception(
        "takes the zero point away in 8 bits",
        partial(
            written,
            pixels=lambda q_x, zero_point: difference_in_8_bits(q_x, zero_point).int(),
            value=lambda q_x, zero_point: 0,
        ),
        "The columns hold codes, as the image does, and q - Z needs 9 bits: leave the pixels as "
        "they are.",
    ),
    Misconception(
        "adds the zero point to every pixel",
        partial(written, pixels=lambda q_x, zero_point: q_x.int() + zero_point),
        "The pixels are codes already. Only the frame around them gets the code zero_point.",
    ),
    Misconception(
        "reads unsigned codes as signed ones",
        partial(written, pixels=lambda q_x, zero_point: q_x.char().int()),
        "In int8 the code 255 of uint8 becomes -1: convert to int32, or keep the dtype of q_x.",
    ),
    Misconception(
        "takes the height for the width as well",
        partial(written, sizes=lambda height, width, padding: (height, height)),
        NOT_SQUARE,
    ),
    Misconception(
        "takes the width for the height as well",
        partial(written, sizes=lambda height, width, padding: (width, width)),
        NOT_SQUARE,
    ),
    Misconception(
        "reshapes without changing the order of the dimensions",
        partial(written, joined=unfolded),
        "unfold puts the kernel's rows and columns last, behind the positions: .permute(0, 3, 4, "
        "1, 2) first.",
    ),
    Misconception(
        "writes each patch as a row",
        partial(written, joined=lambda patches, shape: patches.reshape(shape).t()),
        "Here a patch is a column, so that q_w.flatten(1) @ columns is the convolution: stack "
        "along dim=1.",
    ),
    Misconception(
        "reads the patches, one behind the other, as rows",
        partial(written, joined=lambda patches, shape: patches.reshape(shape).t().reshape(shape)),
        "A patch is a column: reshape to [positions, C * kernel_size**2] and turn that round "
        "with .t(), or stack along dim=1.",
    ),
    Misconception(
        "goes down the columns of the image first",
        partial(written, positions=(1, 0)),
        "The positions run as the pixels lie in memory: along a row of the result, then the next "
        "row.",
    ),
    Misconception(
        "puts the channels last in a column",
        partial(written, within=(1, 2, 0)),
        ORDER,
    ),
    Misconception(
        "exchanges kernel rows and kernel columns",
        partial(written, within=(0, 2, 1)),
        ORDER,
    ),
    Misconception(
        "has the order of a column backwards",
        partial(written, within=(2, 1, 0)),
        ORDER,
    ),
    Misconception(
        "turns the kernel by half a turn",
        partial(written, turned=lambda patches: patches.flip(3, 4)),
        "That is the convolution of signal processing. Networks do not flip the kernel.",
    ),
    Misconception(
        "keeps the channels apart",
        partial(written, joined=lambda patches, shape: patches.reshape(len(patches), -1, shape[1])),
        "A column holds all channels of a patch: flatten [C, kernel, kernel] to one dimension.",
    ),
    Misconception(
        "pads with the lowest code of the dtype",
        partial(written, value=lambda q_x, zero_point: torch.iinfo(q_x.dtype).min),
        "What stands for 0.0 is the code zero_point: pad with that.",
    ),
    *(
        Misconception(
            "pads with the pixels at the border",
            partial(written, padded=partial(repeated, mode=mode)),
            "The padding stands for the value 0.0: pad with its code, value=zero_point.",
        )
        for mode in ("replicate", "reflect")
    ),
    Misconception(
        "counts the positions of the image without its padding",
        partial(
            written,
            sizes=lambda height, width, padding: (height - 2 * padding, width - 2 * padding),
        ),
        "The kernel moves over the padded image: there are (H + 2 * padding - k) // stride + 1 "
        "rows of positions.",
    ),
    Misconception(
        "takes every pixel of the code 0 for padding",
        partial(
            written,
            pixels=lambda q_x, zero_point: torch.where(q_x == 0, zero_point, q_x.int()),
        ),
        "A pixel may have the code 0, too, and keeps it. Pad with zero_point from the start: "
        "nn.functional.pad(..., value=zero_point).",
    ),
    Misconception(
        "takes 128 off unsigned codes",
        partial(
            written, pixels=lambda q_x, zero_point: q_x.int() - 128 * (q_x.dtype == torch.uint8)
        ),
        CODES,
    ),
)
