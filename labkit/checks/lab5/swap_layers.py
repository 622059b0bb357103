"""Exercise 5.5: preparing a network."""

from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn
from labkit.checks.lab5.swap_layers_slips import MISCONCEPTIONS
from labkit.checks.rules import Rule


def prepared_output(weights: list[Any], x: Tensor, bits: int) -> Tensor:
    """Return the result of a network whose linear layers all have fake-quantized weights.

    No row of a weight is all 0, and `weights` stay as they are.
    """
    for item in weights:
        x = prepared_output(item, x, bits) if isinstance(item, list) else x @ _on_grid(item, bits)
    return x


def _on_grid(w: Tensor, bits: int) -> Tensor:
    """Return a weight on its grid, turned so that x stands before it."""
    qmax = 2 ** (bits - 1) - 1
    scale = w.abs().amax(1, keepdim=True) / qmax
    return (torch.round(w / scale).clamp(-qmax, qmax) * scale).t()


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
    misconceptions=MISCONCEPTIONS,
)
