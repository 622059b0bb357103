"""What a network costs and what it gets right: bytes on disk, milliseconds, accuracy."""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from labkit.ptq.files import save
from labkit.ptq.network import QuantizedModel
from labkit.zoo import Accuracy, accuracy


class Measured(NamedTuple):
    """A network in numbers.

    Attributes
    ----------
    name : str
    bytes : int
        On disk, with all that it takes to run it again.
    milliseconds : float
        For one batch: the median of several runs.
    accuracy : Accuracy
    slow : tuple of str
        The layers that do not take the int8 road as it is; `QuantizedModel.roads` says why.
    """

    name: str
    bytes: int
    milliseconds: float
    accuracy: Accuracy
    slow: tuple[str, ...] = ()


def measure(
    models: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    batch_size: int = 32,
    repeats: int = 15,
) -> list[Measured]:
    """Measure networks side by side, on the same images.

    Parameters
    ----------
    models : mapping of str to nn.Module
        Float networks and integer ones.
    images, labels : Tensor
        What to measure the accuracy on.
    batch_size : int
        Images in the batch that is timed.
    repeats : int
        How often; the networks take turns, so that a busy moment hits all of them.

    Returns
    -------
    list of Measured
        In the order of `models`.

    Raises
    ------
    TypeError, ValueError
        If `models` is no mapping, or as `labkit.zoo.accuracy`.
    """
    if not isinstance(models, Mapping):
        raise TypeError(
            f"models is of type {type(models).__name__}; expected a mapping of names to networks, "
            'such as {"FP32": model, "INT8": quantized}.'
        )
    times = milliseconds(models, images[:batch_size], repeats)
    return [
        Measured(
            name, bytes_on_disk(model), times[name], accuracy(model, images, labels), _slow(model)
        )
        for name, model in models.items()
    ]


def _slow(model: nn.Module) -> tuple[str, ...]:
    roads = model.roads() if isinstance(model, QuantizedModel) else {}
    return tuple(layer for layer, choice in roads.items() if choice.road != "int8")


def milliseconds(
    models: Mapping[str, nn.Module], images: Tensor, repeats: int = 15, pause: float = 0.0
) -> dict[str, float]:
    """Return the median time of each network for one batch, taking turns.

    A turn is a pause, a run that wakes the network's threads and fills the caches, and the run that
    counts.

    Parameters
    ----------
    models : mapping of str to nn.Module
    images : Tensor
        The batch.
    repeats : int
        Turns of each network.
    pause : float
        Seconds. Threads of a runtime that has just answered go on spinning for a while, on the
        cores of the next one; 0.1 is enough for them to fall asleep.

    Returns
    -------
    dict of str to float
        Milliseconds.
    """
    times: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for _ in range(repeats):
            for name, model in models.items():
                time.sleep(pause)
                model(images)
                start = time.perf_counter()
                model(images)
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(measured) for name, measured in times.items()}


def bytes_on_disk(model: nn.Module) -> int:
    """Return the size of the file that holds a network: `save`, or its state as safetensors."""
    if isinstance(model, QuantizedModel):
        with tempfile.TemporaryDirectory() as folder:
            return save(model, Path(folder) / "network.safetensors")
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    return len(safetensors_bytes(state))
