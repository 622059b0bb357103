"""What tests remember of an exercise hides nothing: another input is another call."""

import itertools

import pytest
import torch
from remembered import Recall

INPUTS = (
    0,
    False,
    0.0,
    -0.0,
    "0",
    None,
    torch.tensor(0),
    torch.tensor(0.0),
    torch.tensor(-0.0),
    torch.tensor(0.0, dtype=torch.bfloat16),
    torch.tensor([0.0]),
    torch.tensor([0.0], requires_grad=True),
    torch.tensor([[0.0]]),
    torch.zeros(2, 2),
    torch.zeros(2, 2).t(),
    torch.zeros(0),
    (0.0,),
    [0.0],
    ((0.0,),),
)


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(INPUTS, 2)])
def test_no_input_is_taken_for_another(one: object, other: object) -> None:
    calls = []
    known = Recall(lambda value: calls.append(value))
    for value in (one, other, one):
        known(value)
    assert len(calls) == 2


def test_an_input_is_known_again_until_it_changes() -> None:
    known, x = Recall(lambda x: x.sum()), torch.ones(3)
    assert known(x) is known(x.clone())
    x[0] = 5.0
    assert known(x) == 7


def test_who_changes_its_input_changes_a_copy() -> None:
    x = torch.ones(3)
    assert Recall(lambda x: x.mul_(2))(x).sum() == 6
    assert x.sum() == 3
