"""The arena: nothing that is needed is overwritten, and no byte is wasted that could be shared."""

import pytest
import torch
from device_networks import integer_network
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.device import (
    Lifetime,
    lifetimes_of,
    live_bytes,
    peak_bytes,
    plan_arena,
    smallest_arena,
    tight_arena,
)
from labkit.ptq import QuantizedModel, Step
from labkit.zoo import MODELS


@st.composite
def tensors(draw, most=6):
    found = []
    for i in range(draw(st.integers(1, most))):
        first = draw(st.integers(0, 5))
        last = draw(st.integers(first, 6))
        found.append(Lifetime(f"t{i}", draw(st.integers(1, 40)), first, last))
    return found


def overlaps(arena):
    """Pairs of tensors that are live together and share bytes."""
    placed = [(t, arena.offsets[t.name], arena.offsets[t.name] + t.size) for t in arena.lifetimes]
    return [
        (a.name, b.name)
        for i, (a, start, end) in enumerate(placed)
        for b, other_start, other_end in placed[i + 1 :]
        if a.meets(b) and start < other_end and other_start < end
    ]


def smallest_by_trying_offsets(lifetimes):
    """The smallest arena of a few small tensors, from every offset of each."""
    limit = sum(t.size for t in lifetimes)

    def fits(size, placed, left):
        if not left:
            return True
        tensor = left[0]
        return any(
            fits(size, [*placed, (tensor, at)], left[1:])
            for at in range(size - tensor.size + 1)
            if all(
                not tensor.meets(t) or at + tensor.size <= start or start + t.size <= at
                for t, start in placed
            )
        )

    return next(size for size in range(1, limit + 1) if fits(size, [], lifetimes))


@settings(max_examples=150, deadline=None)
@given(tensors(), st.sampled_from([1, 4, 16]))
def test_no_two_live_tensors_overlap_and_offsets_are_aligned(lifetimes, alignment):
    for plan in (plan_arena, tight_arena, smallest_arena):
        arena = plan(lifetimes, alignment)
        assert overlaps(arena) == []
        assert all(offset % alignment == 0 for offset in arena.offsets.values())
        assert peak_bytes(lifetimes) <= arena.size
    smallest, tight, greedy = (
        plan(lifetimes, alignment).size for plan in (smallest_arena, tight_arena, plan_arena)
    )
    assert smallest <= tight <= greedy


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=5
    )
)
def test_the_oracle_finds_the_smallest_arena(sizes):
    lifetimes = [Lifetime(f"t{i}", s, a, a + b) for i, (s, a, b) in enumerate(sizes)]
    assert smallest_arena(lifetimes).size == smallest_by_trying_offsets(lifetimes)


def test_the_largest_tensor_comes_first():
    small, large = Lifetime("small", 2, 0, 1), Lifetime("large", 5, 1, 2)
    assert plan_arena([small, large]).offsets == {"small": 5, "large": 0}
    twins = [Lifetime("late", 3, 1, 2), Lifetime("early", 3, 0, 1)]
    assert plan_arena(twins).offsets == {"late": 3, "early": 0}


def test_a_gap_between_two_tensors_is_used():
    gap = [
        Lifetime("bottom", 9, 0, 3),
        Lifetime("middle", 6, 0, 0),
        Lifetime("top", 5, 0, 2),
        Lifetime("late", 4, 2, 3),
    ]
    arena = plan_arena(gap)
    assert arena.offsets == {"bottom": 0, "middle": 9, "top": 15, "late": 9}
    assert arena.size == 20


def test_greedy_is_not_always_the_smallest():
    lifetimes = [
        Lifetime("a", 2, 2, 3),
        Lifetime("b", 3, 0, 1),
        Lifetime("c", 1, 0, 4),
        Lifetime("d", 1, 1, 2),
        Lifetime("e", 2, 3, 5),
        Lifetime("f", 2, 5, 5),
    ]
    assert smallest_arena(lifetimes).size <= plan_arena(lifetimes).size


