"""A network fake-quantized in float64: what the integers of each step should be, and why not.

The folded graph runs node by node in float64, with the weights of an integer network made real.
Wherever that network has codes, the exact value is compared with them, and the graph goes on with
the codes made real, so that no difference reaches the next step.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from labkit.kernels import quantize_bias
from labkit.ptq import QuantizedModel, fold_batchnorm
from labkit.qparams import QParams

TIE = 1e-4  # of a step: how far float32, in which codes are rounded, may be from float64 near a tie


class Compared(NamedTuple):
    """The codes of one tensor: how many, how many of them are ties, and others that differ."""

    name: str
    kind: str
    codes: int
    ties: int
    wrong: int


def compare(
    model: nn.Module, integers: QuantizedModel, inputs: tuple[Tensor, ...]
) -> list[Compared]:
    """Compare every tensor of codes; a tie is a code that differs by one, next to a tie."""
    runner = _Runner(fold_batchnorm(model, inputs).double(), integers, inputs)
    with torch.no_grad():
        runner.run(*(x.double() for x in inputs))
    return runner.compared


def results(model: nn.Module, integers: QuantizedModel, inputs: tuple[Tensor, ...]) -> Any:
    """Return what fake quantization alone gives, with no code from the integer network."""
    runner = _Runner(fold_batchnorm(model, inputs).double(), integers, inputs, follows=False)
    with torch.no_grad():
        return runner.run(*(x.double() for x in inputs))


def real(q: Tensor, qparams: QParams) -> Tensor:
    """Return the values of codes in float64."""
    shape = [-1] + [1] * (q.ndim - 1) if qparams.axis == 0 else []
    scale, zero_point = qparams.scale.double(), qparams.zero_point.double()
    return (q.double() - zero_point.reshape(shape)) * scale.reshape(shape)


class _Runner(fx.Interpreter):
    def __init__(
        self,
        network: Any,
        integers: QuantizedModel,
        inputs: tuple[Tensor, ...],
        follows: bool = True,
    ) -> None:
        super().__init__(network, garbage_collect_values=False)
        self.follows = follows
        self.integers, self.codes = integers, integers.values(*inputs)
        self.steps = {step.name: step for step in integers.steps}
        self.named = {node.name: node for node in network.graph.nodes}
        self.compared: list[Compared] = []

    def run_node(self, n: fx.Node) -> Any:
        step, own = self.steps.get(n.name), {}
        if step and step.kind == "table":  # nothing is rounded within a function
            for name in step.settings["chain"][:-1]:
                own[self.named[name]] = self.env[self.named[name]]
                self.env[self.named[name]] = super().run_node(self.named[name])
        value = super().run_node(n)
        self.env.update(own)
        q = self.codes.get(n.name)
        if not isinstance(q, Tensor) or n.name not in self.integers.qparams:
            return value
        return self._compared(n.name, step.kind if step else "input", value, q)

    def call_module(self, target: Any, args: tuple, kwargs: dict) -> Any:
        if target not in self.integers.weights:
            return super().call_module(target, args, kwargs)
        weights, x = self.integers.weights[target], self._grid_of(args[0])
        layer: Any = copy.copy(self.fetch_attr(target))
        layer._parameters = dict(layer._parameters)
        layer.weight = nn.Parameter(real(weights.q_w, weights.qparams))
        if weights.bias is not None:
            steps = quantize_bias(weights.bias, x, weights.qparams).double()
            scale = x.scale.double() * weights.qparams.scale.double()
            layer.bias = nn.Parameter(steps * scale)
        return layer(*args)

    def _grid_of(self, value: Tensor) -> QParams:
        (name,) = {n.name for n, v in self.env.items() if v is value}
        return self.integers.qparams[name]

    def _compared(self, name: str, kind: str, value: Tensor, q: Tensor) -> Tensor:
        grid = self.integers.qparams[name]
        assert value.shape == q.shape, (name, kind, value.shape, q.shape)
        steps = value / grid.scale.double() + int(grid.zero_point)
        expected = steps.round().clamp(grid.scheme.qmin, grid.scheme.qmax)
        differs = q.double() != expected
        near = ((steps - steps.floor()) - 0.5).abs() < TIE
        ties = differs & near & ((q.double() - expected).abs() == 1)
        wrong = differs & ~ties
        self.compared.append(Compared(name, kind, q.numel(), int(ties.sum()), int(wrong.sum())))
        return real(q if self.follows else expected, grid)
