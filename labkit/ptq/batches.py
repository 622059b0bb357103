"""Batches in the forms that people bring, and the guard that runs the first of them."""

import contextlib
import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset

from labkit.ptq.given import unwrapped

DATASET_BATCH = 32
# Folding moves a float32 result by a few times 1e-7 a layer; what tracing lost moves it by more.
TOLERANCE = 1e-3


def input_names(model: nn.Module) -> list[str]:
    """Return the names of what a network must be called with."""
    parameters = inspect.signature(unwrapped(model).forward).parameters.values()
    ordinary = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in ordinary and p.default is p.empty]


def inputs_of(batch: Any, names: Sequence[str]) -> tuple[Tensor, ...]:
    """Return what a network is called with, out of a batch of a loader.

    Parameters
    ----------
    batch : Tensor, sequence or mapping
        The images themselves; or a sequence that starts with the inputs, such as ``(images,
        labels)``; or a mapping that has them by the names of the forward's arguments (of one
        input, the first floating-point tensor will do).
    names : sequence of str
        Of the forward's arguments.

    Raises
    ------
    TypeError, ValueError
        If the inputs are not there.
    """
    found: Any
    if isinstance(batch, Tensor):
        found = [batch]
    elif isinstance(batch, Mapping):
        found = [batch[name] for name in names if name in batch]
        if not found and len(names) == 1:
            found = [v for v in batch.values() if isinstance(v, Tensor) and v.is_floating_point()]
    elif isinstance(batch, Sequence) and not isinstance(batch, str):
        if batch and isinstance(batch[0], Mapping | tuple | list):
            return inputs_of(batch[0], names)
        found = batch
    else:
        raise TypeError(
            f"a batch is of type {type(batch).__name__}; expected a tensor, a sequence that starts "
            "with one, or a mapping that holds one."
        )
    found = list(found[: max(len(names), 1)])
    if len(found) < len(names) or not all(isinstance(value, Tensor) for value in found):
        kinds = ", ".join(type(value).__name__ for value in found) or "nothing"
        raise TypeError(
            f"a batch holds {kinds}; expected a tensor for each of {', '.join(names)}, the "
            "arguments of the network's forward."
        )
    return tuple(found)


def batches_of(batches: Any) -> Iterable[Any]:
    """Return the batches to go through: one tensor is one batch, a data set is put into batches.

    Raises
    ------
    TypeError
        If they cannot be gone through.
    """
    if isinstance(batches, Tensor | Mapping):
        return [batches]
    if isinstance(batches, Dataset):
        return DataLoader(batches, batch_size=DATASET_BATCH)
    if not isinstance(batches, Iterable):
        raise TypeError(
            f"batches is of type {type(batches).__name__}; expected batches of images: a DataLoader"
            ", a list of tensors, or one tensor."
        )
    return batches


def with_first(batches: Any, names: Sequence[str]) -> tuple[tuple[Tensor, ...], Iterable[Any]]:
    """Return the inputs in the first batch, and all batches.

    These are an iterator if `batches` is one, and can be gone through again if not.

    Raises
    ------
    ValueError
        If there is none.
    """
    given = batches_of(batches)
    rest = iter(given)
    for first in rest:
        chain = itertools.chain([first], rest)
        return inputs_of(first, names), chain if rest is given else _Repeatable(given, chain)
    raise no_batches()


class _Repeatable:
    """Batches of which one pass has begun already."""

    def __init__(self, batches: Iterable[Any], begun: Iterator[Any]) -> None:
        self._batches, self._begun = batches, begun

    def __iter__(self) -> Iterator[Any]:
        begun, self._begun = self._begun, iter(())
        for first in begun:
            return itertools.chain([first], begun)
        return iter(self._batches)


def no_batches() -> ValueError:
    """Return the error of there being nothing to calibrate on."""
    return ValueError("batches is empty; expected at least one batch. Is it a used generator?")


