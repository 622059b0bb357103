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

from labkit.checks.diagnosis.code.dtypes import (
    as_reals,
    beside_rows,
    held_alike,
    in_float64,
    is_long,
    is_narrow,
    is_whole,
    torch_dtype,
    widened,
)
from labkit.checks.diagnosis.code.slips import called_name
from labkit.checks.diagnosis.code.spots import (
    CONVERTING,
    OPERATORS,
    SHORTENING,
    WATCH,
    Spot,
    spotted,
)

WRAPS, BEYOND, CUT, KEPT_NARROW = "wraps", "wraps in int64", "does not fit", "is kept in"
TOWARDS_ZERO, NOT_ROUNDED, SHORTENED = "towards 0", "not rounded", "loses digits"
ENDS_AT_ZERO, BEGINS_AT_ZERO, OF_NOTHING = "ends at -0", "begins at -0", "of nothing"
ALONG_COLUMNS, DROPS = "along columns", "drops the remainder"
LARGEST, LAST_DIGITS = 2.0**63, 1e-6


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
        watches = (self.binary, self.augmented, self.minus, self.call, self.stored)
        ends = (self.end, self.start)
        return {WATCH + watch.__name__: watch for watch in (*watches, *ends)}

    def binary(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives."""
        compute = OPERATORS[type(self.spots[k].node.op)][0]  # type: ignore[attr-defined]
        by_rows = None if compute is operator.matmul else beside_rows(left, right)
        try:
            result = compute(left, right)
        except (RuntimeError, ValueError):
            if by_rows is None or not self._happened(k, ALONG_COLUMNS):
                raise
            return compute(*by_rows)
        if by_rows is not None and self._happened(k, ALONG_COLUMNS):
            return compute(*by_rows)
        if compute is operator.floordiv:
            return self._divided(k, result, left, right)
        return self._computed(k, result, compute, left, right)

    def augmented(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives that changes what stands on its left."""
        compute, in_place = OPERATORS[type(self.spots[k].node.op)]  # type: ignore[attr-defined]
        given = (widened(left), widened(right)) if is_narrow(left) else (left, right)
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
        if "out" in named:
            return result
        named.pop("dtype", None)
        method = (lambda first, *rest: getattr(first, name)(*rest, **named)) if on else None
        compute = method or (lambda *given: function(*given, **named))
        return self._computed(k, result, compute, *on, *args)

    def stored(self, k: int, container: Any, value: Any) -> Any:
        """Return what is put into a tensor or an array."""
        held = container.dtype if isinstance(container, torch.Tensor | np.ndarray) else None
        reals = in_float64(value) if held is not None else None
        if reals is None or not is_whole(container):
            return value
        cast = torch.from_numpy(np.array(reals)).to(torch_dtype(held)).reshape(reals.shape)
        meant = self._converted(k, cast, value, KEPT_NARROW)
        return value if meant is cast else meant

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

    def _divided(self, k: int, result: Any, left: Any, right: Any) -> Any:
        """Return what a division without remainder gives; with it, if that was meant."""
        came, exact = in_float64(result), in_float64(operator.truediv(left, right))
        if came is None or exact is None or came.shape != exact.shape:
            return result
        off = np.isfinite(exact) & (np.abs(exact - came) > LAST_DIGITS * np.abs(exact))
        dropped = self._first(k, DROPS, result, exact, came, off, exact)
        return operator.truediv(left, right) if dropped else result

    def _computed(self, k: int, result: Any, compute: Callable[..., Any], *given: Any) -> Any:
        """Return a result; in int64 where it wraps and was not meant to."""
        try:
            if is_narrow(result):
                return self._compared(k, WRAPS, result, compute(*map(widened, given)))
            if is_long(result):
                reals, came = in_float64(compute(*map(as_reals, given))), in_float64(result)
                if reals is not None and came is not None and reals.shape == came.shape:
                    off = np.abs(reals) > LARGEST
                    self._first(k, BEYOND, result, reals, came, off, reals)
        except Exception:  # a function that takes this dtype alone
            return result
        return result

    def _converted(self, k: int, result: Any, given: Any, cut: str = CUT) -> Any:
        """Return a conversion's result; as it was meant, if it is not that."""
        reals, came = in_float64(given), in_float64(result)
        if reals is None or came is None or reals.shape != came.shape:
            return result
        if not is_whole(result):
            lost = np.isfinite(reals) & (reals != came)
            shortened = self._first(k, SHORTENED, result, reals, came, lost, reals)
            return held_alike(result, reals) if shortened else result
        known = np.isfinite(reals)
        reals = np.where(known, reals, 0.0)
        kinds: dict[str, Callable[..., Any]]
        kinds = {cut: np.trunc, TOWARDS_ZERO: np.floor, NOT_ROUNDED: np.round}
        for kind, rule in kinds.items():
            meant, whole = rule(reals), np.trunc(reals)
            if kind == cut:
                off = known & (whole != came)
            else:
                off = known & (whole == came) & (meant != came)
                off &= (reals < 0) if kind == TOWARDS_ZERO else True
            if self._first(k, kind, result, meant, came, off, reals):
                return held_alike(result, meant.astype(np.int64))
        return result

    def _compared(self, k: int, kind: str, result: Any, wide: Any) -> Any:
        came, meant = np.asarray(widened(result)), np.asarray(wide)
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
