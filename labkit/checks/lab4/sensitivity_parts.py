"""Networks with one quantized layer, of which any part may be another one (exercise 4.7)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Layers = Sequence[tuple[Tensor, Tensor]]


def run(layers: Layers, x: Tensor) -> Tensor:
    """Return the result of a network of linear layers, with a ReLU after all but the last."""
    for weight, bias in layers[:-1]:
        x = (x @ weight.t() + bias).relu()
    weight, bias = layers[-1]
    return x @ weight.t() + bias


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Return what the weights are after symmetric codes with one scale."""
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(weight / scale) * scale


Layer = tuple[Tensor, Tensor]
Power = Callable[[Tensor], Tensor]


def _square_sum(y: Tensor) -> Tensor:
    return y.square().sum()


def _one_at_a_time(layers: Layers, alone: Layers, i: int) -> Layers:
    return [*layers[:i], alone[i], *layers[i + 1 :]]


def _ratio(y: Tensor, error: Tensor, power: Power) -> Tensor:
    return power(y) / power(error)


def measured(
    layers: Layers,
    x: Tensor,
    bits: int,
    *,
    extent: Callable[[Tensor], Tensor] = lambda weight: weight.abs().max(),
    lowest: Callable[[Tensor], Tensor | float] = lambda weight: 0.0,
    top: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    biased: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor] = lambda bias, coarse: bias,
    network: Callable[[Layers, Layers, int], Layers] = _one_at_a_time,
    compute: Callable[[Layers, Tensor], Tensor] = run,
    signal: Callable[[Tensor, Tensor], Tensor] = lambda y, z: y,
    power: Power = _square_sum,
    ratio: Callable[[Tensor, Tensor, Power], Tensor] = _ratio,
    in_db: Callable[[Tensor], Tensor] = lambda ratio: 10 * torch.log10(ratio).mean(),
) -> Tensor:
    """Return the SQNR a layer, of which any part may be another one."""

    def coarse(real: Tensor) -> Tensor:
        scale, low = extent(real) / top(bits), lowest(real)
        return back(turn((real - low) / scale), scale) + low

    y, found = compute(layers, x), []
    alone = [(coarse(weight), biased(bias, coarse)) for weight, bias in layers]
    for i in range(len(layers)):
        z = compute(network(layers, alone, i), x)
        found.append(in_db(ratio(signal(y, z), z - y, power)))
    return torch.stack(found)


def width(weight: Tensor) -> Tensor:
    """Return the width from the smallest to the largest weight."""
    return weight.max() - weight.min()


def of_weights(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR of each layer's weights."""
    pairs = [(w, rounded(w, bits) - w) for w, _ in layers]
    return torch.stack([10 * torch.log10(_ratio(*pair, _square_sum)) for pair in pairs])


def own_result(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR of what each layer itself puts out."""
    found = []
    for weight, bias in layers:
        y, error = x @ weight.t() + bias, x @ (rounded(weight, bits) - weight).t()
        found.append(10 * torch.log10(_ratio(y, error, _square_sum)))
        x = y.relu()
    return torch.stack(found)


def rounded_input(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR where the input is rounded, for every layer the same."""
    y = run(layers, x)
    error = run(layers, rounded(x, bits)) - y
    return (10 * torch.log10(_ratio(y, error, _square_sum))).expand(len(layers))


def without_relu(layers: Layers, x: Tensor) -> Tensor:
    """Return the result of a network without ReLUs."""
    for weight, bias in layers:
        x = x @ weight.t() + bias
    return x


def without_bias(layers: Layers, x: Tensor) -> Tensor:
    """Return the result of a network without biases."""
    return run([(weight, 0 * bias) for weight, bias in layers], x)
