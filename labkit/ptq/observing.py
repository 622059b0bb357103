"""Observers at the tensors of a network, in one pass over the batches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import fx

from labkit.calibration import MSE, Entropy, MinMax, MovingAverage, Observer, Percentile
from labkit.progress_bar import progress_bar
from labkit.ptq.batches import batches_of, input_names, inputs_of

OBSERVERS: dict[str, Callable[..., Observer]] = {
    "minmax": MinMax,
    "moving_average": MovingAverage,
    "percentile": Percentile,
    "entropy": Entropy,
    "mse": MSE,
}


def observe_tensors(
    network: fx.GraphModule,
    batches: Iterable[Any],
    observers: Mapping[str, Observer],
    progress: bool = False,
) -> None:
    """Let observers watch tensors of a network, by the names of their nodes, in one pass.

    Raises
    ------
    ValueError
        If there is no batch, or a tensor cannot be observed; the message names it.
    """
    seen = 0
    names = input_names(network)
    watching = _Watching(network, observers)
    with torch.no_grad():
        for batch in progress_bar(batches_of(batches), "calibrate", progress, unit="batch"):
            watching.run(*inputs_of(batch, names))
            seen += 1
    if not seen:
        raise ValueError("batches is empty; expected at least one batch. Is it a used generator?")


class _Watching(fx.Interpreter):
    """Runs a network node by node, with an observer at some."""

    def __init__(self, network: fx.GraphModule, observers: Mapping[str, Observer]) -> None:
        super().__init__(network)
        self._observers = observers

    def run_node(self, n: fx.Node) -> Any:
        """Compute one node, and observe what it gives."""
        value = super().run_node(n)
        if n.name in self._observers:
            try:
                self._observers[n.name].observe(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"the tensor {n.name!r}: {error}") from error
        return value


def observer_named(observer: str | Callable[..., Observer]) -> Callable[..., Observer]:
    """Return what makes an observer.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if callable(observer):
        return observer
    if observer not in OBSERVERS:
        raise ValueError(f"observer is {observer!r}; expected one of {', '.join(OBSERVERS)}.")
    return OBSERVERS[observer]
