"""What a network's forward does, in order, as a graph: `torch.fx`, and what that leaves out.

Hooks are traced with the rest, an optional argument has its default, and given an example, a
forward may branch and loop on shapes.
"""

import contextlib
import inspect
import operator
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from labkit.ptq.copying import plain_copy
from labkit.ptq.during_tracing import calling_its_hooks, keeping_its_state
from labkit.ptq.given import seeing_through
from labkit.ptq.in_training import EvalMode, InTraining, functions_in_training
from labkit.ptq.patching import patched
from labkit.ptq.proxies import Proxy

OWN = "labkit.ptq"
JOINING = (torch.cat, torch.concat, torch.concatenate, torch.stack, torch.hstack, torch.vstack)
_UNKNOWN = object()
BATCH_NORM = nn.modules.batchnorm._BatchNorm.forward


def graph_of(
    model: nn.Module, example: Sequence[Tensor] | None = None, for_training: bool = False
) -> fx.GraphModule:
    """Return a network as a graph; `model` becomes part of it.

    Parameters
    ----------
    model : nn.Module
    example : sequence of Tensor, optional
        What the forward is called with. It is not run on it, but knows the shapes.
    for_training : bool
        Keep what does something in training mode only (`InTraining`).

    Notes
    -----
    Reed et al., "torch.fx: Practical Program Capture and Transformation for Deep Learning in
    Python", MLSys 2022, arXiv:2112.08429.
    """
    tracer = _Tracer(example, for_training)
    if for_training:
        for module in model.modules():
            module.training = EvalMode()  # type: ignore[assignment]
    parameters = list(inspect.signature(model.forward).parameters.values())
    defaults = {
        p.name: p.default for p in parameters[len(example or ()) :] if p.default is not p.empty
    }
    with patched(tracer), keeping_its_state(model), calling_its_hooks(model), seeing_through():
        graph = tracer.trace(model, concrete_args=defaults or None)
    for node in list(graph.nodes):
        if "_assert" in getattr(node.target, "__name__", ""):
            graph.erase_node(node)  # that an optional argument has its default
    for node in list(graph.nodes):
        if node.op == "placeholder" and node.target.removesuffix("_1") in defaults:
            for comparison in list(node.users):
                graph.erase_node(comparison)
            graph.erase_node(node)
    for node in list(graph.nodes):
        if node.op == "placeholder" and node.target.startswith("*"):
            _erase_unnamed(node, graph)
    for module in model.modules():  # what their hooks do is in the graph
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    network = fx.GraphModule(tracer.root, graph, type(model).__name__).eval()
    for path in tracer.in_training:
        network.set_submodule(path, InTraining(network.get_submodule(path)))
    functions_in_training(network)
    return network


def line_that_raised(error: BaseException) -> str:
    """Return where the user's code raised an error, to be put behind what is said of it."""
    frames = list(traceback.walk_tb(error.__traceback__))
    places = [_place(frame.f_code, line) for frame, line in frames if not _is_own(frame)]
    return f" ({places[-1]})" if places else ""


def line_of(node: fx.Node) -> str:
    """Return where the user's code asks for a node, to be put behind its name."""
    return f" ({node.meta['line']})" if node.meta.get("line") else ""


def _erase_unnamed(node: fx.Node, graph: fx.Graph) -> None:
    """Erase what stands for ``*args`` or ``**kwargs``, of which a network has none."""
    if node.users:
        raise ValueError(
            f"its forward reads {node.target}; expected its inputs by name, forward(self, x)"
        )
    graph.erase_node(node)


