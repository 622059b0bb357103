"""Observers at the tensors of a network, while batches pass through it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import fx

from labkit.calibration import MSE, Entropy, MinMax, MovingAverage, Observer, Percentile
from labkit.progress_bar import progress_bar
from labkit.ptq.batches import batches_of, input_names, inputs_of, no_batches
from labkit.qparams import QParams, Scheme

OBSERVERS: dict[str, Callable[..., Observer]] = {
    "minmax": MinMax,
    "moving_average": MovingAverage,
    "percentile": Percentile,
    "entropy": Entropy,
    "mse": MSE,
}


MEMORY = 2**27  # bytes that observers hold together; or as many as the largest tensor has


def choose_grids(
    network: fx.GraphModule,
    batches: Iterable[Any],
    schemes: Mapping[str, Scheme],
    make: Callable[[], Observer],
    progress: bool = False,
) -> dict[str, QParams]:
    """Choose the grids of tensors by what observers see of them, in bounded memory.

    All tensors are observed in one pass over the batches, unless the observers then hold more than
    `MEMORY`: the last in the graph are set aside for another pass. What was observed becomes grids
    before it.

    Parameters
    ----------
    network : fx.GraphModule
    batches : iterable
        An iterator, which has one pass only, makes the observers take what they need.
    schemes : mapping of str to Scheme
        By the names of the nodes.
    make : callable
        Makes an observer.
    progress : bool
        Show progress bars: a step a batch in each pass, then a step a tensor.

    Raises
    ------
    ValueError
        If there is no batch, a tensor cannot be observed (the message names it), or a pass has
        another number of batches than the first.
    """
    memory = math.inf if isinstance(batches, Iterator) else MEMORY
    grids: dict[str, QParams] = {}
    left, expected = [node.name for node in network.graph.nodes if node.name in schemes], 0
    while left:
        observers = {name: make() for name in left}
        watching = _Watching(network, observers, memory)
        seen = _passed(watching, network, batches, progress)
        expected = expected or seen
        if seen != expected:
            raise ValueError(
                f"the observers need another pass over the batches, which has {seen} of them, not "
                f"{expected} as the first; expected what can be gone through again: a DataLoader "
                "or a list."
            )
        grids |= _chosen(observers, schemes, progress)
        left = left[len(observers) :]
    return grids


def _chosen(
    observers: Mapping[str, Observer], schemes: Mapping[str, Scheme], progress: bool
) -> dict[str, QParams]:
    """Return the grid of each tensor; as many searches run at a time as torch has threads."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        found = pool.map(lambda name: observers[name].qparams(schemes[name]), observers)
        bar = progress_bar(found, "ranges", progress, unit="tensor", total=len(observers))
        return dict(zip(observers, bar, strict=True))


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
    if not _passed(_Watching(network, dict(observers)), network, batches, progress):
        raise no_batches()


def _passed(
    watching: "_Watching", network: fx.GraphModule, batches: Iterable[Any], progress: bool
) -> int:
    """Let all batches pass; return how many they were."""
    names, seen = input_names(network), 0
    with torch.no_grad():
        for batch in progress_bar(batches_of(batches), "calibrate", progress, unit="batch"):
            seen += 1
            try:
                watching.run(*inputs_of(batch, names))
            except (IndexError, RuntimeError, TypeError, ValueError) as error:
                kind = type(error) if isinstance(error, TypeError) else ValueError
                advice = (
                    " Expected batches as the first." if isinstance(error, RuntimeError) else ""
                )
                raise kind(f"batch {seen}: {str(error).rstrip()}{advice}") from error
    return seen


class _Watching(fx.Interpreter):
    """Runs a network node by node, with an observer at some.

    Observers that would hold too much are taken out of the mapping, last ones first.
    """

    def __init__(
        self,
        network: fx.GraphModule,
        observers: dict[str, Observer],
        memory: float = math.inf,
    ) -> None:
        super().__init__(network)
        self.extra_traceback = False  # what is said of the batch is enough
        self._observers, self._memory = observers, memory
        self._held = 0
        self._waiting: set[str] = set()

    def run(self, *inputs: Any, **options: Any) -> Any:
        """Compute the nodes, as far as there are observers."""
        self._waiting = set(self._observers)
        return super().run(*inputs, **options)

    def run_node(self, n: fx.Node) -> Any:
        """Compute one node, and observe what it gives."""
        if not self._waiting:
            return None
        value = super().run_node(n)
        observer = self._observers.get(n.name)
        if observer is not None:
            before = observer.nbytes
            try:
                observer.observe(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"the tensor {n.name!r}: {error}") from error
            self._waiting.discard(n.name)
            self._held += observer.nbytes - before
            self._memory = max(self._memory, value.nbytes)
            if self._held > self._memory:
                self._hold_less()
        return value

    def _hold_less(self) -> None:
        for observer in self._observers.values():
            observer.compact()
        self._held = sum(observer.nbytes for observer in self._observers.values())
        while self._held > self._memory and len(self._observers) > 1:
            name, last = self._observers.popitem()
            self._waiting.discard(name)
            self._held -= last.nbytes


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
