"""Slips in writing the patches of an image as columns, for exercise 3.10."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab3.inputs import difference_in_8_bits

Starts = Callable[[int, int, int], Sequence[int]]


def _every_start(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    return range(0, size - kernel_size + 1, stride)


def _written(
    q_x: Tensor,
    kernel_size: int,
    stride: int,
    padding: int,
    zero_point: int,
    *,
    pixels: Callable[[Tensor, int], Tensor] = lambda q_x, zero_point: q_x.to(torch.int32),
    frame: Callable[[int, int], tuple[int, ...]] = lambda padding, kernel_size: (padding,) * 4,
    value: Callable[[Tensor, int], int] = lambda q_x, zero_point: zero_point,
    padded: Callable[[Tensor, tuple[int, ...], int], Tensor] = lambda q_x, frame, value: F.pad(
        q_x, frame, value=value
    ),
    sizes: Callable[[int, int, int], tuple[int, int]] = lambda height, width, padding: (
        height,
        width,
    ),
    down: Starts = _every_start,
    across: Starts = _every_start,
    turned: Callable[[Tensor], Tensor] = lambda patches: patches,
    within: tuple[int, ...] = (0, 1, 2),
    positions: tuple[int, ...] = (0, 1),
    joined: Callable[..., Tensor] = torch.reshape,
) -> Tensor:
    """Return the patches as columns, of which any part may be another one."""
    filler = value(q_x, zero_point)
    image = padded(pixels(q_x, zero_point), frame(padding, kernel_size), filler)
    height, width = sizes(image.shape[1], image.shape[2], padding)
    below, beside = down(height, kernel_size, stride), across(width, kernel_size, stride)
    if not (below and beside):
        raise ValueError(
            f"the kernel of {kernel_size} does not fit into {height} x {width} pixels."
        )
    step = torch.arange(kernel_size)
    rows = torch.tensor(below)[:, None, None, None] + step[:, None]
    columns = torch.tensor(beside)[:, None, None] + step
    patches = turned(image[:, rows, columns])  # [C, down, across, kernel row, kernel column]
    order = [(0, 3, 4)[k] for k in within] + [(1, 2)[k] for k in positions]
    shape = (len(q_x) * kernel_size**2, len(below) * len(beside))
    return joined(patches.permute(order), shape)


def _repeated(q_x: Tensor, frame: tuple[int, ...], value: int, mode: str) -> Tensor:
    return F.pad(q_x[None].double(), frame, mode=mode)[0].int()


def _without_last(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    return range(0, size - kernel_size, stride)


def _by_one(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    return range(size - kernel_size + 1)


def _by_the_kernel(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    return range(0, size - kernel_size + 1, kernel_size)


def _counted_by_one(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    """Return as many neighbouring places as there are starts."""
    return range(len(_every_start(size, kernel_size, stride)))


def _unfolded(patches: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return what reshaping makes of [C, down, across, kernel row, kernel column]."""
    return patches.permute(0, 3, 4, 1, 2).reshape(shape)


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
        partial(_written, value=lambda q_x, zero_point: 0),
        "The code 0 stands for -Z * S, not for 0.0: pad with zero_point.",
    ),
    Misconception(
        "does not pad",
        partial(_written, frame=lambda padding, kernel_size: (0,) * 4),
        "Add `padding` rows and columns on each side first.",
    ),
    Misconception(
        "stops one position early",
        partial(_written, down=_without_last, across=_without_last),
        LAST_START,
    ),
    Misconception(
        "stops one position early downwards",
        partial(_written, down=_without_last),
        LAST_START,
    ),
    Misconception(
        "stops one position early to the right",
        partial(_written, across=_without_last),
        "The last patch starts at W - k, which range(0, W - k, stride) leaves out: range(0, W - k "
        "+ 1, stride).",
    ),
    Misconception(
        "moves by one pixel always",
        partial(_written, down=_by_one, across=_by_one),
        "The kernel moves by `stride` pixels, down as well as to the right.",
    ),
    Misconception(
        "moves by `stride` to the right only",
        partial(_written, down=_by_one),
        "The kernel moves by `stride` pixels downwards, too.",
    ),
    Misconception(
        "moves by `stride` downwards only",
        partial(_written, across=_by_one),
        "The kernel moves by `stride` pixels to the right, too.",
    ),
    Misconception(
        "moves by one pixel, as often as by `stride`",
        partial(_written, down=_counted_by_one, across=_counted_by_one),
        "Position i starts at pixel i * stride: padded[:, i * stride : i * stride + kernel_size, "
        "...].",
    ),
    Misconception(
        "moves by the size of the kernel",
        partial(_written, down=_by_the_kernel, across=_by_the_kernel),
        "The kernel moves by `stride` pixels, and patches may overlap.",
    ),
    Misconception(
        "pads below and to the right only, by 2 * padding",
        partial(_written, frame=lambda padding, kernel_size: (0, 2 * padding, 0, 2 * padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads below and to the right only",
        partial(_written, frame=lambda padding, kernel_size: (0, padding, 0, padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads above and to the left only",
        partial(_written, frame=lambda padding, kernel_size: (padding, 0, padding, 0)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads to the left and to the right only",
        partial(_written, frame=lambda padding, kernel_size: (padding, padding, 0, 0)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads above and below only",
        partial(_written, frame=lambda padding, kernel_size: (0, 0, padding, padding)),
        FOUR_SIDES,
    ),
    Misconception(
        "pads twice as wide",
        partial(_written, frame=lambda padding, kernel_size: (2 * padding,) * 4),
        "`padding` rows and columns lie on each side; together they make the image 2 * padding "
        "larger.",
    ),
    Misconception(
        "pads by half of the kernel, whatever `padding` is",
        partial(_written, frame=lambda padding, kernel_size: (kernel_size // 2,) * 4),
        "The frame is an argument: pad by (padding,) * 4.",
    ),
    Misconception(
        "pads with the smallest code",
        partial(_written, value=lambda q_x, zero_point: int(q_x.min())),
        "What stands for 0.0 is the code zero_point: pad with that.",
    ),
    Misconception(
        "pads with -zero_point",
        partial(_written, value=lambda q_x, zero_point: -zero_point),
        "0.0 has the code zero_point, with its own sign: pad with that.",
    ),
    Misconception(
        "subtracts the zero point from the pixels",
        partial(
            _written,
            pixels=lambda q_x, zero_point: q_x.int() - zero_point,
            value=lambda q_x, zero_point: 0,
        ),
        CODES,
    ),
    Misconception(
        "takes the zero point off the pixels, and not off the frame",
        partial(_written, pixels=lambda q_x, zero_point: q_x.int() - zero_point),
        CODES,
    ),
    Misconception(
        "takes the zero point away in 8 bits",
        partial(
            _written,
            pixels=lambda q_x, zero_point: difference_in_8_bits(q_x, zero_point).int(),
            value=lambda q_x, zero_point: 0,
        ),
        "The columns hold codes, as the image does, and q - Z needs 9 bits: leave the pixels as "
        "they are.",
    ),
    Misconception(
        "adds the zero point to every pixel",
        partial(_written, pixels=lambda q_x, zero_point: q_x.int() + zero_point),
        "The pixels are codes already. Only the frame around them gets the code zero_point.",
    ),
    Misconception(
        "reads unsigned codes as signed ones",
        partial(_written, pixels=lambda q_x, zero_point: q_x.char().int()),
        "In int8 the code 255 of uint8 becomes -1: convert to int32, or keep the dtype of q_x.",
    ),
    Misconception(
        "takes the height for the width as well",
        partial(_written, sizes=lambda height, width, padding: (height, height)),
        NOT_SQUARE,
    ),
    Misconception(
        "takes the width for the height as well",
        partial(_written, sizes=lambda height, width, padding: (width, width)),
        NOT_SQUARE,
    ),
    Misconception(
        "reshapes without changing the order of the dimensions",
        partial(_written, joined=_unfolded),
        "unfold puts the kernel's rows and columns last, behind the positions: .permute(0, 3, 4, "
        "1, 2) first.",
    ),
    Misconception(
        "writes each patch as a row",
        partial(_written, joined=lambda patches, shape: patches.reshape(shape).t()),
        "Here a patch is a column, so that q_w.flatten(1) @ columns is the convolution: stack "
        "along dim=1.",
    ),
    Misconception(
        "reads the patches, one behind the other, as rows",
        partial(_written, joined=lambda patches, shape: patches.reshape(shape).t().reshape(shape)),
        "A patch is a column: reshape to [positions, C * kernel_size**2] and turn that round "
        "with .t(), or stack along dim=1.",
    ),
    Misconception(
        "goes down the columns of the image first",
        partial(_written, positions=(1, 0)),
        "The positions run as the pixels lie in memory: along a row of the result, then the next "
        "row.",
    ),
    Misconception(
        "puts the channels last in a column",
        partial(_written, within=(1, 2, 0)),
        ORDER,
    ),
    Misconception(
        "exchanges kernel rows and kernel columns",
        partial(_written, within=(0, 2, 1)),
        ORDER,
    ),
    Misconception(
        "has the order of a column backwards",
        partial(_written, within=(2, 1, 0)),
        ORDER,
    ),
    Misconception(
        "turns the kernel by half a turn",
        partial(_written, turned=lambda patches: patches.flip(3, 4)),
        "That is the convolution of signal processing. Networks do not flip the kernel.",
    ),
    Misconception(
        "keeps the channels apart",
        partial(
            _written, joined=lambda patches, shape: patches.reshape(len(patches), -1, shape[1])
        ),
        "A column holds all channels of a patch: flatten [C, kernel, kernel] to one dimension.",
    ),
    Misconception(
        "pads with the lowest code of the dtype",
        partial(_written, value=lambda q_x, zero_point: torch.iinfo(q_x.dtype).min),
        "What stands for 0.0 is the code zero_point: pad with that.",
    ),
    *(
        Misconception(
            "pads with the pixels at the border",
            partial(_written, padded=partial(_repeated, mode=mode)),
            "The padding stands for the value 0.0: pad with its code, value=zero_point.",
        )
        for mode in ("replicate", "reflect")
    ),
    Misconception(
        "counts the positions of the image without its padding",
        partial(
            _written,
            sizes=lambda height, width, padding: (height - 2 * padding, width - 2 * padding),
        ),
        "The kernel moves over the padded image: there are (H + 2 * padding - k) // stride + 1 "
        "rows of positions.",
    ),
    Misconception(
        "takes every pixel of the code 0 for padding",
        partial(
            _written,
            pixels=lambda q_x, zero_point: torch.where(q_x == 0, zero_point, q_x.int()),
        ),
        "A pixel may have the code 0, too, and keeps it. Pad with zero_point from the start: "
        "nn.functional.pad(..., value=zero_point).",
    ),
    Misconception(
        "takes 128 off unsigned codes",
        partial(
            _written, pixels=lambda q_x, zero_point: q_x.int() - 128 * (q_x.dtype == torch.uint8)
        ),
        CODES,
    ),
)
