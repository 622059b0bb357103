"""The patches of an image as columns, of which any part may be another one (exercise 3.10)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Starts = Callable[[int, int, int], Sequence[int]]


def _every_start(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    return range(0, size - kernel_size + 1, stride)


def written(
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


def repeated(q_x: Tensor, frame: tuple[int, ...], value: int, mode: str) -> Tensor:
    """Pad with pixels of the image, as `mode` says."""
    return F.pad(q_x[None].double(), frame, mode=mode)[0].int()


def without_last(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    """Return all starts but the last one."""
    return range(0, size - kernel_size, stride)


def by_one(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    """Return a start at every pixel."""
    return range(size - kernel_size + 1)


def by_the_kernel(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    """Return starts of patches that do not overlap."""
    return range(0, size - kernel_size + 1, kernel_size)


def counted_by_one(size: int, kernel_size: int, stride: int) -> Sequence[int]:
    """Return as many neighbouring places as there are starts."""
    return range(len(_every_start(size, kernel_size, stride)))


def unfolded(patches: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return what reshaping makes of [C, down, across, kernel row, kernel column]."""
    return patches.permute(0, 3, 4, 1, 2).reshape(shape)
