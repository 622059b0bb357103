"""The integer network: quantized once at the door, dequantized once at the exit."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from labkit.kernels import QuantizedConv2d, QuantizedLinear
from labkit.kernels.choosing import Choice
from labkit.kernels.modules import WithoutState
from labkit.ptq.building import OPERATORS, Builder
from labkit.ptq.movers import Dequantize, Quantize
from labkit.ptq.plan import COMPUTING, UNQUANTIZED, Step, Weights, output_names, output_values
from labkit.ptq.recording import Repeater
from labkit.qparams import QParams
from labkit.validation import real_tensor


class QuantizedModel(WithoutState):
    """A network whose layers exchange nothing but integers.

    Called with float images [N, C, H, W], it returns float logits. In between, each step takes the
    codes of others and gives codes of its own grid; only on islands, between steps "dequantize" and
    "quantize", and behind the last integers, there are real numbers.

    Parameters
    ----------
    input_name : str or sequence of str
        The tensor of the images; of several inputs, their names in order.
    steps : sequence of Step
        In the order in which they run; the last makes the logits.
    weights : mapping of str to Weights
        By the name of the layer.
    qparams : mapping of str to QParams
        The grid of the input, and of each step that computes new values (`COMPUTING`).
    backend : str
        "torch" for speed, "reference" for the formulas; both give the same integers.
    constants : mapping of str to Tensor
        The tables of functions, and other constants, by the name of the step.
    outputs : object, optional
        What is returned, as in `labkit.ptq.plan.Plan`; None: what the last step makes.
    requantization : str
        "float": by float32 multipliers, as torch's engines do it. "fixed": by mantissa and shift
        (`labkit.kernels.fixed_stage`), as a chip without floating point does it and the C program
        of `labkit.device.export_c`; here it is the slower way.

    Attributes
    ----------
    input_name, steps, weights, backend, constants, outputs, requantization
        As given; `input_name` is that of the first input, `input_names` are all.
    qparams : dict of str to QParams
        Of every tensor of codes.

    Raises
    ------
    ValueError
        If a grid or weights are missing, or do not fit a layer; the message names the step.
    """

    def __init__(
        self,
        input_name: str | Sequence[str],
        steps: Sequence[Step],
        weights: Mapping[str, Weights],
        qparams: Mapping[str, QParams],
        backend: str = "torch",
        constants: Mapping[str, Tensor] | None = None,
        outputs: Any = None,
        requantization: str = "float",
    ) -> None:
        super().__init__()
        if requantization not in OPERATORS:
            raise ValueError(
                f"requantization is {requantization!r}; expected one of {', '.join(OPERATORS)}."
            )
        if not steps:
            raise ValueError("there are no steps; expected at least one, which makes the logits.")
        self.input_names = (input_name,) if isinstance(input_name, str) else tuple(input_name)
        self.input_name = self.input_names[0]
        self.steps, self.backend, self.requantization = tuple(steps), backend, requantization
        self.weights, self.constants = dict(weights), dict(constants or {})
        self.outputs = self.steps[-1].name if outputs is None else outputs
        self.qparams = {name: _found(qparams, name, "input") for name in self.input_names}
        self.operations = nn.ModuleList()
        made = set(self.input_names)
        builder = Builder(self.qparams, self.weights, self.constants, backend, requantization)
        for step in self.steps:
            missing = [name for name in step.inputs if name not in made]
            if missing or not (step.inputs or step.kind in ("constant", "parameter")):
                raise ValueError(
                    f"step {step.name!r} takes {missing}; expected tensors that steps before it "
                    "make."
                )
            made.add(step.name)
            if step.kind in COMPUTING:
                self.qparams[step.name] = _found(qparams, step.name, step.kind)
            elif step.kind not in UNQUANTIZED:
                self.qparams[step.name] = _found(self.qparams, step.inputs[0], step.kind)
            try:
                self.operations.append(builder.operation(step))
            except (TypeError, ValueError) as error:
                raise type(error)(f"step {step.name!r}: {error}") from error
        lost = [name for name in output_names(self.outputs) if name not in made]
        if lost:
            raise ValueError(f"the network returns {lost}; expected what its steps make.")
        self._repeater = Repeater()
        self.eval()

    @cached_property
    def _plan(self) -> list[tuple[Callable[..., Any], tuple[str, ...], str, list[str]]]:
        """What to run, on which tensors, what to call the result, and what is not needed again."""
        last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        last_use |= dict.fromkeys(output_names(self.outputs), len(self.steps))
        plan = []
        for i, (step, operation) in enumerate(zip(self.steps, self.operations, strict=True)):
            # Codes that a step made need no check in the next one.
            run = getattr(operation, "trusting", operation.forward)
            if step.kind == "conv2d" and len(step.inputs) == 2:
                run = partial(_with_residual, run)
            used_up = [name for name in dict.fromkeys(step.inputs) if last_use[name] == i]
            plan.append((run, step.inputs, step.name, used_up))
        return plan

    @cached_property
    def _doors(self) -> dict[str, Quantize]:
        return {name: Quantize(self.qparams[name]) for name in self.input_names}

    @cached_property
    def _exits(self) -> dict[str, Dequantize]:
        names = set(output_names(self.outputs)).intersection(self.qparams)
        return {name: Dequantize(self.qparams[name]) for name in names}

    def forward(self, *images: Tensor) -> Any:
        """Return the logits, float32 [N, classes], or whatever the float network returns.

        For sizes of images that keep coming, by a recorded program (`labkit.ptq.recording`).
        """
        self.refuse_tracing(images)
        self._check_inputs(images)
        return self._repeater(self._logits, [real_tensor(x, "x") for x in images])

    def codes(self, *images: Tensor) -> Any:
        """Return the codes of the logits."""
        values = self._values(self._entering(images))
        return output_values(self.outputs, values.__getitem__)

    def tensors(self, *images: Tensor) -> dict[str, Tensor]:
        """Return the codes of every tensor, by name: what passes between the layers."""
        values = self.values(*images)
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def values(self, *images: Tensor) -> dict[str, Any]:
        """Return what every step gives, by name: codes, and numbers that come out of shapes."""
        values = self._entering(images)
        for step, operation in zip(self.steps, self.operations, strict=True):
            inputs = [values[name] for name in step.inputs]
            values[step.name] = _run(step.name, operation, inputs)
        return values

    def roads(self, saturates: bool | None = None) -> dict[str, Choice]:
        """Say how each layer is computed, why, and what would make it faster.

        Parameters
        ----------
        saturates : bool, optional
            On an x86 processor that saturates int16, or on one that does not; None: on this one.

        Returns
        -------
        dict of str to Choice
        """
        return {
            str(step.layer): layer.choice(saturates)
            for step, operation in zip(self.steps, self.operations, strict=True)
            for layer in operation.modules()
            if isinstance(layer, QuantizedConv2d | QuantizedLinear)
        }

    def using(
        self, requantization: str | None = None, backend: str | None = None
    ) -> "QuantizedModel":
        """Return the same network computed another way; what is not given stays.

        Raises
        ------
        ValueError
            If there is no such way.
        """
        return QuantizedModel(
            self.input_names,
            self.steps,
            self.weights,
            self.qparams,
            backend or self.backend,
            self.constants,
            self.outputs,
            requantization or self.requantization,
        )

    def quantize_input(self, images: Tensor, name: str | None = None) -> Tensor:
        """Return the codes of the images (of another input, by name), channels last in memory.

        Raises
        ------
        TypeError, ValueError
            If they are not finite real numbers.
        """
        return self._codes_of(name or self.input_name, real_tensor(images, "x"))

    def extra_repr(self) -> str:
        """Show the backend."""
        return f"backend={self.backend!r}"

    def _check_inputs(self, images: Sequence[Tensor]) -> None:
        if len(images) != len(self.input_names):
            raise TypeError(
                f"the network got {len(images)} inputs; expected {', '.join(self.input_names)}."
            )

    def _entering(self, images: Sequence[Tensor]) -> dict[str, Any]:
        self._check_inputs(images)
        pairs = zip(self.input_names, images, strict=True)
        return {name: self.quantize_input(x, name) for name, x in pairs}

    def _codes_of(self, name: str, x: Tensor) -> Tensor:
        q = self._doors[name].codes(x)
        return q.contiguous(memory_format=torch.channels_last) if q.ndim == 4 else q

    def _logits(self, *images: Tensor) -> Any:
        """Return what `forward` does, for inputs that were checked."""
        pairs = zip(self.input_names, images, strict=True)
        values = self._values({name: self._codes_of(name, x) for name, x in pairs})
        return output_values(self.outputs, lambda name: self._real(name, values[name]))

    def _values(self, values: dict[str, Any]) -> dict[str, Any]:
        """Run all steps on the codes of the inputs; what is not needed again is let go."""
        for run, inputs, name, used_up in self._plan:
            values[name] = _run(name, run, [values[source] for source in inputs])
            for source in used_up:
                del values[source]
        return values

    def _real(self, name: str, value: Any) -> Any:
        if name not in self.qparams:
            return value
        if isinstance(value, tuple | list):
            return type(value)(self._real(name, part) for part in value)
        return self._exits[name](value)


def _run(name: str, run: Callable[..., Any], inputs: list[Any]) -> Any:
    try:
        return run(*inputs)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        # torch refuses shapes that do not fit with a RuntimeError that names none of this.
        shapes = " and ".join(str(list(q.shape)) for q in inputs if isinstance(q, Tensor))
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
