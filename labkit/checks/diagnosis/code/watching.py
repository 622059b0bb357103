"""The code of an answer, watched while its calls run.

Some things go wrong without a word: whole numbers that wrap round in a narrow dtype, decimals that
a conversion cuts off, a slice that ends at -0, a `sum` of nothing. Each expression in which one may
happen is watched, and can be done as it was meant, which tells whether that is why calls go wrong.
"""

import ast
import builtins
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.code.slips import called_name
from labkit.checks.diagnosis.code.spots import (
    CONVERTING,
    OPERATORS,
    SHORTENING,
    WATCH,
    Spot,
    spotted,
)

NARROW = (torch.uint8, torch.int8, torch.int16, torch.int32)

WRAPS, CUT, ENDS_AT_ZERO, BEGINS_AT_ZERO, OF_NOTHING, TOWARDS_ZERO, NOT_ROUNDED, SHORTENED = (
    "wraps",
    "does not fit",
    "ends at -0",
    "begins at -0",
    "of nothing",
    "towards 0",
    "not rounded",
    "loses digits",
)


@dataclass(frozen=True)
class Happening:
    """Something that happened in an expression.

    Attributes
    ----------
    kind : str
        One of those above.
    dtype : str
        Where numbers wrapped: the dtype.
    meant, came : object
        One number as it should be, and as it is.
    given : object
        What it is made of, where that is one number.
    """

    kind: str
    dtype: str = ""
    meant: Any = None
    came: Any = None
    given: Any = None


Place = tuple[int, str]


