"""Networks whose weights are codes, and training of their levels."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.codebooks.storing import METHODS, CodebookTensor
from labkit.progress_bar import progress_bar
from labkit.validation import integer_tensor, real_tensor

__all__ = ["CodebookLayer", "centroid_gradient", "fine_tune", "share_weights"]


def centroid_gradient(dw: Tensor, codes: Tensor, k: int) -> Tensor:
    """Return the gradient of each level: the sum over the weights that have its code.

    ::

        dL / dlevels[c] = sum over all i with codes[i] = c of  dL / dw[i]

    Parameters
    ----------
    dw : Tensor
        Gradient of the weights, any shape.
    codes : Tensor
        Integers from 0 to k - 1, in the shape of `dw`.
    k : int
        How many levels.

    Returns
    -------
    Tensor
        [k], in the dtype of `dw`.

    Raises
    ------
    TypeError, ValueError
        If `dw` is not a finite real tensor, or shapes differ.

    Notes
    -----
    Han, Mao and Dally 2016, arXiv:1510.00149, equation (3).
    """
    dw, codes = real_tensor(dw, "dw"), integer_tensor(codes, "codes")
    if dw.shape != codes.shape:
        raise ValueError(
            f"dw has shape {tuple(dw.shape)} and codes {tuple(codes.shape)}; expected one code for "
            "each gradient."
        )
    return torch.bincount(codes.flatten(), dw.flatten().double(), k).to(dw.dtype)


class Lookup(torch.autograd.Function):
    """``levels[codes]``, whose gradient is `centroid_gradient`."""

    @staticmethod
    def forward(ctx: Any, levels: Tensor, codes: Tensor) -> Tensor:
        """Return the weights."""
        ctx.save_for_backward(codes)
        ctx.k = len(levels)
        return levels[codes]

    @staticmethod
    def backward(ctx: Any, dw: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the levels."""
        (codes,) = ctx.saved_tensors
        return centroid_gradient(dw, codes, ctx.k), None


class CodebookLayer(nn.Module):
    """A convolution or linear layer whose weights are codes; its levels can be trained.

    Parameters
    ----------
    layer : nn.Conv2d or nn.Linear
        It stays as it is.
    k : int
        How many levels.
    per_channel : bool
        Levels for each output channel, rather than for the layer.
    method : {"kmeans", "optimal"}
        How they are found.

    Attributes
    ----------
    levels : Parameter
        [k], or [out, k].
    codes : Tensor
        int64, in the layer's shape: places in ``levels.flatten()``.
    """

    codes: Tensor

    def __init__(
        self,
        layer: nn.Conv2d | nn.Linear,
        k: int,
        per_channel: bool = False,
        method: str = "kmeans",
    ) -> None:
        super().__init__()
        weight = layer.weight.detach()
        stored = CodebookTensor.of(weight, k, weight[0].numel() if per_channel else None, method)
        self.levels = nn.Parameter(stored.levels if per_channel else stored.levels[0])
        first = k * torch.arange(len(stored.levels))
        self.register_buffer("codes", stored.codes + first.reshape(-1, *[1] * (weight.ndim - 1)))
        self.bits_per_weight = stored.bits_per_weight
        self.layer = copy.deepcopy(layer).requires_grad_(False)
        self.layer.weight = None  # type: ignore[assignment]

    @property
    def weight(self) -> Tensor:
        """The level of each code, in the layer's shape."""
        return Lookup.apply(self.levels.flatten(), self.codes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return F.linear(x, self.weight, layer.bias)
        return layer._conv_forward(x, self.weight, layer.bias)


def share_weights(
    model: nn.Module, k: int, per_channel: bool = False, method: str = "kmeans"
) -> nn.Module:
    """Return a copy of a network whose convolutions and linear layers have k levels each.

    Parameters
    ----------
    model : nn.Module
        It stays as it is.
    k : int
        Levels of each layer.
    per_channel : bool
        So many for each output channel.
    method : {"kmeans", "optimal"}
        How they are found.

    Raises
    ------
    ValueError
        If there is no such method, or nothing to share.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
    model = copy.deepcopy(model)
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    if not names:
        raise ValueError("model has no Conv2d or Linear; there is nothing to share.")
    for name in names:
        model.set_submodule(name, CodebookLayer(model.get_submodule(name), k, per_channel, method))  # type: ignore[arg-type]
    return model


def fine_tune(
    model: nn.Module,
    images: Tensor,
    teacher: nn.Module,
    steps: int = 200,
    batch_size: int = 32,
    peak: float = 0.02,
    seed: int = 0,
    progress: bool = False,
) -> list[float]:
    """Train the levels of a network of `share_weights` in place; codes and all else stay.

    Adam, with a learning rate for each layer in proportion to the mean magnitude of its levels,
    that falls to 0 along half a cosine. The loss is the cross entropy of the network's answers
    with the teacher's; normalization keeps the statistics that it has.

    Parameters
    ----------
    model : nn.Module
        As `share_weights` returns it.
    images : Tensor
        float32 [N, ...].
    teacher : nn.Module
        The network that `model` was made from.
    steps, batch_size : int
        How many steps, with so many images each.
    peak : float
        The first learning rate, over the mean magnitude of the levels.
    seed : int
        Of the order of the images.
    progress : bool
        Show a progress bar with the loss.

    Returns
    -------
    list of float
        The loss at each step.

    Raises
    ------
    ValueError
        If there are fewer images than a batch, the model has no levels, or the loss is not finite.
    """
    layers = [m for m in model.modules() if isinstance(m, CodebookLayer)]
    if not layers:
        raise ValueError("model has no levels to train; make it with share_weights(model, k).")
    if not 1 <= batch_size <= len(images):
        raise ValueError(
            f"batch_size is {batch_size} for {len(images)} images; expected 1 to {len(images)}."
        )
    rng, losses = torch.Generator().manual_seed(seed), []
    sizes = [float(layer.levels.detach().abs().mean()) for layer in layers]
    optimizer = torch.optim.Adam(
        [
            {"params": [layer.levels], "lr": peak * size}
            for layer, size in zip(layers, sizes, strict=True)
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.eval()
    bar = progress_bar(range(steps), "fine-tune", progress)
    for _ in bar:
        batch = images[torch.randint(len(images), (batch_size,), generator=rng)]
        with torch.no_grad():
            answers = teacher(batch).softmax(1)
        loss = F.cross_entropy(model(batch), answers)
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"the loss is {loss.item()}; use a smaller learning rate than {peak}.")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
