"""What computes each step of an integer network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

import labkit.ptq.fixed_point as fixed_point
import labkit.ptq.operators as operators
from labkit.kernels import QuantizedConv2d, QuantizedLinear
from labkit.ptq.functions import MOVES, NUMBERS
from labkit.ptq.plan import COMPUTING, Step, Weights
from labkit.qparams import QParams

OPERATORS: dict[str, Any] = {"float": operators, "fixed": fixed_point}
"""What computes sums of codes, by how they are requantized."""


@dataclass(frozen=True)
class Builder:
    """Makes what computes a step; the attributes are those of `QuantizedModel`."""

    qparams: Mapping[str, QParams]
    weights: Mapping[str, Weights]
    constants: Mapping[str, Tensor]
    backend: str
    requantization: str

    def operation(self, step: Step) -> nn.Module:
        """Return what computes a step.

        Raises
        ------
        TypeError, ValueError
            If there is no such kind of step, or what it is made of is missing or does not fit.
        """
        settings = dict(step.settings)
        relu, ceiling = bool(settings.pop("relu", False)), settings.pop("ceiling", None)
        inputs = [self.qparams[name] for name in step.inputs if name in self.qparams]
        operation: nn.Module
        computing = OPERATORS[self.requantization]
        match step.kind:
            case "max_pool":
                return operators.MaxPool(**settings)
            case "flatten":
                return operators.Flatten()
            case "clamp":
                return operators.Clamp(inputs[0], relu, ceiling)
            case "pad":
                return operators.Pad(inputs[0], **settings)
            case "move":
                return operators.Call(MOVES, settings)
            case "number":
                return operators.Call(NUMBERS, settings)
            case "real":
                return operators.Call(None, settings)
            case "dequantize":
                return operators.Dequantize(inputs[0])
            case "constant" | "parameter":
                return operators.Constant(self._constant(step))
        if step.kind not in COMPUTING:
            raise ValueError(f"kind is {step.kind!r}; expected one of those of Step.")
        out = self.qparams[step.name]
        match step.kind:
            case "quantize":
                return operators.Quantize(out)
            case "concatenate":
                return computing.Concatenate(inputs, out, **settings)
            case "average_pool":
                return computing.AveragePool(inputs[0], out, **settings)
            case "combine":
                return computing.Combination(inputs[0], out, settings)
            case "table":
                axis = settings.get("axis")
                return operators.Table(self._constant(step), inputs[0], axis, self.backend)
            case "add":
                operation = computing.Add(inputs, out, relu, **settings)
            case "multiply":
                operation = computing.Multiply(inputs, out, relu)
            case _:
                operation = self._layer(step, settings, inputs, out, relu)
        high = operators.code_of(ceiling, out)
        return operation if high >= out.scheme.qmax else operators.Ceiling(operation, high)

    def _constant(self, step: Step) -> Tensor:
        if step.name not in self.constants:
            raise ValueError(f"there is no constant for {step.name!r}; expected its tensor.")
        return self.constants[step.name]

    def _layer(
        self,
        step: Step,
        settings: dict,
        inputs: list[QParams],
        out: QParams,
        relu: bool,
    ) -> nn.Module:
        weights = self.weights.get(step.layer or "")
        if weights is None:
            raise ValueError(f"there are no weights for layer {step.layer!r}; expected them.")
        q_w = weights.q_w.unsqueeze(2) if step.kind == "conv1d" else weights.q_w
        operands = (q_w, weights.qparams, weights.bias, inputs[0], out, relu, self.backend)
        if step.kind == "linear":
            return QuantizedLinear(*operands, self.requantization)
        residual = inputs[1] if len(inputs) > 1 else None
        first = [1, 0, 1] if step.kind == "conv1d" else [None, None, None]
        stride, padding, dilation = (
            _pair(settings[move], row)
            for move, row in zip(("stride", "padding", "dilation"), first, strict=True)
        )
        window = (stride, padding, dilation, settings["groups"])
        layer = QuantizedConv2d(*operands, *window, residual, self.requantization)
        return layer if step.kind == "conv2d" else operators.OneDimensional(layer)


def _pair(value: list[int], row: int | None) -> tuple[int, int]:
    """Return a setting of an image; that of a sequence has one number, and `row` stands first."""
    return (value[0], value[1]) if row is None else (row, value[0])
