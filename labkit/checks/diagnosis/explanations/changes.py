"""What slips do to an argument: one row a slip, for every exercise at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Change:
    """What a slip does to one argument.

    Attributes
    ----------
    name : str
        For the key.
    applies : callable
        Whether this argument can be changed so.
    change : callable
        The argument as the slip sees it.
    text : str
        What a learner reads; ``{p}`` is the argument's name.
    partly : bool
        Whether calls may be left out where it has no meaning.
    """

    name: str
    applies: Callable[[Any], bool]
    change: Callable[[Any], Any]
    text: str
    partly: bool = True


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_real(value: Any) -> bool:
    return type(value) is float


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _is_vector(value: Any) -> bool:
    return _is_tensor(value) and value.ndim > 0


def _is_signed(value: Any) -> bool:
    return _is_tensor(value) and value.dtype not in (torch.uint8, torch.bool)


def _is_real_tensor(value: Any) -> bool:
    return _is_tensor(value) and value.is_floating_point()


def _is_matrix(value: Any) -> bool:
    return _is_tensor(value) and value.ndim > 1


def is_list(value: Any) -> bool:
    """Whether an argument is a list or tuple with something in it."""
    return isinstance(value, list | tuple) and len(value) > 0


LEFT_OUT = "Your code leaves `{p}` out of account: the results are those for `{p}` = "
CHANGES = (
    Change("left out, 0", _is_number, lambda v: type(v)(0), LEFT_OUT + "0."),
    Change("left out, 1", _is_number, lambda v: type(v)(1), LEFT_OUT + "1."),
    Change("left out, zeros", _is_tensor, torch.zeros_like, LEFT_OUT + "0."),
    Change("left out, ones", _is_tensor, torch.ones_like, LEFT_OUT + "1."),
    Change(
        "negated",
        lambda v: _is_number(v) or _is_signed(v),
        lambda v: -v,
        "Your code has the sign of `{p}` turned round: it adds where it should subtract, or the "
        "other way round.",
    ),
    Change(
        "upside down",
        lambda v: _is_real(v) or _is_real_tensor(v),
        lambda v: 1 / v,
        "Your code has `{p}` upside down: it multiplies where it should divide, or divides where "
        "it should multiply.",
    ),
    Change(
        "squared",
        lambda v: _is_real(v) or _is_real_tensor(v),
        lambda v: v * v,
        "Your code uses `{p}` twice: the results are those for `{p}` squared.",
    ),
    Change(
        "root",
        lambda v: (_is_real(v) and v > 0) or _is_real_tensor(v),
        lambda v: v**0.5,
        "Your code takes the root of `{p}`, where `{p}` itself belongs.",
    ),
    Change(
        "1 - p",
        lambda v: _is_real(v) and 0 <= v <= 1,
        lambda v: 1 - v,
        "Your code uses `1 - {p}` where `{p}` belongs: the weights are the wrong way round.",
    ),
    Change(
        "one more",
        lambda v: type(v) is int,
        lambda v: v + 1,
        "The results are those for `{p} + 1`: a `- 1` is missing, or something goes one too far.",
        partly=False,
    ),
    Change(
        "one fewer",
        lambda v: type(v) is int,
        lambda v: v - 1,
        "The results are those for `{p} - 1`: a `- 1` too many, or something ends one too early.",
        partly=False,
    ),
    Change(
        "double",
        _is_number,
        lambda v: v * 2,
        "The results are those for twice `{p}`: a factor 2 is too much, or a half is missing.",
        partly=False,
    ),
    Change(
        "half",
        lambda v: _is_real(v) or (type(v) is int and v % 2 == 0),
        lambda v: type(v)(v / 2),
        "The results are those for half of `{p}`: a factor 2 is missing, or a half too much.",
        partly=False,
    ),
    Change(
        "percent as fraction",
        lambda v: _is_real(v) and 1 < v <= 100,
        lambda v: v * 100,
        "Your code takes `{p}` for a fraction, and it is given in percent: divide it by 100.",
    ),
    Change(
        "fraction as percent",
        lambda v: _is_real(v) and 0 <= v <= 100,
        lambda v: v / 100,
        "Your code divides `{p}` by 100 once too often: look at the unit it is given in.",
    ),
    Change(
        "magnitude",
        lambda v: _is_number(v) or _is_signed(v),
        abs,
        "Your code drops the signs of `{p}`: the results are those for `abs({p})`. Leave it as "
        "it is.",
    ),
    Change(
        "positive part",
        lambda v: _is_number(v) or _is_signed(v),
        lambda v: v.clamp(min=0) if _is_tensor(v) else max(v, type(v)(0)),
        "Your code sees no values of `{p}` below 0: they count as 0. A maximum without `abs`, or "
        "a clamp at 0, does that.",
    ),
    Change(
        "divided by its sum",
        lambda v: _is_tensor(v) and v.numel() > 1 and bool(v.sum() != 0),
        lambda v: v / v.sum(),
        "Your code divides `{p}` by its sum, where `{p}` as it comes belongs.",
    ),
    Change(
        "centred",
        _is_real_tensor,
        lambda v: v - v.mean(),
        "Your code takes the mean of `{p}` away first, as a variance does: leave `{p}` as it is.",
    ),
    Change(
        "between -1 and 1",
        _is_real_tensor,
        lambda v: v.clamp(-1, 1),
        "Your code clamps `{p}` to -1 and 1 before it computes: leave `{p}` as it is.",
    ),
    Change(
        "transposed",
        _is_matrix,
        lambda v: v.transpose(0, 1),
        "Your code goes along the other axis of `{p}`: the results are those for `{p}` "
        "transposed. Look at which dimension you reduce or line up.",
    ),
    Change(
        "flattened",
        _is_matrix,
        lambda v: v.reshape(1, -1),
        "Your code takes all of `{p}` together: the results are those for one long row.",
    ),
    Change(
        "reversed",
        _is_vector,
        lambda v: v.flip(-1),
        "Your code goes through `{p}` from the other end: the results are those for `{p}` "
        "reversed.",
    ),
    Change(
        "first only",
        lambda v: _is_vector(v) and len(v) > 1,
        lambda v: v[:1],
        "Your code sees only the first item of `{p}`: a loop that ends too early, or an index "
        "too many.",
    ),
    Change(
        "rounded",
        _is_real_tensor,
        torch.round,
        "Your code rounds `{p}` first: the results are those for whole numbers. Keep the decimals "
        "until the end.",
    ),
    Change(
        "cut off",
        _is_real_tensor,
        torch.trunc,
        "Your code cuts the decimals of `{p}` off before it computes: convert to integers last.",
    ),
    Change(
        "read as int8",
        lambda v: _is_tensor(v) and v.dtype == torch.uint8,
        lambda v: v.view(torch.int8),
        "Your code reads the unsigned codes of `{p}` as signed ones: 255 becomes -1. Convert to a "
        "wide dtype such as int32 first.",
    ),
    Change(
        "read as uint8",
        lambda v: _is_tensor(v) and v.dtype == torch.int8,
        lambda v: v.view(torch.uint8),
        "Your code reads the signed codes of `{p}` as unsigned ones: -1 becomes 255. Convert to a "
        "wide dtype such as int32 first.",
    ),
    Change(
        "first item only",
        lambda v: is_list(v) and len(v) > 1,
        lambda v: v[:1],
        "Your code sees only the first item of `{p}`. Look at where your `return` stands.",
    ),
    Change(
        "last item only",
        lambda v: is_list(v) and len(v) > 1,
        lambda v: v[-1:],
        "Your code sees only the last item of `{p}`: each round of the loop overwrites what the "
        "one before it found.",
    ),
    Change(
        "last two items only",
        lambda v: is_list(v) and len(v) > 2,
        lambda v: v[-2:],
        "Your code remembers only the item before: the results are those for the last two items of "
        "`{p}`. Each round of the loop must go on from what all rounds before it have left.",
    ),
    Change(
        "without the first",
        lambda v: is_list(v) and len(v) > 1,
        lambda v: v[1:],
        "Your code skips the first item of `{p}`.",
    ),
    Change(
        "without the last",
        lambda v: is_list(v) and len(v) > 1,
        lambda v: v[:-1],
        "Your code leaves the last item of `{p}` out.",
    ),
    Change(
        "items reversed",
        lambda v: is_list(v) and len(v) > 1,
        lambda v: v[::-1],
        "Your code goes through `{p}` from the other end.",
    ),
    Change(
        "turned round",
        lambda v: type(v) is bool,
        lambda v: not v,
        "Your code takes `{p}` the wrong way round: it does for True what belongs to False.",
    ),
)
