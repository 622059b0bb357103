"""What the writers of an ONNX file share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.ptq.network import QuantizedModel
from labkit.ptq.onnx.graph import Graph
from labkit.ptq.operators import code_of
from labkit.ptq.plan import Step


@dataclass(frozen=True)
class Export:
    """What an emitter works with.

    Attributes
    ----------
    model : QuantizedModel
    graph : Graph
        Where it writes.
    shapes : mapping of str to sequence of int
        Of every tensor, for a batch of two.
    sizes : mapping of str to sequence of int or str
        Of every tensor, with "N" for what depends on the number of images.
    values : mapping of str to object
        The same tensors, and the numbers that come out of their shapes.
    weights : str
        The dtype that they are stored in, one of `STORED`.
    places : dict
        Of tensors in parts: the tensor that they are parts of, and the places of their codes in it.
    fixed : set of str
        Tensors that are the same for all images.
    """

    model: QuantizedModel
    graph: Graph
    shapes: Mapping[str, Sequence[int]]
    sizes: Mapping[str, Sequence[int | str]]
    values: Mapping[str, Any]
    weights: str
    places: dict[str, Any] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)

    def ceiling(self, step: Step) -> int:
        """Return the code at which the values of a step end."""
        return code_of(step.settings.get("ceiling"), self.model.qparams[step.name])