@torch.no_grad()
def check_same(model: nn.Module, network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Refuse a network that does not compute what the model that it was made from does.

    Compared on the inputs, and on another number of images: what tracing fixed by mistake shows.

    Parameters
    ----------
    model : nn.Module
        The user's.
    network : nn.Module
        The same, traced and folded.
    inputs : sequence of Tensor
        The first batch.

    Raises
    ------
    ValueError
        If the results differ by more than float rounding.
    """
    _check_finite(inputs)
    images = len(inputs[0]) if inputs and inputs[0].ndim else 0
    fewer = slice(0, max(images // 2, 1))
    other = [x[fewer] if images > 1 else torch.cat([x, x]) for x in inputs if x.ndim]
    for number, part in enumerate([inputs, other] if len(other) == len(inputs) else [inputs]):
        try:
            expected = model(*(x.clone() for x in part))
        except Exception as error:
            if number:
                return  # made for one number of images
            raise ValueError(
                f"the model itself fails on the first batch ({error}), which is "
                f"{' and '.join(map(_described, part))}, with parameters of "
                f"{_kind(next(model.parameters(), None))}; expected images as it was trained on. "
                "(A forward that takes a dictionary or a tuple needs a module around it whose own "
                "forward takes the tensors.)"
            ) from error
        if any(not y.isfinite().all() for y in _numbers(expected)):
            raise ValueError(
                "the model itself gives NaN or infinity on the first batch, which has none; "
                "expected finite numbers. Look for a division by 0 or a logarithm in its forward."
            )
        try:
            off = _distance(expected, network(*(x.clone() for x in part)))
        except Exception as error:
            raise ValueError(_refusal(f"fails ({error})", len(part[0]))) from error
        if not off <= _tolerance([*model.parameters(), *_numbers(expected)]):
            what = f"is {off:.1%} off" if off < float("inf") else "gives other shapes or dtypes"
            raise ValueError(_refusal(what, len(part[0])))


def _check_finite(inputs: Sequence[Tensor]) -> None:
    for x in inputs:
        wrong = int((~x.isfinite()).sum())
        if wrong:
            raise ValueError(
                f"the first batch, {_described(x)}, has NaN or infinity in {wrong} of {x.numel()} "
                "values; expected finite numbers. Look at how the images are read and normalized."
            )


def _tolerance(tensors: Iterable[Tensor]) -> float:
    """Return how much folding may move results: a few roundings of the coarsest dtype."""
    dtypes = {x.dtype for x in tensors if x.is_floating_point()}
    return max([TOLERANCE, *(4 * torch.finfo(dtype).eps for dtype in dtypes)])


@torch.no_grad()
def check_runs(integers: nn.Module, model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Refuse an integer network that cannot take the first images, or gives other shapes.

    Raises
    ------
    ValueError
        With what the network says about it.
    """
    few = [x[:2] for x in inputs if x.ndim]
    # A network made for one number of images gets all of them.
    for part in [few, inputs] if len(few) == len(inputs) else [inputs]:
        with contextlib.suppress(Exception):
            expected = _numbers(model(*(x.clone() for x in part)))
            break
    try:
        found = _numbers(integers(*part))
    except (TypeError, ValueError) as error:
        given = " and ".join(map(_described, part))
        raise ValueError(
            f"the integer network cannot take the first batch, {given}: {error} Expected batches, "
            "[N, C, H, W], as it was trained on; if they are that, leave what stops it to real "
            "numbers with skip=."
        ) from error
    shapes, others = ([list(x.shape) for x in values] for values in (expected, found))
    if shapes != others:
        raise ValueError(
            f"the integer network gives {others} for the first batch; expected {shapes}, as the "
            "model. Please report this, with the network."
        )


def _described(x: Tensor) -> str:
    return f"{_kind(x)} {list(x.shape)}"


def _kind(x: Tensor | None) -> str:
    return "no dtype" if x is None else str(x.dtype).removeprefix("torch.")


def _refusal(what: str, images: int) -> str:
    return (
        f"traced and folded, the network {what} on {images} images of the first batch; expected "
        "what the model itself gives. Something in its forward is not seen by tracing: a value "
        "read from a tensor, a state that changes, a random number. Take that part out of it."
    )


def _distance(expected: Any, found: Any) -> float:
    """Return the norm of the difference, in norms of what is expected."""
    pairs = list(zip(_numbers(expected), _numbers(found), strict=False))
    if (
        any(a.shape != b.shape or a.is_floating_point() != b.is_floating_point() for a, b in pairs)
        or not pairs
    ):
        return float("inf")
    if any(not a.is_floating_point() for a, _ in pairs):
        return max(float((a != b).double().mean()) * TOLERANCE for a, b in pairs)
    noise = sum(float((a.double() - b.double()).square().sum()) for a, b in pairs)
    signal = sum(float(a.double().square().sum()) for a, _ in pairs)
    return (noise / signal) ** 0.5 if signal else noise**0.5


def _numbers(results: Any) -> list[Tensor]:
    if hasattr(results, "__dataclass_fields__"):
        results = dict(vars(results))
    return [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
