"""The network that people give: what is wrapped around it taken off, what is no network refused."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx._symbolic_trace import _wrapped_fns_to_patch

from labkit.kernels.modules import WithoutState
from labkit.validation import instance_of

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def given(model: Any) -> nn.Module:
    """Return a network itself, without `torch.compile` and `nn.DataParallel` around it.

    Raises
    ------
    TypeError
        If it is no module, or it or a part of it is scripted, traced, exported or already integer.
    """
    network = unwrapped(instance_of(model, nn.Module, "model", 'labkit.zoo.load_model("resnet")'))
    for path, module in network.named_modules():
        what = _unreadable(module)
        if what:
            part = f"its part {path!r}" if path else "it"
            raise TypeError(
                f"model cannot be read: {part} {what}; expected the float nn.Module that it was "
                "made from."
            )
    return network


def check_hooks() -> None:
    """Refuse hooks on all modules there are, which are part of no network.

    Raises
    ------
    ValueError
        If there is one.
    """
    hooks = (nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks)
    found = [hook for group in hooks for hook in group.values()]
    if found:
        raise ValueError(
            f"{getattr(found[0], '__qualname__', found[0])!r} is a hook of all modules "
            "(torch.nn.modules.module.register_module_forward_hook), which an integer network "
            "would lack; expected none. Remove it, or register it on a module of the network."
        )


def _unreadable(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return "is scripted or traced (torch.jit)"
    if isinstance(module, fx.GraphModule) and any(
        isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes
    ):
        return "is exported (torch.export)"
    if ".quantized" in type(module).__module__ and type(module).__module__.startswith("torch."):
        return f"is a {type(module).__name__}, which torch.ao has quantized already"
    if isinstance(module, WithoutState):
        return f"is a {type(module).__name__}, which computes with integers already"
    return ""


def unwrapped(module: nn.Module) -> nn.Module:
    """Return what is inside of `torch.compile` and `nn.DataParallel`, or the module as it is."""
    while True:
        inside = module.module if isinstance(module, PARALLEL) else vars(module).get("_modules", {})
        inside = inside.get("_orig_mod") if isinstance(inside, dict) else inside
        if not isinstance(inside, nn.Module):
            return module
        module = inside


def unwrap_parts(network: nn.Module) -> None:
    """Take off, in place, what is wrapped around the parts of a network."""
    for module in list(network.modules()):
        for name, part in list(module.named_children()):
            if unwrapped(part) is not part:
                setattr(module, name, unwrapped(part))


def check_numbers(network: nn.Module) -> None:
    """Refuse parameters without numbers, with NaN or infinity, and buffers with NaN.

    (A mask may hold infinity.)

    Raises
    ------
    ValueError
        The message names the layer.
    """
    for path, module in network.named_modules():
        parameters = dict(module.named_parameters(recurse=False))
        for name, value in (parameters | dict(module.named_buffers(recurse=False))).items():
            if nn.parameter.is_lazy(value) or value.is_meta:
                raise ValueError(
                    f"{name} of layer {path!r} ({type(module).__name__}) has no numbers yet; "
                    "expected trained ones. Run a lazy layer once, and load what is on device meta."
                )
            if not value.is_floating_point():
                continue
            wrong = ~value.isfinite() if name in parameters else value.isnan()
            if bool(wrong.any()):
                raise ValueError(
                    f"{name} of layer {path!r} ({type(module).__name__}) has NaN or infinity in "
                    f"{int(wrong.sum())} of {wrong.numel()} values; expected finite numbers. They "
                    "come from training: look at its loss and its learning rate."
                )


@contextlib.contextmanager
def seeing_through() -> Iterator[None]:
    """Let functions that others hide from tracing (`torch.fx.wrap`) be traced as all others."""
    hidden = dict(_wrapped_fns_to_patch)
    for key, names in hidden.items():
        if not str(names.get("__name__")).startswith("torch."):
            del _wrapped_fns_to_patch[key]
    try:
        yield
    finally:
        _wrapped_fns_to_patch.update(hidden)
