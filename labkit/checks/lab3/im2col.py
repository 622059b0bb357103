"""Exercise 3.10: a convolution as a product of matrices."""

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import one
from labkit.checks.lab3.im2col_slips import MISCONCEPTIONS
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
    # Here the code 0 is that of pixels; the frame has another one.
    dark = uint8_codes(rng, 2, 4, 5)
    dark[:, 1:3, 2] = 0
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
        Case("a kernel of 3 x 3, no padding", (int8_codes(rng, 1, 4, 5), 3, 1, 0, -4)),
        Case("a kernel of 2 x 2, padding", (int8_codes(rng, 1, 3, 2), 2, 1, 1, 9)),
        Case("pixels of the code 0", (dark, 3, 1, 1, 77)),
        Case("a stride that leaves a rest", (int8_codes(rng, 2, 7, 6), 3, 3, 1, -128)),
        Case("a wide padding", (uint8_codes(rng, 2, 5, 4), 3, 1, 2, 255)),
    ]


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
    misconceptions=MISCONCEPTIONS,
)
