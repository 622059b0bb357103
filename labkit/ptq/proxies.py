"""What stands for a value while a network is traced, and knows what an example's shapes tell."""

import operator
from collections.abc import Callable
from typing import Any

from torch import Tensor, fx

from labkit.ptq.calls import IN_PLACE_OPERATORS

# What is the same for all images, and so may be looked at.
FIXED = ("ndim", "dtype", "device", "layout", "is_cuda", "is_sparse", "requires_grad")


class Known:
    """What the shapes of an example tell about a value."""

    node: Any
    tracer: Any

    def __len__(self) -> int:
        value = self.tracer.known(self)
        if isinstance(value, Tensor | tuple | list):
            return len(value)
        return super().__len__()  # type: ignore[misc]

    def __getitem__(self, index: Any) -> Any:
        value = self.tracer.known(self)
        if isinstance(value, tuple | list) and isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(value))))
        return super().__getitem__(index)  # type: ignore[misc]

    def __index__(self) -> int:
        return self._number(int)

    def __int__(self) -> int:
        return self._number(int, float)

    def __float__(self) -> float:
        return self._number(float, int)

    def _number(self, kind: type, *others: type) -> Any:
        value = self.tracer.number(self)
        if isinstance(value, (kind, *others)):
            return kind(value)
        raise fx.proxy.TraceError(
            f"{kind.__name__}({self.node.name}) is only known when the network runs"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __getattr__(self, name: str) -> Any:
        value = self.tracer.known(self)
        if name in FIXED and isinstance(value, Tensor):
            return getattr(value, name)
        return Attribute(self, name)  # type: ignore[arg-type]


class Proxy(Known, fx.Proxy):
    """Stands for a value."""


class Attribute(Known, fx.proxy.Attribute):
    """Stands for an attribute of a value, or for a method that will be called."""


def _overwriting(name: str) -> Callable[[Any, Any], Any]:
    """Return what ``x += y`` does: `fx` knows ``x + y`` only, which leaves the views of x alone."""
    function = getattr(operator, name)

    def overwrite(self: Any, other: Any) -> Any:
        if not isinstance(self.tracer.known(self), Tensor):
            return NotImplemented
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return overwrite


for _name in IN_PLACE_OPERATORS:
    setattr(Known, f"__{_name}__", _overwriting(_name))
