"""What an error of Python or torch means for who is new to them, and what to try."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """An error message and what is behind it.

    Attributes
    ----------
    pattern : str
        A regular expression for the first line, type of error included.
    words : str
        What a learner reads below the message.
    holds : callable, optional
        Whether it is meant, by the groups of the pattern.
    """

    pattern: str
    words: str
    holds: Callable[..., bool] = lambda *groups: True


SIZES = r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)"


def _differ_by_one(one: str, other: str) -> bool:
    return abs(int(one) - int(other)) == 1 and min(int(one), int(other)) > 1


MEANINGS = (
    Meaning(
        r"stack expects each tensor to be equal size",
        "`torch.stack` needs tensors of one shape, and these differ. Treat them one by one, or "
        "flatten each before you put them together.",
    ),
    Meaning(
        r"Tensors must have same number of dimensions|Sizes of tensors must match except in dim",
        "`torch.cat` needs tensors that agree in all dimensions but the one they are joined along. "
        "Look at `dim=`, or flatten each first.",
    ),
    Meaning(
        SIZES + " .*dimension 0",
        "Two tensors are not of one length: {0} numbers meet {1}. Print both shapes: which of the "
        "two has too much, or lacks something?",
    ),
    Meaning(
        SIZES,
        "Two tensors do not line up: {0} numbers meet {1}. They differ by one: was an odd number "
        "cut into halves, or neighbours paired? Else look along which dimension each one runs; "
        "`keepdim=True` keeps one number a row lined up with its row.",
        _differ_by_one,
    ),
    Meaning(
        SIZES,
        "Two tensors do not line up: {0} numbers meet {1}. Look along which dimension each one "
        "runs; `keepdim=True`, or `.reshape(-1, 1)` for one number a row, keeps them lined up.",
    ),
    Meaning(
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        "A product of matrices needs as many columns on the left ({1}) as rows on the right ({2}). "
        "Print both shapes: is one of them to be transposed (weights are stored as [out, in]), or "
        "is it not the one that belongs here?",
    ),
    Meaning(
        r"Dimension out of range",
        "The code asks for a dimension that this input does not have: it must work for any number "
        "of dimensions. `flatten(1)` and negative dimensions such as -1 help.",
    ),
    Meaning(
        r"Expected reduction dim",
        "There is no largest or smallest of nothing: for this input a part is empty. Treat it "
        "apart; it adds 0 to a sum.",
    ),
    Meaning(
        r"reduce\(\) of empty iterable|arg is an empty sequence|iterable argument is empty",
        "For this call there is nothing in what `reduce`, `min` or `max` goes through. Give it a "
        "value to begin with (`initial`, `default=`), or treat that call apart.",
    ),
    Meaning(
        r"Integers to negative integer powers",
        "Whole numbers have no negative powers: write 2.0 instead of 2, or make the tensor real "
        "first (`.double()`).",
    ),
    Meaning(
        r"stack expects a non-empty TensorList|expected a non-empty list of Tensors",
        "For this input the list is empty, and nothing can be made of it. Treat it apart, or begin "
        "with zeros of the shape that is asked for.",
    ),
    Meaning(
        r"Boolean value of Tensor with more than one value is ambiguous",
        "`if`, `and` and `max(a, b)` want one truth value, and a tensor holds many: use "
        "`torch.where`, `&` or `torch.maximum`, which work number by number.",
    ),
    Meaning(
        r"only one element tensors can be converted|a Tensor with \d+ elements cannot be converted",
        "The code turns a tensor with several numbers into one: `float()`, `int()` and `.item()` "
        "take one number only. Work on the whole tensor, whatever its shape.",
    ),
    Meaning(
        r"does not require grad",
        "torch has no way back to the input: call `.requires_grad_()` on a copy of it before you "
        "compute, and let no `.detach()` and no `torch.no_grad()` stand on the way.",
    ),
    Meaning(
        r"'float' and 'NoneType'|'NoneType' and|NoneType.*not (subscriptable|iterable)",
        "Something is None where a value is needed: a function without `return`, a search that "
        "found nothing, or `.grad` of a tensor that is no leaf (one that was itself computed: make "
        "it a new one with `.detach().requires_grad_()` in each round).",
    ),
    Meaning(
        r"math domain error|expected a positive input",
        "The logarithm or root of a number that is 0 or negative: take the magnitude with `abs` "
        "first, or treat 0 apart.",
    ),
    Meaning(r"ZeroDivisionError", "Something divided by is 0 for this input: treat it apart."),
    Meaning(
        r"not positive-definite|matrix is singular",
        "This matrix has no inverse, or no Cholesky factor: a row of it is 0, or follows from "
        "others. Add something to its diagonal before, or look at what was added, and where.",
    ),
    Meaning(
        r"Invalid integer data type|data type 'u?int\d+' not understood",
        "numpy and torch have integers of 8, 16, 32 and 64 bits only, and other numbers of bits "
        "are asked for: compute the limits from powers of 2.",
    ),
    Meaning(
        r"negative shift count",
        "A shift by less than 0 does not exist: for a shift of 0 there is nothing to round. Treat "
        "it apart.",
    ),
    Meaning(
        r"bincount only supports 1-d non-negative",
        "`torch.bincount` counts integers from 0 up in one dimension: flatten first, and mask off "
        "the sign bits that a shift of negative numbers brings in.",
    ),
    Meaning(
        r"same dtype|but found|expected scalar type|not implemented for '(\w+)'",
        "A function does not take this dtype, or two tensors of different ones: convert first, "
        "integers with `.to(torch.int32)`, reals with `.float()` or `.double()`.",
    ),
    Meaning(
        r"cannot convert float infinity",
        "Infinity has no integer: `int` and `round` take finite numbers only. Treat it apart, or "
        "leave it a float.",
    ),
    Meaning(
        r"int too big|overflow|Overflow|value cannot be converted to type",
        "A number is far too large for its type: print it before that line. Is a power or a shift "
        "much too large, or a number that it is divided by much too small?",
    ),
    Meaning(
        r"invalid literal for int",
        "The text that is to become an integer is empty or holds something else. A string from "
        '`bin` is as long as the number needs: pad it to its full width, `f"{{x:032b}}"`.',
    ),
    Meaning(
        r"KeyError: (.+)",
        "A table in your code has no entry for {0}, and it needs one for whatever comes in. Where "
        "that may be any number, compute the entry by a formula instead.",
    ),
    Meaning(
        r"tuple index out of range",
        "A tuple is shorter than the code thinks: a shape has as many entries as the tensor has "
        "dimensions, and () has none. Treat all of them alike, in a loop or with `math.prod`.",
    ),
    Meaning(
        r"index .* is out of bounds|list index out of range|index out of range",
        "An index goes beyond the end, or nothing was found to look at. Print what is indexed for "
        "this call: is it empty, or shorter than the code thinks?",
    ),
    Meaning(
        r"range of \[.*\] is not finite",
        "The range that is asked for ends at infinity or NaN: this input holds such a value. Do "
        "not let the smallest and largest value of the input decide, or treat such values apart.",
    ),
    Meaning(
        r"NameError: name '(\w+)'",
        "`{0}` is not defined: a slip in the name, an argument that has another name here, or a "
        "name of another cell. What other cells have made is for their own data, and the check "
        "calls your answer with others: work from its arguments alone.",
    ),
    Meaning(
        r"UnboundLocalError",
        "A variable is read before it has a value in this call: give it one before the loop or the "
        "`if`.",
    ),
    Meaning(
        r"positional argument|unexpected keyword argument|is of type \w+; expected a tuple",
        "A function is called with other arguments than it takes. Look at the signature of that "
        "very function: two with the same name may differ.",
    ),
    Meaning(
        r"a view of a leaf Variable|a leaf Variable that requires grad",
        "A tensor that collects a gradient must not be changed in place: work on a copy, or inside "
        "`with torch.no_grad():`.",
    ),
    Meaning(
        r"shape '\[-1, (\d+)\]' is invalid",
        "The numbers do not fill rows of {0}: a part is left over. Fill it up first. And where "
        "rows are cut into parts, `reshape(-1, {0})` runs over their ends: cut each row by itself, "
        "as `split({0}, dim=1)` does.",
    ),
    Meaning(
        r"shape '\[\d+, -1\]' is invalid",
        "The numbers do not fill so many rows: some rows have more than others. Parts that are cut "
        "from the flattened tensor run over the end of a row into the next one: cut each row by "
        "itself, as `split(n, dim=1)` does.",
    ),
    Meaning(
        r"shape '.*' is invalid for input of size",
        "The numbers do not fill the shape that is asked for: is a part left over, or a dimension "
        "miscounted?",
    ),
    Meaning(
        r"must be Tensor, not",
        "A function got something else than a tensor. If a hook returns a value, torch puts it in "
        "the place of the layer's result: let the hook return nothing.",
    ),
    Meaning(
        r"Can't call numpy\(\) on Tensor that requires grad",
        "numpy does not know gradients: call `.detach()` first.",
    ),
)


def meaning(problem: str) -> str:
    """Return what an error message means, in plain words; "" if it is not known.

    Parameters
    ----------
    problem : str
        "ValueError: math domain error", with further lines or not.
    """
    first = problem.split("\n")[0]
    for known in MEANINGS:
        found = re.search(known.pattern, first)
        if found and known.holds(*found.groups()):
            return known.words.format(*found.groups())
    return ""
