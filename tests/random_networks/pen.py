"""What random networks are made of: statements, and the layers that they call."""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Function = Callable[..., Any]


class Statement(NamedTuple):
    """``values.append(function(*(values[i] for i in sources)))``."""

    function: Function
    sources: tuple[int, ...]


class Network(nn.Module):
    """Runs its statements in order."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.statements: list[Statement] = []
        self.named: list[str] = []  # of the statements, to read
        self.result: Function = lambda values: values[-1]

    def run(self, *inputs: Tensor) -> Any:
        values = list(inputs)
        with running(self.layers):
            for function, sources in self.statements:
                values.append(function(*(values[i] for i in sources)))
        return self.result(values)


class OfOne(Network):
    def forward(self, x: Tensor) -> Any:
        return self.run(x)


class OfTwo(Network):
    def forward(self, left: Tensor, right: Tensor) -> Any:
        return self.run(left, right)


RUNNING: list[nn.ModuleList] = []


@contextlib.contextmanager
def running(layers: nn.ModuleList) -> Iterator[None]:
    """Let statements find the layers of the network that runs: of a copy, those of the copy."""
    RUNNING.append(layers)
    try:
        yield
    finally:
        RUNNING.pop()


class Layer(NamedTuple):
    """A layer, by its place."""

    place: int

    def __call__(self, x: Tensor) -> Tensor:
        return RUNNING[-1][self.place](x)


class Pen:
    """What a statement is drawn with: chance, and the layers that it makes."""

    def __init__(self, seed: int, layers: nn.ModuleList) -> None:
        self.chance, self.layers = random.Random(seed), layers

    def one(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def layer(self, made: nn.Module, x: Tensor | None = None) -> Layer:
        """Keep a layer; the statistics of a normalization are those of `x`."""
        self.layers.append(made)
        if isinstance(made, NORMS):
            made.momentum = 1.0
            made.train()(x)
            nn.init.uniform_(made.weight, 0.5, 1.5)
            nn.init.uniform_(made.bias, -0.5, 0.5)
        made.eval()
        return Layer(len(self.layers) - 1)

    def parameter(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Function:
        """Keep a parameter, or a buffer; return what gives it inside a forward."""
        holder, value = nn.Module(), low + (high - low) * torch.rand(shape)
        if self.one(True, False):
            holder.value = nn.Parameter(value)
        else:
            holder.register_buffer("value", value)
        self.layers.append(holder)
        place = len(self.layers) - 1
        return lambda: RUNNING[-1][place].value

    def kept(self, function: Function) -> Function:
        """Keep what is drawn, if it is a module."""
        return self.layer(copy.deepcopy(function)) if isinstance(function, nn.Module) else function


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
