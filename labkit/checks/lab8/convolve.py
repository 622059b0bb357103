"""Exercise 8.9: a convolution by loops, as C has it."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import one, whole
from labkit.checks.lab8.convolve_parts import made
from labkit.checks.lab8.convolve_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes


def convolve(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, stride: int, padding: int
) -> Tensor:
    """Return the accumulators [height, width, out] of an image [H, W, C]."""
    return made(q_x, q_w, q_bias, x_zero_point, stride, padding).to(torch.int32)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, image: tuple, kernel: tuple, stride: int, padding: int, bias: int = 5000
    ) -> Case:
        q_x = whole(rng, 0, 255, *image).to(torch.uint8)
        q_w = whole(rng, -128, 127, *kernel, image[2]).to(torch.int8)
        q_bias = whole(rng, -bias, bias, kernel[0]).to(torch.int32)
        return Case(label, (q_x, q_w, q_bias, one(rng, 60, 190), stride, padding))

    return [
        case("one pixel, one weight", (1, 1, 1), (1, 1, 1), 1, 0),
        case("a kernel of one pixel", (2, 3, 4), (3, 1, 1), 1, 0),
        case("three by three", (4, 5, 2), (2, 3, 3), 1, 0),
        case("a padding of 2, a narrow kernel", (4, 3, 2), (3, 3, 2), 1, 2),
        case("a stride of 2, large biases", (5, 6, 2), (2, 3, 3), 2, 1, 2**30),
        case("a stride of 3, a kernel that is no square", (5, 7, 3), (2, 2, 3), 3, 1),
    ]


CONVOLVE = Exercise(
    id="8.9",
    title="A convolution by loops",
    points=3,
    reference=convolve,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "Six loops: the rows and columns of the result, its channels, then the rows and columns of "
        "the kernel, and the channels of the image. Every sum begins with its bias.",
        "The pixel under row r, column s of the kernel is y = i * stride + r - padding, x = j * "
        "stride + s - padding. If it lies outside, it stands for 0.0 and adds nothing: skip it. "
        "Else add (q_x[y, x, c] - x_zero_point) * q_w[n, r, s, c], as Python integers.",
        "height = (H + 2 * padding - rows) // stride + 1, and width alike. In the innermost loop: "
        "acc += (int(q_x[y, x, c]) - x_zero_point) * int(q_w[n, r, s, c]).",
    ),
    misconceptions=MISCONCEPTIONS,
    minutes=(8, 13),
)
