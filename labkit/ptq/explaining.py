"""What becomes of each operation of a network, before it is quantized; and what it costs, after."""

import time
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from labkit.ptq.batches import check_same, input_names, with_first
from labkit.ptq.calls import measures, operation_of
from labkit.ptq.given import given
from labkit.ptq.graph import fold_batchnorm, layer_of
from labkit.ptq.network import QuantizedModel
from labkit.ptq.plan import KEEPING, WEIGHTED, Step
from labkit.ptq.steps import Planner
from labkit.validation import instance_of


class Explained(NamedTuple):
    """What becomes of an operation.

    Attributes
    ----------
    node : str
        Its name in the graph.
    operation : str
        The layer's class, or the function.
    fate : str
        "integer": a step with integer arithmetic. "table": one of the functions that make up a
        table. "free": codes are moved or compared. "joined": part of the step before. "island": on
        real numbers. "refused": integers cannot, and `islands` is off.
    line : str
        Where the network asks for it, if that is known.
    reason : str
        Why integers cannot compute it; "" if they can.
    """

    node: str
    operation: str
    fate: str
    line: str
    reason: str


class Cost(NamedTuple):
    """What a step of an integer network costs.

    Attributes
    ----------
    step, kind : str
    real : bool
        Whether it works on real numbers: on an island, at its shores, or behind the last integers.
    milliseconds : float
        For one batch: the shortest of several runs.
    time_share : float
        Of all steps, 0 to 1.
    operations : int
        Products of a layer or of two matrices; values of everything else.
    operations_share : float
        Of all steps, 0 to 1.
    """

    step: str
    kind: str
    real: bool
    milliseconds: float
    time_share: float
    operations: int
    operations_share: float


def explain(
    model: nn.Module, batches: Any, islands: bool = False, skip: Collection[str] = ()
) -> list[Explained]:
    """Say what would become of each operation of a network, without quantizing it.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    batches : iterable
        As in `quantize_model`; the first is run.
    islands, skip
        As there.

    Returns
    -------
    list of Explained
        In the order in which they run, batch normalization folded. Nothing is refused here but a
        network that cannot be traced.

    Raises
    ------
    TypeError, ValueError
        As `fold_batchnorm`, or if the traced network computes something else than the model.
    """
    model = given(model)
    example, _ = with_first(batches, input_names(model))
    network = fold_batchnorm(model, example)
    check_same(model, network, example)
    planner = Planner(network, True, skip)
    try:
        kinds = {step.name: step.kind for step in planner.plan().steps}
    except ValueError:  # something that has no form on real numbers either
        kinds = {}
    at_the_end = planner.only_for_results
    rows = []
    for node in network.graph.nodes:
        if not node.op.startswith("call_") or measures(node, network):
            continue
        fate = _fate(kinds.get(node.name, ""))
        if node in planner.refused and not (islands or at_the_end(node)):
            fate = "refused"
        elif node in planner.real or node in planner.refused:
            fate = "island"
        reason = planner.refused.get(node, "")
        if node in planner.refused and not reason:
            reason = "it has no integer form here"
        line = node.meta.get("line", "")
        rows.append(Explained(node.name, _named(node, network), fate, line, reason))
    return rows


def costs(model: QuantizedModel, *images: Tensor, repeats: int = 5) -> list[Cost]:
    """Measure what each step of an integer network costs: how much of it is integers, in truth.

    Parameters
    ----------
    model : QuantizedModel
    *images : Tensor
        A batch.
    repeats : int
        How often.

    Returns
    -------
    list of Cost
        In the order in which they run, but for those that only give constants or shapes.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    measured: dict[str, float] = {}
    with torch.inference_mode():
        for _ in range(repeats):
            values: dict[str, Any] = {
                name: model.quantize_input(x, name)
                for name, x in zip(model.input_names, images, strict=True)
            }
            for step, operation in zip(model.steps, model.operations, strict=True):
                inputs = [values[name] for name in step.inputs]
                start = time.perf_counter()
                values[step.name] = operation(*inputs)
                spent = 1000 * (time.perf_counter() - start)
                measured[step.name] = min(spent, measured.get(step.name, spent))
    steps = [s for s in model.steps if s.kind not in ("number", "parameter", "constant")]
    counted = {step.name: _operations(step, model, values) for step in steps}
    all_time = sum(measured[step.name] for step in steps)
    all_operations = sum(counted.values()) or 1
    return [
        Cost(
            step.name,
            step.settings.get("function", step.kind) if step.kind == "real" else step.kind,
            step.kind in ("real", "dequantize", "quantize"),
            measured[step.name],
            measured[step.name] / all_time,
            counted[step.name],
            counted[step.name] / all_operations,
        )
        for step in steps
    ]


def _operations(step: Step, model: QuantizedModel, values: dict[str, Any]) -> int:
    result = values[step.name]
    size = result.numel() if isinstance(result, Tensor) else 0
    if step.kind in WEIGHTED:
        return size * model.weights[step.layer or ""].q_w[0].numel()
    if step.settings.get("function") in ("matmul", "bmm"):
        return size * values[step.inputs[0]].shape[-1]
    return 0 if step.kind in ("move", "flatten") else size


def _fate(kind: str) -> str:
    if not kind:
        return "joined"
    if kind == "table":
        return "table"
    return "free" if kind in KEEPING else "integer"


def _named(node: fx.Node, network: fx.GraphModule) -> str:
    layer = layer_of(node, network)
    return type(layer).__name__ if layer is not None else operation_of(node, network)
