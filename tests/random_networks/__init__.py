"""Random networks of all operators: `draw(seed)` gives one, with inputs that it takes.

A network is a list of statements, drawn one after the other. Each is declared for tensors of a
number of dimensions (`images`, `sequences` and vectors, `elementwise` for all), reads the newest
tensor and perhaps an older one, and is run at once, so that the next knows its shape; what does not
fit, or makes numbers too large or too small, is drawn again.
"""

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from random_networks.elementwise import (
    IN_PLACE,
    batch_norm,
    by_channel,
    constant_map,
    prelu,
    table,
    with_older,
)
from random_networks.images import (
    arithmetic,
    bilinear,
    convolution,
    functional_convolution,
    move,
    padding,
    pool,
    reduction,
    residual,
    squeeze_and_excitation,
    to_sequence,
    transposed_convolution,
)
from random_networks.pen import Function, Network, OfOne, OfTwo, Pen, Statement, running
from random_networks.sequences import (
    linear,
    logits,
    sequence_layer,
    sequence_step,
    to_image,
    to_vector,
    vector_step,
)

IMAGES = 4
STATEMENTS = (4, 10)
LARGEST = 20_000  # numbers in one tensor
TRIES = 1000
WITH_OLDER = 0.25  # the share of statements that read two tensors

STEPS: dict[int, list[tuple[int, Function]]] = {  # how often, by the number of dimensions
    4: [
        (6, convolution),
        (3, residual),
        (3, squeeze_and_excitation),
        (4, table),
        (1, prelu),
        (2, batch_norm),
        (1, by_channel),
        (1, constant_map),
        (1, functional_convolution),
        (1, transposed_convolution),
        (2, arithmetic),
        (1, reduction),
        (4, move),
        (2, padding),
        (3, pool),
        (1, bilinear),
        (2, to_sequence),
    ],
    3: [
        (6, sequence_layer),
        (6, sequence_step),
        (2, table),
        (1, batch_norm),
        (1, by_channel),
        (1, prelu),
        (1, to_image),
        (1, to_vector),
    ],
    2: [(3, linear), (2, vector_step), (2, table), (1, batch_norm), (1, by_channel)],
}
FRESH = (convolution, residual, table, linear, pool, sequence_layer, batch_norm)


def draw(seed: int) -> tuple[Network, tuple[Tensor, ...]]:
    """Return a network in eval mode, and a batch for each of its inputs."""
    torch.manual_seed(seed)
    chance = random.Random(seed)
    two = chance.random() < 0.15
    network = (OfTwo if two else OfOne)()
    pen = Pen(seed, network.layers)
    with torch.no_grad(), running(network.layers):
        inputs = inputs_for(seed, network)
        values = list(inputs)
        for _ in range(chance.randint(*STATEMENTS)):
            _add(network, pen, values)
        _finish(network, pen, values)
    return network.eval(), inputs


def inputs_for(seed: int, network: Network) -> tuple[Tensor, ...]:
    """Return smooth pictures for a network; of its kind of sizes, by the seed it was drawn with."""
    chance = random.Random(seed)
    height, width = chance.randint(6, 11), chance.randint(6, 11)
    channels = [3, chance.choice([1, 3, 4])][: 2 if isinstance(network, OfTwo) else 1]
    noise = [torch.randn(IMAGES, c, height, width) for c in channels]
    return tuple(2 * F.avg_pool2d(x, 3, 1, 1) + x / 4 for x in noise)


def _add(network: Network, pen: Pen, values: list[Tensor], steps: Any = None) -> None:
    """Draw a statement that fits: one of `steps`, or of all."""
    for _ in range(TRIES):
        sources, step = _chosen(pen, values, steps)
        before, taken = len(network.layers), [values[i] for i in sources]
        try:
            function = step(pen, *taken)
            if function and step in FRESH and pen.chance.random() < 0.25:
                function = _with_in_place(pen, function)
            result = function(*(x.clone() for x in taken)) if function else None
        except (IndexError, RuntimeError, ValueError):  # too small for the window, and the like
            result = None
        if result is not None and _is_sound(result):
            network.statements.append(Statement(function, sources))
            network.named.append(step.__name__)
            values.append(result)
            return
        del network.layers[before:]
    raise AssertionError(f"none of {TRIES} statements fits after {network.named}")


def _chosen(
    pen: Pen, values: list[Tensor], steps: list[Function] | None
) -> tuple[tuple[int, ...], Function]:
    last = len(values) - 1
    if steps:
        return (last,), pen.one(*steps)
    if last and pen.chance.random() < WITH_OLDER:
        return (last, pen.one(*range(last))), with_older
    weighted = STEPS[values[-1].ndim]
    (step,) = pen.chance.choices([step for _, step in weighted], [often for often, _ in weighted])
    return (last,), step


def _with_in_place(pen: Pen, function: Function) -> Function:
    change = pen.kept(pen.one(*IN_PLACE))

    def changed(x: Tensor) -> Tensor:
        y = function(x) * 1.5
        change(y)
        return y

    return changed


def _is_sound(x: Tensor) -> bool:
    spread = float(x.std()) if x.isfinite().all() else 0.0
    return 0.02 < spread < 50 and float(x.abs().max()) < 200 and 0 < x.numel() <= LARGEST


def _finish(network: Network, pen: Pen, values: list[Tensor]) -> None:
    """End with logits, or with maps; return one tensor, several, or a dictionary."""
    if pen.chance.random() < 0.7:
        if values[-1].ndim > 2:
            _add(network, pen, values, [to_vector])
        _add(network, pen, values, [logits])
    last, how = len(values) - 1, pen.chance.random()
    other = pen.one(*range(len(values) - len(network.statements), len(values)))
    if how < 0.1:
        network.result = lambda values: (values[last], values[other])
    elif how < 0.2:
        network.result = lambda values: {"logits": values[last], "features": [values[other]]}
    else:
        network.result = lambda values: values[last]
