"""Exercise 2.10: watching a network."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule


def observe_layers(weights: list[Tensor], batches: list[Tensor]) -> Tensor:
    """Return the smallest and the largest output of each layer over all batches."""
    return _extremes([_outputs(weights, x) for x in batches])


def _outputs(weights: list[Tensor], x: Tensor) -> list[Tensor]:
    """Return what the layers put out: linear, ReLU, linear, ReLU, and so on."""
    outputs = []
    for w in weights:
        outputs += [x @ w.t(), (x @ w.t()).relu()]
        x = outputs[-1]
    return outputs


def _extremes(batches: list[list[Tensor]]) -> Tensor:
    each = _of_each(batches)
    return torch.stack([each[..., 0].amin(0), each[..., 1].amax(0)], dim=1)


def _of_each(batches: list[list[Tensor]]) -> Tensor:
    """Return the extremes of each output of each batch, [batches, outputs, 2]."""
    return torch.tensor([[[float(y.min()), float(y.max())] for y in ys] for ys in batches])


def _observe_cases(rng: torch.Generator) -> list[Case]:
    def drawn(*shape: int) -> Tensor:
        return (10 * randn(rng, *shape)).round() / 10  # short enough to be read on a card

    two = [drawn(4, 3), drawn(2, 4)]
    three = [drawn(5, 4), drawn(6, 5), drawn(3, 6)]
    batches = [scale * drawn(5, 4) for scale in (1.0, 3.0, 0.5)]
    positive = [short(rng, 0.2, 1.2, 3, 4) for _ in range(2)]
    below_zero = short(rng, 1.0, 2.0, 1, 2) * torch.tensor([1.0, -2.0])
    small, large = short(rng, 0.5, 1.5, 1, 2), short(rng, 2.0, 4.0, 1, 2)
    return [
        Case("one layer, one batch", ([below_zero], [short(rng, 1.0, 2.0, 1, 2)])),
        Case("one layer, two batches", ([torch.eye(2)], [small, large * torch.tensor([-1.0, 1])])),
        Case("two layers", (two, [drawn(6, 3)])),
        Case("three layers, the largest values in the second batch", (three, batches)),
        Case("the largest values in the first batch", (three, [3 * batches[1], *batches])),
        Case("nothing below 0", ([w.abs() for w in three], positive)),
        Case("batches of several sizes", (two, [drawn(n, 3) for n in (1, 7, 2)])),
    ]


def _inputs(weights: list[Tensor], batches: list[Tensor]) -> Tensor:
    return _extremes([[x, *_outputs(weights, x)[:-1]] for x in batches])


def _inputs_after_the_layer(weights: list[Tensor], batches: list[Tensor]) -> Tensor:
    ranges = _inputs(weights, batches)
    ranges[1::2] = observe_layers(weights, batches)[1::2]  # the ReLU has overwritten its input
    return ranges


def _overwritten(ranges: Tensor) -> Tensor:
    return ranges[1::2].repeat_interleave(2, 0)


def _farthest(each: Tensor, start: Tensor) -> Tensor:
    low = torch.minimum(each[..., 0].amin(0), start[:, 0])
    return torch.stack([low, torch.maximum(each[..., 1].amax(0), start[:, 1])], dim=1)


def _one_end_a_batch(each: Tensor, start: Tensor, first: int) -> Tensor:
    """Compare the other end only where a batch does not push the end `first`, 0 or 1."""
    found = start.clone()
    for batch in each:
        beyond = torch.stack([batch[:, 0] < found[:, 0], batch[:, 1] > found[:, 1]], dim=1)
        beyond[:, 1 - first] &= ~beyond[:, first]
        found = torch.where(beyond, batch, found)
    return found


def _only(ranges: Tensor, start: Tensor, rows: slice) -> Tensor:
    found = start.clone()
    found[rows] = ranges[rows]
    return found


def _all_in_last(ranges: Tensor, start: Tensor) -> Tensor:
    last = torch.stack([ranges[:, 0].amin(), ranges[:, 1].amax()])
    return torch.cat([start[:-1], last[None]])


def _watched(
    weights: list[Tensor],
    batches: list[Tensor],
    *,
    looked_at: Callable[[list[Tensor]], list[Tensor]] = lambda batches: batches,
    start: tuple[float, float] = (torch.inf, -torch.inf),
    together: Callable[[Tensor, Tensor], Tensor] = _farthest,
    seen: Callable[[Tensor], Tensor] = lambda ranges: ranges,
    written: Callable[[Tensor, Tensor], Tensor] = lambda ranges, start: ranges,
    laid: Callable[[Tensor], Tensor] = lambda ranges: ranges,
) -> Tensor:
    """Return the extremes, of which any part may be another one."""
    each = _of_each([_outputs(weights, x) for x in looked_at(batches)])
    rows = torch.tensor([start] * each.shape[1])
    return laid(written(seen(together(each, rows)), rows))


def _row_for_each_batch(weights: list[Tensor], batches: list[Tensor]) -> Tensor:
    return torch.cat([observe_layers(weights, [x]) for x in batches])


def _hooked_anew(weights: list[Tensor], batches: list[Tensor]) -> Tensor:
    rows = [observe_layers(weights, [x]).repeat_interleave(n, 0) for n, x in enumerate(batches, 1)]
    return torch.cat(rows)


OBSERVE_LAYERS = Exercise(
    id="2.10",
    title="Watching a network",
    points=3,
    minutes=(9, 14),
    reference=observe_layers,
    cases=_observe_cases,
    rules=(Rule(relative=1e-4, absolute=1e-5),),
    hints=(
        "layer.register_forward_hook(hook) has torch call hook(layer, inputs, output) each time "
        "the layer has computed. What should the hook keep of a whole batch?",
        "Keep two numbers a layer and compare them with every batch's, inside the hook: the next "
        "layer is an in-place ReLU, which overwrites the output. Start from inf and -inf.",
        "ranges = torch.tensor([[torch.inf, -torch.inf]] * len(model)); for each i, layer: def "
        "hook(layer, inputs, y, i=i): ranges[i, 0] = min(ranges[i, 0], y.min()), and max for "
        "ranges[i, 1]. Register it, call model(x) for every batch under torch.no_grad().",
    ),
    misconceptions=(
        Misconception(
            "looks at the outputs when they are already overwritten",
            partial(_watched, seen=_overwritten),
            "nn.ReLU(inplace=True) writes into the tensor that your hook kept. Take the minimum "
            "and maximum inside the hook, or keep output.clone(), which needs the memory.",
        ),
        Misconception(
            "keeps the last batch only",
            partial(_watched, looked_at=lambda batches: batches[-1:]),
            "The hook runs once a batch: compare with what the batches before gave.",
        ),
        Misconception(
            "starts at 0",
            partial(_watched, start=(0.0, 0.0)),
            "Here the range is what was seen, not widened. Start from inf and -inf, so that the "
            "first batch decides.",
        ),
        Misconception(
            "starts the smallest at 0",
            partial(_watched, start=(0.0, -torch.inf)),
            "Here the range is what was seen, not widened: the smallest starts from inf, so that "
            "the first batch decides.",
        ),
        Misconception(
            "starts the largest at 0",
            partial(_watched, start=(torch.inf, 0.0)),
            "Here the range is what was seen, not widened: the largest starts from -inf, so that "
            "the first batch decides.",
        ),
        Misconception(
            "watches the linear layers only, leaving the rows of the ReLUs as they were made",
            partial(_watched, written=partial(_only, rows=slice(0, None, 2))),
            "The ReLUs are layers of the model, too: register a hook for each i, layer in "
            "enumerate(model).",
        ),
        Misconception(
            "watches the linear layers only, leaving the last rows as they were made",
            partial(
                _watched,
                written=lambda ranges, start: torch.cat([ranges[::2], start[len(start) // 2 :]]),
            ),
            "The ReLUs are layers of the model, too: register a hook for each i, layer in "
            "enumerate(model), which fills row i.",
        ),
        Misconception(
            "watches the ReLUs only, leaving the rows of the linear layers as they were made",
            partial(_watched, written=partial(_only, rows=slice(1, None, 2))),
            "The linear layers count as well, before their ReLU: register a hook for each i, "
            "layer in enumerate(model).",
        ),
        Misconception(
            "watches the inputs of the layers",
            _inputs,
            "A forward hook gets (layer, inputs, output): look at the third.",
        ),
        Misconception(
            "watches the inputs of the layers",
            _inputs_after_the_layer,
            "A forward hook gets (layer, inputs, output): look at the third.",
        ),
        Misconception(
            "writes all layers into the last row",
            partial(_watched, written=_all_in_last),
            "A hook made in a loop looks the loop's variable up when it is called, and the loop is "
            "over by then. Bind it: def hook(layer, inputs, output, row=row).",
        ),
        Misconception(
            "looks at the first batch only",
            partial(_watched, looked_at=lambda batches: batches[:1]),
            "Call model(x) for every batch: look at where your `return` stands.",
        ),
        Misconception(
            "returns the largest first",
            partial(_watched, laid=lambda ranges: ranges.flip(1)),
            "The smallest is in column 0, the largest in column 1.",
        ),
        Misconception(
            "has the layers side by side",
            partial(_watched, laid=lambda ranges: ranges.t()),
            "One row for each layer, the smallest and the largest side by side: stack along dim=1.",
        ),
        Misconception(
            "averages the batches",
            partial(_watched, together=lambda each, start: each.mean(0)),
            "Keep the extremes of all batches, as in 2.1.",
        ),
        Misconception(
            "skips the maximum of each batch that brings a new minimum",
            partial(_watched, together=partial(_one_end_a_batch, first=0)),
            "One batch may push both ends of a layer apart: ask for the maximum with an `if` of "
            "its own, not with `elif`.",
        ),
        Misconception(
            "skips the minimum of each batch that brings a new maximum",
            partial(_watched, together=partial(_one_end_a_batch, first=1)),
            "One batch may push both ends of a layer apart: ask for the minimum with an `if` of "
            "its own, not with `elif`.",
        ),
        Misconception(
            "adds rows for each batch",
            _row_for_each_batch,
            "Two numbers a layer are kept, whatever the number of batches: one row a layer, "
            "compared with each batch.",
        ),
        Misconception(
            "registers its hooks anew for each batch",
            _hooked_anew,
            "A hook stays until it is removed: register once, before the batches, or each batch "
            "runs all hooks that came before it as well.",
        ),
        Misconception(
            "watches the linear layers only",
            partial(_watched, laid=lambda ranges: ranges[::2]),
            "The ReLUs are layers of the model, too: for layer in model.",
        ),
        Misconception(
            "watches the ReLUs only",
            partial(_watched, laid=lambda ranges: ranges[1::2]),
            "The linear layers count as well, before their ReLU: for layer in model.",
        ),
    ),
)
