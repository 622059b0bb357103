"""What is said of a value that is not accepted: which, what came, what was expected."""

import numpy as np
import pytest
import torch

from labkit.checks.rules import Codes, Rule
from labkit.checks.values import plain

CODES = np.array([1, -2, 3], dtype=np.int32)


def said(rule: Rule, got: object, expected: object, args: tuple = ()) -> str | None:
    found = rule.mismatch("q", plain(got), plain(expected), args)
    return found and found.problem


@pytest.mark.parametrize(
    ("got", "came", "right"),
    [
        ([1, -2, 3], "a tuple or list of 3 values", " The numbers are right."),
        ((torch.tensor(1),), "a tuple or list of 1 value", ""),
    ],
)
def test_a_list_instead_of_a_tensor_is_told_how_to_become_one(got, came, right) -> None:
    message = said(Codes(), got, CODES)
    assert message == (
        f"q is {came}; expected an integer tensor of shape (3,).{right} `torch.tensor` makes one "
        "of a list of numbers, `torch.stack` of a list of tensors."
    )


@pytest.mark.parametrize(
    ("got", "expected", "message"),
    [
        (torch.ones(2), CODES, "q is a float32 tensor of shape (2,); expected an integer tensor"),
        (torch.ones(2).int(), CODES, "q is an int32 tensor of shape (2,); expected an integer"),
        (None, 1.5, "q is None (is a `return` missing?); expected a real number."),
        ("text", CODES, "q is the text 'text'; expected an integer tensor of shape (3,)."),
        ([1.5, 2.5], 1.5, "q is a tuple or list of 2 values; expected a real number."),
    ],
)
def test_kind_and_shape_are_named_before_any_number(got, expected, message) -> None:
    assert said(Codes(), got, expected).startswith(message)


def test_wrong_numbers_are_counted_and_shown_by_their_place() -> None:
    found = Codes().mismatch("q", plain(torch.tensor([1, 2, 4])), CODES, ())
    assert found.problem == "q: 2 of 3 numbers are wrong."
    assert found.rows == (("[1]", "2", "-2"), ("[2]", "4", "3"))


def test_two_numbers_that_look_the_same_are_told_apart() -> None:
    found = Rule().mismatch("y", 0.1 + 0.2, 0.3, ())
    assert found.rows == (("value", "0.30000000000000004", "0.3"),)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_number_that_is_near(value) -> None:
    assert said(Rule(relative=1.0, absolute=1e9), value, 1.0) == "q is wrong."


def test_right_numbers_in_a_real_dtype_are_a_matter_of_form() -> None:
    found = Codes().mismatch("q", plain(torch.tensor([1.0, -2.0, 3.0])), CODES, ())
    assert found.form_only
    assert "expected an integer dtype" in found.problem


def test_near_a_tie_both_neighbours_are_right_and_no_third() -> None:
    rule = Codes(unrounded=lambda x: (np.array([x]), -8, 7))
    for code in (2, 3):
        assert said(rule, torch.tensor([code]), np.array([2]), (2.5,)) is None
    assert said(rule, torch.tensor([4]), np.array([2]), (2.5,)) == "q is wrong."
    assert rule.shown(2, (0,), (2.5,)) == "2 or 3"
