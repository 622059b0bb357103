"""Padding with a number: it gets a code of the grid of what is padded, so it must lie on that."""

import math
from collections.abc import Iterator, Mapping, Sequence

from labkit.linear import from_range
from labkit.ptq.functions import decoded
from labkit.ptq.plan import KEEPING, Step
from labkit.qparams import QParams

LARGEST = ("amax", "amin")


def widened_for_padding(
    steps: Sequence[Step], qparams: Mapping[str, QParams]
) -> dict[str, QParams]:
    """Return grids that hold what their tensors are padded with, where those given do not.

    What only goes into maximum pooling needs none: the lowest code stands for all that is lower.
    """
    found: dict[str, QParams] = {}
    for name, value in _padded(steps):
        grid = found.get(name, qparams[name])
        low, high = _range(grid)
        if not low <= value <= high:
            found[name] = from_range(min(low, value), max(high, value), grid.scheme)
    return found


def check_padding(steps: Sequence[Step], qparams: Mapping[str, QParams]) -> None:
    """Refuse grids on which a number that is padded with has no code.

    Raises
    ------
    ValueError
        The message names the tensor.
    """
    for name, value in _padded(steps):
        if name not in qparams:
            continue
        low, high = _range(qparams[name])
        if not low - float(qparams[name].scale) <= value <= high + float(qparams[name].scale):
            raise ValueError(
                f"{name!r} is padded with {value:g}, and its codes hold {low:.4g} to {high:.4g}; "
                "expected a grid that holds what is padded with. Pad with a value that occurs."
            )


def _padded(steps: Sequence[Step]) -> Iterator[tuple[str, float]]:
    """Go through the tensors that are padded with finite numbers, other than 0: name and number."""
    made = {step.name: step for step in steps}
    for step in steps:
        value = decoded(step.settings.get("value", 0.0), ())
        if step.kind != "pad" or not value or not math.isfinite(value):
            continue
        users = [other for other in steps if step.name in other.inputs]
        if users and all(map(_takes_largest, users)):
            continue
        name = step.inputs[0]
        while name in made and made[name].kind in KEEPING:
            name = made[name].inputs[0]
        yield name, float(value)


def _takes_largest(step: Step) -> bool:
    return step.kind == "max_pool" or step.settings.get("function") in LARGEST


def _range(grid: QParams) -> tuple[float, float]:
    """Return the values of the lowest and of the highest code."""
    zero_point, scale = int(grid.zero_point), float(grid.scale)
    return (grid.scheme.qmin - zero_point) * scale, (grid.scheme.qmax - zero_point) * scale
