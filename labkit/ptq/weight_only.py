"""Weight-only quantization: weights as packed integers, activations as they are."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.linear import dequantize, quantize
from labkit.packing import pack, unpack
from labkit.ptq.copying import baked_copy
from labkit.ptq.given import given
from labkit.ptq.weights import weight_qparams
from labkit.qparams import QParams, Scheme
from labkit.validation import instance_of

PACKED = (2, 4)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
KINDS = ", ".join(kind.__name__ for kind in LAYERS)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# What computes with weights and is no layer of these kinds.
OTHERS = (*TRANSPOSED, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Conv1d": F.conv1d,
    "Conv2d": F.conv2d,
    "Conv3d": F.conv3d,
}


class WeightOnlyLayer(nn.Module):
    """A layer that stores integers and computes in floating point: ``y = dequantize(q_w) x + b``.

    The weights are made real again at each call, in the dtype of `x`: smaller, not faster, until a
    kernel does that in its registers. What it saves is memory and what is read from it.

    Parameters
    ----------
    layer : nn.Linear, nn.Conv1d, nn.Conv2d or nn.Conv3d
        It stays as it is.
    scheme : Scheme
        The integers.
    group_size : int, optional
        How many neighbouring weights of an output share a scale; None: all of them.
    method : str
        "mse" or "minmax", as in `weight_qparams`.

    Raises
    ------
    ValueError
        If the layer pads with anything but zeros, or has a forward of its own; or as
        `weight_qparams`.

    Attributes
    ----------
    qparams : QParams
        Of the weights as a matrix, [out, everything else].
    weight : Tensor
        The weights, float32, in the layer's shape; made at each look.
    bytes : int
        Of codes, scales, zero points and bias.
    """

    q_w: Tensor
    scale: Tensor
    zero_point: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        layer: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear,
        scheme: Scheme,
        group_size: int | None = None,
        method: str = "mse",
    ) -> None:
        super().__init__()
        _check(layer)
        rows = layer.weight.detach().flatten(1)
        qparams = weight_qparams(rows, scheme, True, method, group_size)
        q_w = quantize(rows, qparams)
        self.scheme, self.axis, self.group_size = scheme, qparams.axis, group_size
        self.shape = layer.weight.shape
        self.kind = next(kind.__name__ for kind in LAYERS if isinstance(layer, kind))
        self._moves = _moves(layer)
        self.register_buffer("q_w", pack(q_w, scheme.bits) if scheme.bits in PACKED else q_w)
        self.register_buffer("scale", qparams.scale)
        zero_point = None if scheme.symmetric else qparams.zero_point.to(scheme.dtype)
        self.register_buffer("zero_point", zero_point)
        bias = None if layer.bias is None else layer.bias.detach().clone()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer in the dtype of `x`."""
        weight = self.weight.to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self._moves is None:
            return F.linear(x, weight, bias)
        stride, padding, dilation, groups = self._moves
        return FUNCTIONS[self.kind](x, weight, bias, stride, padding, dilation, groups)

    @property
    def weight(self) -> Tensor:
        """The weights, float32, in the layer's shape."""
        q_w, scheme = self.q_w, self.scheme
        if scheme.bits in PACKED:
            q_w = unpack(q_w, scheme.bits, self._rows(), scheme.signed)
        return dequantize(q_w, self.qparams).reshape(self.shape)

    @property
    def qparams(self) -> QParams:
        """The grid of the weights as a matrix, [out, everything else]."""
        zero_point = self.zero_point
        if zero_point is None:
            zero_point = torch.full_like(self.scale, self.scheme.middle, dtype=torch.int32)
        return QParams(self.scale, zero_point, self.scheme, self.axis, self.group_size)

    @property
    def bytes(self) -> int:
        """What the layer takes in memory, and on disk."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.buffers())

    def extra_repr(self) -> str:
        """Show what it stores."""
        bits, group_size = self.scheme.bits, self.group_size
        return f"{self.kind}, {tuple(self.shape)}, {bits} bits, group_size={group_size}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "WeightOnlyLayer":
        # Scales stay float32 under model.half(), which would round small ones to 0.
        scale = self.scale
        super()._apply(fn, recurse)
        self.scale = scale.to(self.scale.device)
        return self

    def _rows(self) -> tuple[int, int]:
        return self.shape[0], self.shape[1:].numel()


def _check(layer: nn.Module) -> None:
    mode = getattr(layer, "padding_mode", "zeros")
    if mode != "zeros":
        raise ValueError(f"padding_mode is {mode!r}; expected 'zeros'. Name the layer in skip.")
    if type(layer).forward not in {kind.forward for kind in LAYERS}:
        raise ValueError(
            f"{type(layer).__name__} has a forward of its own; expected that of one of "
            f"{', '.join(kind.__name__ for kind in LAYERS)}. Name the layer in skip."
        )


def _moves(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) -> tuple[Any, ...] | None:
    if isinstance(layer, nn.Linear):
        return None
    return layer.stride, layer.padding, layer.dilation, layer.groups


def weight_only(
    model: nn.Module,
    scheme: Scheme,
    group_size: int | None = None,
    skip: Sequence[str] = (),
    method: str = "mse",
) -> nn.Module:
    """Return a copy of a network whose convolutions and linear layers store integer weights.

    Parameters
    ----------
    model : nn.Module
        It stays as it is. Embeddings, normalizations and bare parameters (as the projection of
        queries, keys and values in torch's attention is one) are left as they are.
    scheme : Scheme
        ``Scheme(8, symmetric=True)`` for W8A16, ``Scheme(4)`` with a `group_size` for W4.
    group_size : int, optional
        How many neighbouring weights of an output share a scale.
    skip : sequence of str
        Layers that stay as they are, by their paths.
    method : str
        How ranges are chosen: "mse" or "minmax", as in `weight_qparams`.

    Raises
    ------
    TypeError, ValueError
        If `scheme` is none, a name in `skip` is no layer, or weights cannot be quantized: those of
        recurrent, bilinear and transposed layers, unless they are named in `skip`, or with NaN
        (the message names the layer).

    Notes
    -----
    Dettmers and Zettlemoyer, "The case for 4-bit precision", ICML 2023, arXiv:2212.09720.
    """
    instance_of(scheme, Scheme, "scheme", "Scheme(4)")
    model = given(model)
    for path, layer in model.named_modules():
        if isinstance(layer, OTHERS) and not _inside(path, skip):
            raise ValueError(
                f"layer {path!r} is of type {type(layer).__name__}, whose weights stay real here; "
                f"expected {KINDS}. Name it in skip to leave "
                "it as it is."
            )

    def make(layer: nn.Module) -> nn.Module:
        return WeightOnlyLayer(layer, scheme, group_size, method)  # type: ignore[arg-type]

    replaced = replace_modules(model, LAYERS, make, skip)
    if not skip and not any(isinstance(layer, WeightOnlyLayer) for layer in replaced.modules()):
        raise ValueError(
            f"model has no layer to quantize; expected one of {KINDS}. Weights that are bare "
            "parameters stay real: put them into such a layer."
        )
    return replaced


def replace_modules(
    model: nn.Module,
    kinds: type[nn.Module] | tuple[type[nn.Module], ...],
    make: Callable[[nn.Module], nn.Module],
    skip: Sequence[str] = (),
) -> nn.Module:
    """Return a copy of a network in which modules of some kinds are replaced.

    Parameters
    ----------
    model : nn.Module
        It stays as it is.
    kinds : type or tuple of types
        Which modules; what is inside of one that is replaced is not looked at.
    make : callable
        ``make(module)`` returns what takes its place.
    skip : sequence of str
        Modules that stay as they are, by their paths; so do those inside of them.

    Raises
    ------
    ValueError
        If the network has no module of a name in `skip`.
    TypeError, ValueError
        As `make`; the message names the module.
    """
    unknown = sorted(set(skip) - {name for name, _ in model.named_modules()})
    if unknown:
        raise ValueError(
            f"skip names {', '.join(map(repr, unknown))}; expected paths of model.named_modules()."
        )
    replaced = baked_copy(model)
    made: dict[nn.Module, nn.Module] = {}
    if isinstance(replaced, kinds):
        return replaced if "" in skip else _made(make, replaced, "")

    def visit(parent: nn.Module, path: str) -> None:
        for name, child in list(parent.named_children()):
            full = f"{path}{name}"
            if full in skip:
                continue
            if isinstance(child, kinds):
                # A layer that two paths share stays shared.
                if child not in made:
                    made[child] = _made(make, child, full)
                setattr(parent, name, made[child])
            else:
                visit(child, f"{full}.")

    visit(replaced, "")
    return replaced


def _made(make: Callable[[nn.Module], nn.Module], module: nn.Module, path: str) -> nn.Module:
    try:
        return make(module).train(module.training)
    except (TypeError, ValueError) as error:
        raise type(error)(f"layer {path!r}: {error}") from error


def _inside(path: str, modules: Sequence[str]) -> bool:
    """Tell whether a path is that of one of these modules, or inside of one."""
    return any(module in ("", path) or path.startswith(f"{module}.") for module in modules)
