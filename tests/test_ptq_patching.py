"""What is not plain Python in a forward: traced as it was written, or refused; never a crash."""

import builtins
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from other_networks import pictures
from test_ptq_any_network import SIZE, checked, conv
from test_ptq_graph import Layers
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from labkit.ptq import quantize_model


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(swish)


class Swish(torch.autograd.Function):
    """With gradients of its own, to save memory."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x


class Scaled(torch.autograd.Function):
    """Written the newer way."""

    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def asks(net, x):
    x = net.conv(x)
    return x * 2 if isinstance(x, Tensor) and not isinstance(x, dict) else x


FORWARDS = {
    "scripted": lambda net, x: scripted(net.conv(x)),
    "own gradients": lambda net, x: Swish.apply(net.conv(x)),
    "own context": lambda net, x: Scaled.apply(net.conv(x), 2.0),
    "computed again": lambda net, x: F.relu(checkpoint(net.conv, x, use_reentrant=False)),
    "computed again, the old way": lambda net, x: checkpoint(net.conv, x, use_reentrant=True) * 2,
    "asks for a tensor": asks,
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", FORWARDS)
def test_what_torch_itself_cannot_trace_is_traced_as_written(name):
    torch.manual_seed(0)
    checked(Layers(FORWARDS[name], conv=conv()).eval(), pictures(4, SIZE))


@pytest.mark.parametrize(
    "function",
    [
        torch.as_tensor,
        torch.tensor,
        torch.Tensor,
        torch.vmap(lambda x: x * 2),
        lambda x: torch.from_numpy(np.asarray(x.detach())),
    ],
)
def test_what_takes_real_tensors_only_is_refused_with_its_line(function):
    def forward(net, x):
        return function(net.conv(x))

    with pytest.raises(ValueError, match=r"fixed graph \(test_ptq_patching.py, line \d+\): "):
        quantize_model(Layers(forward, conv=conv()).eval(), [pictures(2, SIZE)])


def test_what_was_patched_is_itself_again():
    before = [isinstance, len, torch.zeros, torch.jit.ScriptFunction.__call__]
    with pytest.raises(ValueError, match="fixed graph"):
        quantize_model(Layers(lambda net, x: torch.tensor(x)).eval(), [pictures(2, SIZE)])
    assert [builtins.isinstance, builtins.len, torch.zeros] == before[:3]
    assert torch.jit.ScriptFunction.__call__ is before[3]
    x = torch.ones(2, requires_grad=True)
    Swish.apply(x).sum().backward()
    assert x.grad is not None
