"""A network while it is traced: its own hooks are called, and what it keeps is put back."""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import fx, nn


@contextlib.contextmanager
def calling_its_hooks(model: nn.Module) -> Iterator[None]:
    """Let the tracer, which calls a network's forward, meet the network's own hooks."""
    kind = type(model)
    if not (model._forward_hooks or model._forward_pre_hooks):
        yield
        return

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return nn.Module._call_impl(self, *args, **kwargs)

    forward.__wrapped__ = kind.forward  # type: ignore[attr-defined]
    own = kind.forward.__get__(model)
    model.__class__ = type(kind.__name__, (kind,), {"forward": forward})
    model.__dict__["forward"] = own
    try:
        yield
    finally:
        model.__class__ = kind
        del model.__dict__["forward"]


@contextlib.contextmanager
def keeping_its_state(model: nn.Module) -> Iterator[None]:
    """Take what stands for values out of modules again, which keep results as attributes."""
    states = [own for m in model.modules() for own in (vars(m), m._buffers)]
    before = [dict(own) for own in states]
    try:
        yield
    finally:
        for own, old in zip(states, before, strict=True):
            for name in [name for name, value in own.items() if isinstance(value, fx.Proxy)]:
                del own[name]
                own |= {name: old[name]} if name in old else {}
