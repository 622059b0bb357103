"""How two values are compared, and what is said when they differ.

A rule sees plain values only (`labkit.checks.values`). Kind, shape and dtype are named before any
number is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.checks.values import Plain, as_array, describe, number

TIE_WINDOW = 1e-3
JOIN = " `torch.tensor` makes one of a list of numbers, `torch.stack` of a list of tensors."
TURNED = " Rows and columns are exchanged: `.t()` turns a matrix round."
ROWS = 5
UNSEEN_SEED = 11
"""What a check draws from it, the call was not given."""


@dataclass(frozen=True)
class Mismatch:
    """Why a value is not accepted.

    Attributes
    ----------
    problem : str
        One sentence: what came, what was expected.
    rows : tuple of (where, got, expected)
        The first few wrong numbers; empty where kind, shape or dtype is the problem.
    form_only : bool
        The numbers are right and only their dtype is not.
    """

    problem: str
    rows: tuple[tuple[str, str, str], ...] = ()
    form_only: bool = False


@dataclass(frozen=True)
class Rule:
    """Numbers equal to within ``absolute + relative * |expected|``.

    Attributes
    ----------
    relative, absolute : float
        The tolerance; 0 and 0 mean equal.
    dtype : str, optional
        The dtype that a tensor must have, or "real" for any real one. None accepts all.
    """

    relative: float = 0.0
    absolute: float = 0.0
    dtype: str | None = None

    def mismatch(self, name: str, got: Plain, expected: Plain, args: tuple) -> Mismatch | None:
        """Return why `got` is refused for the call with `args`, or None if it is accepted."""
        wanted = as_array(expected)
        if wanted is None:
            raise TypeError(f"the reference returned {describe(expected)}; expected numbers.")
        value = as_array(got)
        if value is not None and wanted.ndim == 0 and value.size == 1:
            value = value.reshape(())
        if value is None or value.shape != wanted.shape:
            advice = JOIN if wanted.ndim and isinstance(got, tuple) else ""
            whole = f"{name} is {describe(got)}; expected {kind(wanted)}."
            items = _joined(got) if isinstance(got, tuple) else None
            inner = None if items is None else self.mismatch(name, items, expected, args)
            if items is not None and (inner is None or inner.form_only):
                return Mismatch(f"{whole} The numbers are right.{advice}", form_only=True)
            turned = value is not None and value.shape == wanted.shape[::-1] and wanted.ndim == 2
            return Mismatch(whole + advice + (TURNED if turned else ""))
        wrong = ~self._accepted(value, wanted, args)
        if wrong.any():
            return Mismatch(_count(name, wrong), _rows(wrong, value, wanted, self, args))
        return self._form(name, value, wanted)

    def wrong(self, got: Plain, expected: Plain, args: tuple) -> np.ndarray | None:
        """Return where the numbers of `got` are wrong; None if they cannot be laid side by side.

        The dtype is left out of account.
        """
        mismatch = self.mismatch("", got, expected, args)
        wanted, value = as_array(expected), as_array(got)
        if mismatch is None or mismatch.form_only:
            return np.zeros(() if wanted is None else wanted.shape, bool)
        if value is not None and wanted is not None and wanted.ndim == 0 and value.size == 1:
            value = value.reshape(())
        if value is None or wanted is None or value.shape != wanted.shape:
            return None
        mask = np.asarray(~self._accepted(value, wanted, args))
        return mask if mask.any() else None

    def right(self, got: Plain, expected: Plain, args: tuple) -> np.ndarray | None:
        """Return where the numbers of `got` are right; None if they cannot be laid side by side.

        As `wrong`, without a word of why: a search asks thousands of times.
        """
        value, wanted = as_array(got), as_array(expected)
        if value is not None and wanted is not None and wanted.ndim == 0 and value.size == 1:
            value = value.reshape(())
        if value is None or wanted is None or value.shape != wanted.shape:
            return None
        return np.asarray(self._accepted(value, wanted, args))

    def _accepted(self, got: np.ndarray, expected: np.ndarray, args: tuple) -> np.ndarray:
        real, wanted = got.astype(np.float64), expected.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(real - wanted) <= self.absolute + self.relative * np.abs(wanted)
        return np.isfinite(wanted) & near | (real == wanted)

    def _form(self, name: str, got: np.ndarray, expected: np.ndarray) -> Mismatch | None:
        real = self.dtype == "real" and got.dtype.kind == "f"
        if self.dtype is None or got.ndim == 0 or real or got.dtype.name == self.dtype:
            return None
        return _only_the_dtype(name, got, self.dtype)

    def shown(self, expected: Any, where: tuple, args: tuple) -> str:
        """Write the expected number at index `where` for the table."""
        return number(expected)


@dataclass(frozen=True)
class Open(Rule):
    """Judged by what a value reaches, not by what it is: many are right, and some are better.

    Attributes
    ----------
    what : str
        What is counted: "images that are classified right".
    """

    what: str = ""

    def mismatch(self, name: str, got: Plain, expected: Plain, args: tuple) -> Mismatch | None:
        """Return why `got` is refused: its form, or a share below the level."""
        reached = self.share(name, got, expected, args, UNSEEN_SEED)
        if isinstance(reached, Mismatch):
            return reached
        level = self.level(expected, args)
        return None if reached >= level else Mismatch(self.too_low(got, args, reached, level))

    def share(
        self, name: str, got: Plain, expected: Plain, args: tuple, seed: int
    ) -> float | Mismatch:
        """Return the share that is right, 0 to 1, or why nothing can be measured.

        Parameters
        ----------
        name : str
            What the value is called in a message.
        got, expected : Plain
            What the call returned, and the reference.
        args : tuple
            What both were called with.
        seed : int
            What the call was not given is drawn from it.
        """
        wanted, value = as_array(expected), as_array(got)
        if wanted is None or value is None or value.shape != wanted.shape:
            refused = super().mismatch(name, got, expected, args)
            return refused or Mismatch(f"{name} is {describe(got)}.")
        return self.reached(name, value, args, seed)

    def reached(self, name: str, got: np.ndarray, args: tuple, seed: int) -> float | Mismatch:
        """Measure numbers in the shape of the reference's, as `share` does."""
        raise NotImplementedError

    def level(self, expected: Plain, args: tuple) -> float:
        """Return the share that is enough."""
        raise NotImplementedError

    def too_low(self, got: Plain, args: tuple, reached: float, level: float) -> str:
        """Say in a sentence what was reached and what is enough."""
        raise NotImplementedError


