"""When the tensors of an integer network are needed, and which may be written in place."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from labkit.device.planner import Lifetime
from labkit.ptq.network import QuantizedModel
from labkit.ptq.plan import Step, output_names
from labkit.validation import instance_of

__all__ = ["IN_PLACE", "ZOO_IMAGE", "example_values", "lifetimes_of"]

IN_PLACE = ("add", "multiply", "table", "clamp", "flatten")
"""Kinds of steps whose result may take over the bytes of an input: each element needs its own only.

A convolution that adds a residual may write over the residual, too, but not over its other input.
"""

ZOO_IMAGE = (1, 28, 28)
"""Channels, height and width of the labs' images."""


def example_values(model: QuantizedModel, shape: Sequence[int] = ZOO_IMAGE) -> dict[str, Tensor]:
    """Return the codes of every tensor for one image of zeros: their shapes are what counts.

    Raises
    ------
    TypeError, ValueError
        If `model` is no `QuantizedModel`, has several inputs or real numbers inside, or does not
        take images of `shape`.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    real = [step.name for step in model.steps if step.kind in ("real", "dequantize", "quantize")]
    if len(model.input_names) != 1 or real:
        raise ValueError(
            f"the network has inputs {', '.join(model.input_names)}, and real numbers in "
            f"{real or 'no step'}; expected one input, and integers in all steps. Leave what only "
            "the results need, such as a softmax, out of the network."
        )
    with torch.inference_mode():
        return model.tensors(torch.zeros(1, *shape))


def lifetimes_of(
    model: QuantizedModel,
    shape: Sequence[int] = ZOO_IMAGE,
    in_place: Collection[str] = IN_PLACE,
) -> list[Lifetime]:
    """Return when each tensor of a network is live, in the order in which its steps run.

    Parameters
    ----------
    model : QuantizedModel
        With integers from the input to the logits.
    shape : sequence of int
        Of an image [C, H, W].
    in_place : collection of str
        Kinds of steps that may write over an input that is not needed again and is as large.

    Returns
    -------
    list of Lifetime
        The input first. Results of the network are live to the last step.

    Raises
    ------
    TypeError, ValueError
        As `example_values`.
    """
    values = example_values(model, shape)
    made = {model.input_name: 0} | {step.name: i for i, step in enumerate(model.steps)}
    last = dict(made)
    for i, step in enumerate(model.steps):
        last |= dict.fromkeys(step.inputs, i)
    last |= dict.fromkeys(output_names(model.outputs), len(model.steps) - 1)
    steps = {step.name: step for step in model.steps}
    taken: set[str] = set()
    found = []
    for name, value in values.items():
        size = value.numel() * value.element_size()
        inside = None
        for source in _may_replace(steps.get(name), in_place):
            fits = values[source].numel() * values[source].element_size() == size
            if fits and last[source] == made[name] and source not in taken:
                inside = source
                taken.add(source)
                break
        found.append(Lifetime(name, size, made[name], last[name], inside))
    return found


def _may_replace(step: Step | None, in_place: Collection[str]) -> Sequence[str]:
    if step is not None and step.kind in in_place:
        return step.inputs
    if step is not None and step.kind == "conv2d" and len(step.inputs) == 2:
        return step.inputs[1:] if step.inputs[0] != step.inputs[1] else ()
    return ()