class _Tracer(fx.Tracer):
    """Records what is called, with the shapes that an example leads to."""

    proxy_buffer_attributes = True

    def __init__(self, example: Sequence[Tensor] | None, for_training: bool) -> None:
        super().__init__()
        self._for_training = for_training
        self.in_training: dict[str, nn.Module] = {}
        self._inputs: Any = None if example is None else iter(example)
        self._evaluating = False
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._elsewhere: dict[nn.Module, str] = {}
        self.values: dict[fx.Node, Any] = {}

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Record a node, where it comes from, and the shape that it would have."""
        node = super().create_node(*args, **kwargs)
        node.meta["line"] = _line()
        if self._inputs is not None:
            with contextlib.suppress(Exception):  # what cannot be known is left unknown
                value = self._evaluated(node)
                self.values[node] = value
                if isinstance(value, Tensor):
                    node.meta |= {"shape": tuple(value.shape), "dtype": value.dtype}
        return node

    def _evaluated(self, node: fx.Node) -> Any:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        self._evaluating = True
        try:
            with self._fake, torch.no_grad(), torch.autocast("cpu", enabled=False):
                match node.op:
                    case "placeholder":
                        return self._fake.from_tensor(next(self._inputs))
                    case "get_attr":
                        return operator.attrgetter(str(node.target))(self.root)
                    case "call_module":
                        layer = self.root.get_submodule(str(node.target))
                        if type(layer).forward is BATCH_NORM and not layer.training:
                            # Its input's; torch would put it together in 20 steps.
                            return torch.empty_like(*args, **kwargs)  # type: ignore[arg-type]
                        return type(layer).forward(layer, *args, **kwargs)
                    case "call_method":
                        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                    case _:
                        return node.target(*args, **kwargs)  # type: ignore[operator]
        finally:
            self._evaluating = False

    def known(self, proxy: fx.Proxy) -> Any:
        """Return what a value would be, as far as shapes tell."""
        return self.values.get(proxy.node, _UNKNOWN)

    def number(self, proxy: fx.Proxy) -> Any:
        """Return a number that shapes tell, or that parameters and buffers hold."""
        value = self.known(proxy)
        if not isinstance(value, bool | int | float):
            self._evaluating = True
            with contextlib.suppress(Exception):  # it depends on the inputs, or is no one number
                value = self._constant(proxy.node).item()
            self._evaluating = False
        return value

    def _constant(self, node: fx.Node) -> Any:
        """Compute what depends on parameters, buffers and sizes alone."""
        if isinstance(self.values.get(node), int | float | tuple):
            return self.values[node]
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.root).detach().clone()
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._constant)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return what stands for a node's value."""
        return Proxy(node, self)

    def create_proxy(
        self, kind: str, target: Any, args: tuple, kwargs: dict, *more: Any, **named: Any
    ) -> fx.Proxy:
        """Record a call; what is joined is named part by part."""
        if target in JOINING and args and isinstance(args[0], fx.Proxy):
            args = (tuple(args[0]), *args[1:])
        return super().create_proxy(kind, target, args, kwargs, *more, **named)

    def create_arg(self, a: Any) -> Any:
        """Return what stands for an argument."""
        if isinstance(a, fx.Proxy):
            return a.node
        return super().create_arg(a.item() if isinstance(a, np.generic) else a)

    def path_of_module(self, mod: nn.Module) -> str:
        """Return a module's path; what is made in the forward, or kept elsewhere, gets one."""
        if mod not in self._elsewhere:
            try:
                return super().path_of_module(mod)
            except NameError:
                if not super().is_leaf_module(mod, ""):
                    return type(mod).__name__  # a container, whose parts have paths
                self._elsewhere[mod] = f"elsewhere_{len(self._elsewhere)}"
                self.root.add_module(self._elsewhere[mod], plain_copy(mod))
        return self._elsewhere[mod]

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Decide a branch on shapes, or on a number that the network holds."""
        value = self.number(obj)
        if isinstance(value, bool | int | float | tuple | None.__class__):
            return bool(value)
        return super().to_bool(obj)

    def iter(self, obj: Any) -> Iterator[Any]:
        """Go through the parts of a value."""
        value = self.known(obj)
        if isinstance(value, Tensor | tuple | list) and not (
            isinstance(value, Tensor) and value.ndim == 0
        ):
            return (obj[i] for i in range(len(value)))
        return super().iter(obj)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module is one operation: not if torch puts it together from others."""
        one = isinstance(m, nn.MultiheadAttention) or not any(m.children())
        return one and super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Return a parameter as a node, but for the shapes' own calls."""
        if self._evaluating:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict
    ) -> Any:
        """Record the call of a layer, and what hooks do before and after it."""
        if self._evaluating:
            return forward(*args, **kwargs)
        called = super().call_module
        if self._for_training and args and not self.is_leaf_module(m, self.path_of_module(m)):
            result = called(m, forward, args, kwargs)
            if result is not args[0]:
                return result
            # In eval mode it gives its input: what it does is done in training mode.
            path = self.path_of_module(m)
            self.in_training[path] = m
            return self.create_proxy("call_module", path, args, kwargs)
        hooked = m._forward_hooks or m._forward_pre_hooks
        if not hooked or not self.is_leaf_module(m, self.path_of_module(m)):
            return called(m, forward, args, kwargs)
        own = m.forward
        # The module's own call, hooks and all, with a node in place of its forward.
        m.forward = lambda *inner, **named: called(m, own, inner, named)
        try:
            return forward(*args, **kwargs)
        finally:
            del m.forward


def _line() -> str:
    """Return the file and line of the network's code that runs now."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code is not graph_of.__code__:
        if not _is_own(frame):
            return _place(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return ""


def _is_own(frame: FrameType) -> bool:
    """Tell whether code is torch's or this package's, and none of the network's."""
    module = frame.f_globals.get("__name__", "")
    return module.split(".")[0] in ("torch", "contextlib") or module.startswith(OWN)


def _place(code: CodeType, line: int) -> str:
    return f"{Path(code.co_filename).name}, line {line}"