def test_another_order_may_need_less():
    lifetimes = [
        Lifetime("a", 4, 0, 0),
        Lifetime("b", 4, 3, 4),
        Lifetime("c", 4, 0, 2),
        Lifetime("d", 3, 1, 4),
    ]
    assert plan_arena(lifetimes).size == 11
    assert tight_arena(lifetimes).size == peak_bytes(lifetimes) == 8


def test_live_bytes_of_each_step():
    lifetimes = [Lifetime("x", 4, 0, 1), Lifetime("y", 3, 1, 2), Lifetime("z", 2, 2, 2)]
    assert live_bytes(lifetimes) == [4, 7, 5]
    assert peak_bytes(lifetimes) == 7


def test_what_is_written_in_place_counts_once():
    lifetimes = [
        Lifetime("x", 4, 0, 1),
        Lifetime("y", 4, 1, 2, inside="x"),
        Lifetime("z", 3, 2, 3, inside="y"),
    ]
    assert live_bytes(lifetimes) == [4, 4, 4, 4]
    arena = plan_arena(lifetimes)
    assert arena.size == 4
    assert set(arena.offsets.values()) == {0}


@pytest.mark.parametrize(
    ("lifetimes", "message"),
    [
        ([], "at least one"),
        ([Lifetime("x", 1, 0, 1), Lifetime("x", 1, 0, 1)], "two tensors are called 'x'"),
        ([Lifetime("x", 1, 0, 1, inside="y")], "lies inside 'y'"),
        ([Lifetime("x", 1, 0, 1), Lifetime("y", 1, 2, 3, inside="x")], "still live"),
        ([Lifetime(f"t{i}", 1, 0, 1) for i in range(11)], "at most 10"),
    ],
)
def test_what_cannot_be_planned_is_refused(lifetimes, message):
    with pytest.raises(ValueError, match=message):
        smallest_arena(lifetimes)


@pytest.mark.parametrize(("size", "first", "last"), [(0, 0, 1), (1, 2, 1), (1, -1, 0)])
def test_lifetimes_that_cannot_be_are_refused(size, first, last):
    with pytest.raises(ValueError, match="first step before the last"):
        Lifetime("x", size, first, last)
    with pytest.raises(TypeError, match="whole number"):
        Lifetime("x", 1.5, 0, 1)


@pytest.mark.slow
def test_lifetimes_of_a_network():
    for model in map(integer_network, MODELS):
        lifetimes = lifetimes_of(model)
        values = model.tensors(torch.zeros(1, 1, 28, 28))
        assert [t.name for t in lifetimes] == list(values)
        assert {t.name: t.size for t in lifetimes} == {k: v.numel() for k, v in values.items()}
        arena = plan_arena(lifetimes)
        assert arena.size == peak_bytes(lifetimes)
        apart = lifetimes_of(model, in_place=())
        assert peak_bytes(lifetimes) <= peak_bytes(apart)


def test_a_convolution_writes_over_its_residual():
    lifetimes = {t.name: t for t in lifetimes_of(integer_network("resnet"))}
    assert lifetimes["stage1_relu2"].inside == "relu"
    assert lifetimes["stage1_relu1"].inside is None
    assert lifetimes["flatten"].inside == "pool"


def test_a_tensor_is_given_away_once():
    model = integer_network("mobilenet")
    grid = model.qparams[model.input_name]
    steps = [
        Step("a", "clamp", ("x",), {"relu": True}),
        Step("b", "clamp", ("x",), {"relu": True}),
        Step("c", "add", ("a", "b")),
    ]
    branches = QuantizedModel("x", steps, {}, {"x": grid, "c": grid})
    inside = {t.name: t.inside for t in lifetimes_of(branches)}
    assert inside == {"x": None, "a": None, "b": "x", "c": "a"}
    twice = QuantizedModel("x", [Step("c", "add", ("x", "x"))], {}, {"x": grid, "c": grid})
    assert {t.name: t.inside for t in lifetimes_of(twice)} == {"x": None, "c": "x"}


def test_no_network_no_lifetimes():
    with pytest.raises(TypeError, match="QuantizedModel"):
        lifetimes_of(torch.nn.ReLU())