@dataclass(frozen=True)
class Codes(Rule):
    """Integers, where a rounding tie leaves a choice accepted either way.

    Attributes
    ----------
    unrounded : callable, optional
        ``unrounded(*args)`` returns ``(real, qmin, qmax)``: the numbers before they are rounded
        and the range they are clamped to. Within 0.001 of a tie both neighbours are right, so
        that round(x / S + Z), round(x / S) + Z and round(x * (1 / S)) + Z all pass. None: exact.
    dtype : str, optional
        As in `Rule`; None accepts every integer dtype.
    """

    unrounded: Callable[..., tuple[Any, int, int]] | None = None

    def neighbours(self, args: tuple) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the lowest and the highest integer that are right, for each number."""
        if self.unrounded is None:
            return None
        real, qmin, qmax = self.unrounded(*args)
        real = np.asarray(real, dtype=np.float64)
        low = np.ceil(real - 0.5 - TIE_WINDOW).clip(qmin, qmax)
        return low, np.floor(real + 0.5 + TIE_WINDOW).clip(qmin, qmax)

    def _accepted(self, got: np.ndarray, expected: np.ndarray, args: tuple) -> np.ndarray:
        equal = got == expected  # of two integers as integers: float64 holds 53 bits
        near = self.neighbours(args)
        if near is None:
            return equal
        whole = got.astype(np.float64) == np.round(got.astype(np.float64))
        return equal | (whole & (near[0] <= got) & (got <= near[1]))

    def _form(self, name: str, got: np.ndarray, expected: np.ndarray) -> Mismatch | None:
        mismatch = super()._form(name, got, expected)
        if mismatch is not None:
            return mismatch
        if got.ndim and got.dtype.kind not in "iu":
            return Mismatch(
                f"{name} has dtype {got.dtype}; expected an integer dtype. The numbers are right: "
                "convert them at the end. (Real ones take more bytes than codes need, and float32 "
                "stops counting at 2^24.)",
                form_only=True,
            )
        return None

    def shown(self, expected: Any, where: tuple, args: tuple) -> str:
        """Write the expected integer, both neighbours of a tie, or a range."""
        near = self.neighbours(args)
        if near is not None:
            low, high = (bound[where] for bound in near)
            if low != high:
                word = "or" if high == low + 1 else "to"
                return f"{number(int(low))} {word} {number(int(high))}"
        return number(int(expected))


@dataclass(frozen=True)
class Integer(Codes):
    """One integer. A float of the same value is almost right: what it multiplies becomes a float.

    float32 holds 24 bits, so the later cells of the notebook would come out nearly right.
    """

    def _form(self, name: str, got: np.ndarray, expected: np.ndarray) -> Mismatch | None:
        if got.dtype.kind in "iu":
            return None
        found = describe(got.reshape(()))
        return Mismatch(
            f"{name} is {found}; expected an integer. The value is right, but all that is "
            "multiplied by it becomes a float: end with int(...).",
            form_only=True,
        )


def _only_the_dtype(name: str, got: np.ndarray, wanted: str) -> Mismatch:
    asked = "a real dtype" if wanted == "real" else wanted
    end = "`.float()`" if wanted == "real" else f"`.to(torch.{wanted})`"
    return Mismatch(
        f"{name} has dtype {got.dtype}; expected {asked}. The numbers are right: end with {end}.",
        form_only=True,
    )


def _joined(items: tuple) -> np.ndarray | None:
    """Return a list of numbers or of equal arrays as one array; None if it is no such list."""
    parts = [_joined(item) if isinstance(item, tuple) else as_array(item) for item in items]
    arrays = [part for part in parts if part is not None]
    if not arrays or len(arrays) < len(parts) or len({array.shape for array in arrays}) > 1:
        return None
    return np.stack(arrays)


def kind(wanted: np.ndarray) -> str:
    """Say what is expected in a few words: "an integer tensor of shape (3, 4)"."""
    word = {"b": "a bool", "f": "a real"}.get(wanted.dtype.kind, "an integer")
    return f"{word} {f'tensor of shape {wanted.shape}' if wanted.ndim else 'number'}"


def _count(name: str, wrong: np.ndarray) -> str:
    if wrong.size == 1:
        return f"{name} is wrong."
    verb = "is" if wrong.sum() == 1 else "are"
    return f"{name}: {int(wrong.sum())} of {wrong.size} numbers {verb} wrong."


def _rows(
    wrong: np.ndarray, got: np.ndarray, expected: np.ndarray, rule: Rule, args: tuple
) -> tuple[tuple[str, str, str], ...]:
    places = [tuple(int(i) for i in place) for place in np.argwhere(wrong)[:ROWS]]
    rows = []
    for place in places:
        where = "[" + ", ".join(map(str, place)) + "]" if place else "value"
        shown, wanted = number(got[place].item()), rule.shown(expected[place].item(), place, args)
        # Two numbers that look the same would read as a check gone mad.
        rows.append((where, shown if shown != wanted else repr(got[place].item()), wanted))
    return tuple(rows)
