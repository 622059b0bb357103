"""Exercise 5.5: preparing a network."""

from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def prepared_output(weights: list[Any], x: Tensor, bits: int) -> Tensor:
    """Return the result of a network whose linear layers all have fake-quantized weights.

    No row of a weight is all 0, and `weights` stay as they are.
    """
    return _network(weights, x, lambda w: _on_grid(w, bits))


def _on_grid(w: Tensor, bits: int, per_channel: bool = True) -> Tensor:
    qmax = 2 ** (bits - 1) - 1
    size = w.abs().amax(1, keepdim=True) if per_channel else w.abs().max()
    scale = size / qmax
    return torch.round(w / scale).clamp(-qmax, qmax) * scale


def _on_wide_grid(w: Tensor, bits: int) -> Tensor:
    scale = w.abs().amax(1, keepdim=True) / 2 ** (bits - 1)
    return torch.round(w / scale) * scale


def _on_signed_grid(w: Tensor, bits: int) -> Tensor:
    qmax = 2 ** (bits - 1) - 1
    scale = w.amax(1, keepdim=True) / qmax
    return torch.round(w / scale).clamp(-qmax, qmax) * scale


def _network(weights: list[Any], x: Tensor, change: Any, depth: int = 0) -> Tensor:
    """Compute nested blocks of linear layers."""
    for item in weights:
        x = _network(item, x, change, depth + 1) if isinstance(item, list) else x @ change(item).t()
    return x


def _depth(weights: list[Any], x: Tensor, change: Any, chosen: Any, depth: int = 0) -> Tensor:
    """Compute the network with `change` applied where `chosen(depth, index)` says so."""
    for index, item in enumerate(weights):
        if isinstance(item, list):
            x = _depth(item, x, change, chosen, depth + 1)
        else:
            x = x @ (change(item) if chosen(depth, index) else item).t()
    return x


def _cases(rng: torch.Generator) -> list[Case]:
    def w(*shape: int) -> Tensor:
        # Rows of different sizes, so that one scale for all of them shows.
        return randn(rng, *shape) * torch.linspace(0.2, 2.0, shape[0])[:, None]

    return [
        Case("one layer", ([w(2, 3)], torch.ones(1, 3), 2)),
        Case("two layers", ([w(4, 3), w(3, 4)], randn(rng, 5, 3), 4)),
        Case("a block in a network", ([w(4, 3), [w(5, 4), w(4, 5)], w(2, 4)], randn(rng, 6, 3), 3)),
        Case("blocks in blocks", ([[[w(4, 3)], w(4, 4)], w(3, 4)], randn(rng, 6, 3), 3)),
        Case("a layer five blocks deep", ([w(3, 4), [[[[[w(4, 3)]]]]]], randn(rng, 6, 4), 3)),
        Case("2 bits", ([w(6, 5), [w(6, 6)], w(4, 6)], randn(rng, 7, 5), 2)),
        Case("8 bits", ([w(6, 5), [w(6, 6)], w(4, 6)], randn(rng, 7, 5), 8)),
    ]


SWAP_LAYERS = Exercise(
    id="5.5",
    title="Preparing a network",
    points=3,
    minutes=(12, 18),
    extra=True,
    reference=prepared_output,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-4),),
    hints=(
        "A network is a tree of modules. model.children() visits one level of it, model.modules() "
        "all of them. Which are nn.Linear?",
        "Either swap modules, setattr(parent, name, new), or change how a layer makes its weight: "
        "nn.utils.parametrize.register_parametrization(layer, 'weight', OnGrid()) runs "
        "OnGrid.forward(w) whenever layer.weight is read.",
        "In OnGrid.forward: qmax = 2 ** (bits - 1) - 1; scale = w.abs().amax(1, keepdim=True) / "
        "qmax; return torch.round(w / scale).clamp(-qmax, qmax) * scale. Register it for every "
        "layer in list(model.modules()) that is nn.Linear.",
    ),
    misconceptions=(
        Misconception(
            "leaves every layer as it was",
            lambda weights, x, bits: _network(weights, x, lambda w: w),
            "Assigning to a loop variable changes nothing in the model: use setattr(parent, name, "
            "new), or a parametrization.",
        ),
        Misconception(
            "swaps the layers of the first level only",
            lambda weights, x, bits: _depth(
                weights, x, lambda w: _on_grid(w, bits), lambda depth, index: depth == 0
            ),
            "Layers hide in blocks: go through model.modules(), not model.children().",
        ),
        Misconception(
            "swaps the layers inside blocks only",
            lambda weights, x, bits: _depth(
                weights, x, lambda w: _on_grid(w, bits), lambda depth, index: depth > 0
            ),
            "The children of the model itself count, too.",
        ),
        Misconception(
            "uses one scale for the whole weight",
            lambda weights, x, bits: _network(
                weights, x, lambda w: _on_grid(w, bits, per_channel=False)
            ),
            "One scale for each output channel: w.abs().amax(1, keepdim=True).",
        ),
        Misconception(
            "takes one bit too many",
            lambda weights, x, bits: _network(weights, x, lambda w: _on_grid(w, bits + 1)),
            "Signed and narrow: qmax = 2 ** (bits - 1) - 1.",
        ),
        Misconception(
            "has one scale for each input instead of each output",
            lambda weights, x, bits: _network(weights, x, lambda w: _on_grid(w.t(), bits).t()),
            "The rows of a weight [out, in] are the outputs: take the maximum along dim 1.",
        ),
        Misconception(
            "divides by 2^(b-1)",
            lambda weights, x, bits: _network(weights, x, lambda w: _on_wide_grid(w, bits)),
            "Signed and narrow: the largest weight has the code 2 ** (bits - 1) - 1.",
        ),
        Misconception(
            "leaves the weights as codes",
            lambda weights, x, bits: _network(
                weights, x, lambda w: torch.round(w / w.abs().amax(1, True) * (2 ** (bits - 1) - 1))
            ),
            "Fake quantization comes back to real numbers: multiply the codes by the scale.",
        ),
        Misconception(
            "stops at the second level",
            lambda weights, x, bits: _depth(
                weights, x, lambda w: _on_grid(w, bits), lambda depth, index: depth <= 1
            ),
            "A block may hold blocks: model.modules() finds layers at any depth, and so does a "
            "function that calls itself.",
        ),
        Misconception(
            "quantizes the input as well",
            lambda weights, x, bits: prepared_output(
                weights, _on_grid(x.reshape(1, -1), bits).reshape(x.shape), bits
            ),
            "Only weights are quantized here; x stays as it is.",
        ),
        Misconception(
            "takes the largest weight without its sign's being dropped",
            lambda weights, x, bits: _network(weights, x, lambda w: _on_signed_grid(w, bits)),
            "A row may have its largest weight below 0: w.abs() first.",
        ),
    ),
)
