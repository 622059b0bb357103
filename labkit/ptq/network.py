"""The integer network: quantized once at the door, dequantized once at the exit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

import labkit.ptq.operators as operators
from labkit.kernels import QuantizedConv2d, QuantizedLinear
from labkit.linear import dequantize, quantize
from labkit.ptq.steps import COMPUTING, Step
from labkit.qparams import QParams


@dataclass(frozen=True, eq=False)
class Weights:
    """The constants of a layer.

    Attributes
    ----------
    q_w : Tensor
        Codes of `qparams`, [out, in] or [out, in / groups, kernel height, kernel width].
    qparams : QParams
        For the whole tensor, or per output (axis=0).
    bias : Tensor or None
        float32 [out]; held as int32 at scale S_x S_w.
    """

    q_w: Tensor
    qparams: QParams
    bias: Tensor | None


class QuantizedModel(nn.Module):
    """A network whose layers exchange nothing but integers.

    Called with float images [N, C, H, W], it returns float logits. In between, each step takes the
    codes of others and gives codes of its own grid.

    Parameters
    ----------
    input_name : str
        The tensor of the images.
    steps : sequence of Step
        In the order in which they run; the last makes the logits.
    weights : mapping of str to Weights
        By the name of the layer.
    qparams : mapping of str to QParams
        The grid of the input, and of each step that computes new values (`COMPUTING`).
    backend : str
        "torch" for speed, "reference" for the formulas; both give the same integers.

    Attributes
    ----------
    input_name, steps, weights, backend
        As given.
    qparams : dict of str to QParams
        Of every tensor.

    Raises
    ------
    ValueError
        If a grid or weights are missing, or do not fit a layer; the message names the step.
    """

    def __init__(
        self,
        input_name: str,
        steps: Sequence[Step],
        weights: Mapping[str, Weights],
        qparams: Mapping[str, QParams],
        backend: str = "torch",
    ) -> None:
        super().__init__()
        if not steps:
            raise ValueError("there are no steps; expected at least one, which makes the logits.")
        self.input_name, self.steps, self.backend = input_name, tuple(steps), backend
        self.weights = dict(weights)
        self.qparams = {input_name: _found(qparams, input_name, "input")}
        self.operations = nn.ModuleList()
        for step in self.steps:
            missing = [name for name in step.inputs if name not in self.qparams]
            if missing or not step.inputs:
                raise ValueError(
                    f"step {step.name!r} takes {missing}; expected tensors that steps before it "
                    "make."
                )
            computes = step.kind in COMPUTING
            source = qparams if computes else {step.name: self.qparams[step.inputs[0]]}
            self.qparams[step.name] = _found(source, step.name, step.kind)
            try:
                self.operations.append(self._operation(step))
            except (TypeError, ValueError) as error:
                raise type(error)(f"step {step.name!r}: {error}") from error
        self.eval()

    @cached_property
    def _plan(self) -> list[tuple[Callable[..., Tensor], tuple[str, ...], str, list[str]]]:
        """What to run, on which tensors, what to call the result, and what is not needed again."""
        last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        plan = []
        for i, (step, operation) in enumerate(zip(self.steps, self.operations, strict=True)):
            # Codes that a step made need no check in the next one.
            run = getattr(operation, "trusting", operation.forward)
            if step.kind == "conv2d" and len(step.inputs) == 2:
                run = partial(_with_residual, run)
            used_up = [name for name in dict.fromkeys(step.inputs) if last_use[name] == i]
            plan.append((run, step.inputs, step.name, used_up))
        return plan

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float32 [N, classes]."""
        return dequantize(self.codes(images), self.qparams[self.steps[-1].name])

    def codes(self, images: Tensor) -> Tensor:
        """Return the codes of the logits."""
        values = {self.input_name: self.quantize_input(images)}
        for run, inputs, name, used_up in self._plan:
            values[name] = _run(name, run, [values[source] for source in inputs])
            for source in used_up:
                del values[source]
        return values[self.steps[-1].name]

    def tensors(self, images: Tensor) -> dict[str, Tensor]:
        """Return the codes of every tensor, by name: what passes between the layers."""
        values = {self.input_name: self.quantize_input(images)}
        for step, operation in zip(self.steps, self.operations, strict=True):
            inputs = [values[name] for name in step.inputs]
            values[step.name] = _run(step.name, operation, inputs)
        return values

    def quantize_input(self, images: Tensor) -> Tensor:
        """Return the codes of the images, with channels last in memory.

        Raises
        ------
        TypeError, ValueError
            If they are not finite real numbers.
        """
        q = quantize(images, self.qparams[self.input_name])
        return q.contiguous(memory_format=torch.channels_last) if q.ndim == 4 else q

    def extra_repr(self) -> str:
        """Show the backend."""
        return f"backend={self.backend!r}"

    def _operation(self, step: Step) -> nn.Module:
        settings = dict(step.settings)
        relu, ceiling = bool(settings.pop("relu", False)), settings.pop("ceiling", None)
        inputs = [self.qparams[name] for name in step.inputs]
        out = self.qparams[step.name]
        operation: nn.Module
        match step.kind:
            case "conv2d" | "linear":
                operation = self._layer(step, settings, inputs, out, relu)
            case "add":
                operation = operators.Add(inputs, out, relu)
            case "concatenate":
                return operators.Concatenate(inputs, out)
            case "average_pool":
                return operators.AveragePool(inputs[0], out, **settings)
            case "max_pool":
                return operators.MaxPool(**settings)
            case "flatten":
                return operators.Flatten()
            case "clamp":
                return operators.Clamp(inputs[0], relu, ceiling)
            case "pad":
                return operators.Pad(inputs[0], settings["padding"])
            case _:
                raise ValueError(f"kind is {step.kind!r}; expected one of those of Step.")
        high = operators.code_of(ceiling, out)
        return operation if high >= out.scheme.qmax else operators.Ceiling(operation, high)

    def _layer(
        self, step: Step, settings: dict, inputs: list[QParams], out: QParams, relu: bool
    ) -> nn.Module:
        weights = self.weights.get(step.layer or "")
        if weights is None:
            raise ValueError(f"there are no weights for layer {step.layer!r}; expected them.")
        operands = (weights.q_w, weights.qparams, weights.bias, inputs[0], out, relu, self.backend)
        if step.kind == "linear":
            return QuantizedLinear(*operands)
        residual = inputs[1] if len(inputs) > 1 else None
        stride, padding, dilation = (_pair(settings[m]) for m in ("stride", "padding", "dilation"))
        return QuantizedConv2d(*operands, stride, padding, dilation, settings["groups"], residual)


def _run(name: str, run: Callable[..., Tensor], inputs: list[Tensor]) -> Tensor:
    try:
        return run(*inputs)
    except (RuntimeError, TypeError, ValueError) as error:
        # torch refuses shapes that do not fit with a RuntimeError that names none of this.
        shapes = " and ".join(str(list(q.shape)) for q in inputs)
        raise ValueError(
            f"step {name!r} cannot take codes of shape {shapes} ({error}). Do the images have the "
            "size and channels that the network was made for?"
        ) from error


def _with_residual(run: Callable[..., Tensor], q_x: Tensor, q_residual: Tensor) -> Tensor:
    """Refuse a residual that would be repeated over the image."""
    q = run(q_x, q_residual)
    if q.shape != q_residual.shape:
        raise ValueError(f"adds {list(q_residual.shape)} to {list(q.shape)}, not of one shape")
    return q


def _found(qparams: Mapping[str, QParams], name: str, kind: str) -> QParams:
    if name not in qparams:
        raise ValueError(
            f"there is no grid for {name!r} ({kind}); expected its QParams. Calibrate it, or give "
            "them by name."
        )
    return qparams[name]


def _pair(value: list[int]) -> tuple[int, int]:
    return value[0], value[1]