@dataclass
class Watch:
    """What happens in the expressions of a function, by their places in `spots`.

    Attributes
    ----------
    spots : list of Spot
        What is watched.
    seen : dict
        What has happened since it was emptied, the first of each spot and kind.
    as_meant : set
        The spots, and what does not happen there: the result is the one that was meant.
    """

    spots: list[Spot]
    seen: dict[Place, Happening] = field(default_factory=dict)
    as_meant: set[Place] = field(default_factory=set)

    def names(self) -> dict[str, Callable[..., Any]]:
        """Return what watched code calls, by the names that it uses."""
        watches = (self.binary, self.augmented, self.minus, self.call, self.end, self.start)
        return {WATCH + watch.__name__: watch for watch in watches}

    def binary(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives."""
        compute = OPERATORS[type(self.spots[k].node.op)][0]  # type: ignore[attr-defined]
        return self._computed(k, compute(left, right), compute, left, right)

    def augmented(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives that changes what stands on its left."""
        compute, in_place = OPERATORS[type(self.spots[k].node.op)]  # type: ignore[attr-defined]
        given = (_wide(left), _wide(right)) if _is_narrow(left) else (left, right)
        return self._computed(k, in_place(left, right), compute, *given)

    def minus(self, k: int, value: Any) -> Any:
        """Return a number with its sign turned round."""
        return self._computed(k, -value, operator.neg, value)

    def call(self, k: int, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Return what a function gives."""
        if function is builtins.sum and len(args) == 1:
            args = (list(args[0]),)
            if not args[0]:
                self._happened(k, OF_NOTHING)
        result = function(*args, **named)
        owner = getattr(function, "__self__", None)
        on = (owner,) if isinstance(owner, torch.Tensor | np.ndarray | np.generic) else ()
        name = called_name(self.spots[k].node)  # type: ignore[arg-type]
        if name in CONVERTING | SHORTENING and (on or args):
            return self._converted(k, result, (*on, *args)[0])
        if not _is_narrow(result) or "out" in named:
            return result
        named.pop("dtype", None)
        method = (lambda first, *rest: getattr(first, name)(*rest, **named)) if on else None
        compute = method or (lambda *given: function(*given, **named))
        return self._computed(k, result, compute, *on, *args)

    def end(self, k: int, value: Any) -> Any:
        """Return minus a number, behind the colon of a slice."""
        if type(value) is int and value == 0:
            return None if self._happened(k, ENDS_AT_ZERO) else 0
        return -value

    def start(self, k: int, value: Any) -> Any:
        """Return minus a number, before the colon of a slice."""
        if type(value) is int and value == 0:
            return sys.maxsize if self._happened(k, BEGINS_AT_ZERO) else 0
        return -value

    def _computed(self, k: int, result: Any, compute: Callable[..., Any], *given: Any) -> Any:
        """Return a result; in int64 where it wraps and was not meant to."""
        if not _is_narrow(result):
            return result
        try:
            wide = compute(*map(_wide, given))
        except Exception:
            return result  # a function that takes this dtype alone
        return self._compared(k, WRAPS, result, wide)

    def _converted(self, k: int, result: Any, given: Any) -> Any:
        """Return a conversion's result; as it was meant, if it is not that."""
        reals, came = _reals(given), _reals(result)
        if reals is None or came is None or reals.shape != came.shape:
            return result
        if not _is_whole(result):
            lost = np.isfinite(reals) & (reals != came)
            shortened = self._first(k, SHORTENED, result, reals, came, lost, reals)
            return _like(result, reals) if shortened else result
        known = np.isfinite(reals)
        reals = np.where(known, reals, 0.0)
        kinds: dict[str, Callable[..., Any]]
        kinds = {CUT: np.trunc, TOWARDS_ZERO: np.floor, NOT_ROUNDED: np.round}
        for kind, rule in kinds.items():
            meant, whole = rule(reals), np.trunc(reals)
            if kind == CUT:
                off = known & (whole != came)
            else:
                off = known & (whole == came) & (meant != came)
                off &= (reals < 0) if kind == TOWARDS_ZERO else True
            if self._first(k, kind, result, meant, came, off, reals):
                return _like(result, meant.astype(np.int64))
        return result

    def _compared(self, k: int, kind: str, result: Any, wide: Any) -> Any:
        came, meant = np.asarray(_wide(result)), np.asarray(wide)
        if came.shape != meant.shape or meant.dtype.kind not in "iu":
            return result
        happens = self._first(k, kind, result, meant, came, came != meant, meant)
        return wide if happens else result

    def _first(
        self,
        k: int,
        kind: str,
        result: Any,
        meant: np.ndarray,
        came: np.ndarray,
        off: np.ndarray,
        given: np.ndarray,
    ) -> bool:
        """Keep the first number that is off; return whether it is to be as it was meant."""
        if not off.any():
            return False
        dtype = str(getattr(result, "dtype", "int")).removeprefix("torch.")
        numbers = (side[off][0].item() for side in (meant, came, given))
        return self._happened(k, kind, dtype, *numbers)

    def _happened(self, k: int, kind: str, *what: Any) -> bool:
        """Keep what happened; return whether it is to be done as it was meant."""
        self.seen.setdefault((k, kind), Happening(kind, *what))
        return (k, kind) in self.as_meant


def watched(functions: Sequence[ast.FunctionDef]) -> tuple[list[ast.FunctionDef], Watch]:
    """Return functions that are watched, and what watches them.

    Parameters
    ----------
    functions : sequence of ast.FunctionDef
        The code; it stays as it is.
    """
    changed, spots = spotted(functions)
    return changed, Watch(spots)


def _is_narrow(value: Any) -> bool:
    """Whether something holds whole numbers of 32 bits or fewer."""
    if isinstance(value, torch.Tensor):
        return value.dtype in NARROW
    array = isinstance(value, np.ndarray | np.generic)
    return array and value.dtype.kind in "iu" and value.dtype.itemsize < 8


def _wide(value: Any) -> Any:
    """Return the same whole numbers with 64 bits; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(map(_wide, value))
    if not _is_narrow(value):
        return value
    return value.long() if isinstance(value, torch.Tensor) else value.astype(np.int64)


def _reals(value: Any) -> np.ndarray | None:
    """Return real or whole numbers in float64; None for anything else."""
    if type(value) in (int, float):
        return np.asarray(float(value)) if abs(value) < sys.float_info.max else None
    if isinstance(value, torch.Tensor):
        held = not (value.is_complex() or value.dtype == torch.bool)
        return np.asarray(value.detach().double()) if held else None
    array = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iuf"
    return np.asarray(value, np.float64) if array else None


def _is_whole(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point()
    kind = value.dtype.kind if isinstance(value, np.ndarray | np.generic) else ""
    return type(value) is int or kind in ("i", "u")


def _like(result: Any, numbers: np.ndarray) -> Any:
    """Return numbers in what holds a result."""
    if isinstance(result, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(numbers)).reshape(result.shape)
    return numbers if isinstance(result, np.ndarray | np.generic) else numbers.item()
