"""From a trained, prepared network to integers, and the proof that the two are the same."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from labkit import ptq
from labkit.ptq import QuantizedModel
from labkit.ptq.graph import layer_of
from labkit.qat.prepare import activation_quantizers, layers_alone, weight_quantizers
from labkit.qat.quantizers import Quantizer
from labkit.validation import instance_of

__all__ = ["Agreement", "compare", "convert"]


def convert(network: fx.GraphModule, backend: str = "torch") -> QuantizedModel:
    """Return the integer network that a prepared one stands for.

    Parameters
    ----------
    network : fx.GraphModule
        As `prepare` returns it, trained or not, after it has seen a batch; it stays as it is.
    backend : str
        As in `labkit.ptq.quantize_model`.

    Returns
    -------
    QuantizedModel
        The same integer module as after post-training quantization. It computes what the prepared
        network computes in eval mode, without dropout, but for values within float rounding of a
        tie: `compare`.

    Raises
    ------
    TypeError, ValueError
        If the network is not prepared, or has seen no batch.
    """
    tensors = {name: q.qparams() for name, q in activation_quantizers(_prepared(network)).items()}
    training, weights = network.training, {}
    network.eval()
    for name, quantizer in weight_quantizers(network).items():
        # Computed once more: the scale of binary weights moves with them.
        network.get_submodule(name).weight  # noqa: B018
        weights[name] = quantizer.qparams()
    # Of a network that was prepared without islands, none is one.
    quantized = ptq.convert(layers_alone(network), weights, tensors, backend, islands=True)
    network.train(training)
    return quantized


@dataclass(frozen=True)
class Agreement:
    """How far a tensor of the prepared network and its integers agree, given the same inputs.

    Attributes
    ----------
    tensor : str
        Its name in the graph.
    codes : int
        How many values were compared.
    differ : int
        How many codes differ.
    farthest : float
        The largest distance of a real value whose code differs from the tie between the two codes,
        in steps of the grid; 0 if none differs. Much less than 0.5: these are ties.
    """

    tensor: str
    codes: int
    differ: int
    farthest: float


def compare(network: fx.GraphModule, quantized: QuantizedModel, *images: Tensor) -> list[Agreement]:
    """Compare a prepared network with its integers, tensor by tensor.

    Each layer of the prepared network gets the integer network's own input, so that one difference
    is not followed by others.

    Parameters
    ----------
    network : fx.GraphModule
        As `prepare` returns it, in eval mode.
    quantized : QuantizedModel
        As `convert` returns it.
    *images : Tensor
        float32 [N, C, H, W], one for each input.

    Returns
    -------
    list of Agreement
        In the order in which the tensors are computed.

    Raises
    ------
    ValueError
        If `network` is in training mode, where it would move its grids.
    """
    if _prepared(network).training:
        raise ValueError("network is in training mode; call network.eval() first.")
    following = _Following(network, quantized)
    with torch.no_grad():
        following.run(*images)
    return following.found


class _Following(fx.Interpreter):
    """Runs a prepared network with the integer network's values in place of its own."""

    def __init__(self, network: fx.GraphModule, quantized: QuantizedModel) -> None:
        super().__init__(network)
        self.found: list[Agreement] = []
        self._network = network
        self._quantized = quantized

    def run(self, *images: Any, **options: Any) -> Any:
        """Run both on the images."""
        self._codes = self._quantized.values(*images)
        return super().run(*images, **options)

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node; at a quantizer compare, and go on with what the integers stand for."""
        quantizer = layer_of(n, self._network)
        if not isinstance(quantizer, Quantizer):
            return super().run_node(n)
        (source,) = n.all_input_nodes
        qparams, codes = quantizer.qparams(), self._codes[source.name]
        counted = self.env[source] / qparams.scale + qparams.zero_point
        own = counted.round().clamp(qparams.scheme.qmin, qparams.scheme.qmax)
        wrong = own != codes
        between = (own[wrong] + codes[wrong]) / 2
        farthest = float((counted[wrong] - between).abs().max()) if wrong.any() else 0.0
        self.found.append(Agreement(source.name, codes.numel(), int(wrong.sum()), farthest))
        return (codes.to(torch.float32) - qparams.zero_point) * qparams.scale


def _prepared(network: fx.GraphModule) -> fx.GraphModule:
    network = instance_of(network, fx.GraphModule, "network", "prepare(model, weight_scheme, ...)")
    if not activation_quantizers(network):
        raise ValueError("the network has no quantizers; expected one that prepare returned.")
    return network
