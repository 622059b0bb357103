"""Python's and torch's own functions, while a network is traced: so that they take proxies.

A proxy is no tensor to torch's C++, which refuses it where it can be no node; only Python code that
asks ``isinstance(x, Tensor)`` is told so.
"""

import builtins
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.backends.mha
import torch.utils.checkpoint
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

# What makes a tensor of a size that is given.
MAKERS = ("zeros", "ones", "full", "rand", "randn")
# What gives a constant tensor such a size.
SHAPERS = ("expand", "reshape", "view", "repeat")


@contextlib.contextmanager
def patched(tracer: Any) -> Iterator[None]:
    """Let a tracer write down what is asked of values as well as what is done with them.

    Parameters
    ----------
    tracer : fx.Tracer
        With a method ``known(proxy)``, which returns what a value would be as far as shapes tell.
    """
    with contextlib.ExitStack() as stack:
        for place, name, function in _replacements(tracer):
            if name in vars(place):
                stack.callback(setattr, place, name, vars(place)[name])
            else:  # it was inherited
                stack.callback(delattr, place, name)
            setattr(place, name, function)
        yield


def _replacements(tracer: Any) -> Iterator[tuple[Any, str, Any]]:
    """Go through what is replaced: where it stands, its name, and by what."""
    own_len, own_isinstance = builtins.len, builtins.isinstance

    def stands_for_tensor(value: Any) -> bool:
        return _is_proxy(value) and own_isinstance(tracer.known(value), Tensor)

    def length(value: Any) -> Any:
        # Python insists on a number from `x.__len__`.
        if stands_for_tensor(value):
            return tracer.create_proxy("call_method", "size", (value, 0), {}, name="len")
        return own_len(value)

    def is_instance(value: Any, kinds: Any) -> bool:
        if not _is_proxy(value):
            return own_isinstance(value, kinds)
        # A parameter asks its instances what they are, and a proxy would say yes to all.
        if kinds is nn.Parameter or issubclass(type(value), kinds):
            return kinds is not nn.Parameter
        return stands_for_tensor(value) and own_isinstance(tracer.known(value), kinds)

    yield builtins, "len", length
    yield builtins, "isinstance", is_instance
    for name in MAKERS:
        yield torch, name, _maker(tracer, getattr(torch, name))
    for name in SHAPERS:
        yield Tensor, name, _maker(tracer, getattr(Tensor, name), "call_method")
    # Not the kernel for a whole encoder layer, which reads parameters that are other layers by now.
    yield torch.backends.mha, "get_fastpath_enabled", lambda: False
    yield torch.autograd.Function, "apply", classmethod(_applied)
    yield torch.jit.ScriptFunction, "__call__", _unscripted
    # What is computed again for gradients: `checkpoint` calls its function between two steps.
    steps = "_checkpoint_without_reentrant_generator"
    yield torch.utils.checkpoint, steps, lambda *args, **kwargs: iter((None,))


def _maker(
    tracer: Any, function: Callable[..., Tensor], kind: str = "call_function"
) -> Callable[..., Any]:
    """Let ``torch.zeros(x.shape[0], 1)`` be a node: torch insists on numbers for sizes."""
    target: Any = function if kind == "call_function" else function.__name__

    def make(*args: Any, **kwargs: Any) -> Any:
        if _holds_proxy((args, kwargs)):
            return tracer.create_proxy(kind, target, args, kwargs)
        return function(*args, **kwargs)

    return make


class _Context:
    """What a `torch.autograd.Function` keeps for its gradients: nothing, while it is traced."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


_apply = vars(torch.autograd.Function)["apply"]


def _applied(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """Let what has gradients of its own be traced: its forward is all that counts."""
    if not _holds_proxy((args, kwargs)):
        return _apply.__get__(None, cls)(*args, **kwargs)
    takes_context = cls.setup_context is torch.autograd.Function.setup_context
    return cls.forward(*[_Context()] * takes_context, *args, **kwargs)


_call = torch.jit.ScriptFunction.__call__


def _unscripted(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Let a scripted function be traced as it was written."""
    written = getattr(self, "_torchdynamo_inline", None)
    if written is None or not _holds_proxy((args, kwargs)):
        return _call(self, *args, **kwargs)
    return written(*args, **kwargs)


def _holds_proxy(values: Any) -> bool:
    return any(map(_is_proxy, tree_leaves(values, is_leaf=_is_proxy)))


def _is_proxy(value: Any) -> bool:
    return issubclass(type(value), fx.Proxy)
