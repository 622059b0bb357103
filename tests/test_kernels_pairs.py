"""Weights are shared out so that no pair of products leaves int16, and no weight is lost."""

import pytest
import torch

from labkit.kernels import QuantizedConv2d, engines
from labkit.kernels.pairs import fits, halves, split
from labkit.linear import from_range
from labkit.qparams import Scheme

UINT8, INT8 = Scheme(8, signed=False), Scheme(8, symmetric=True, narrow=True)


def bell(*shape, spread=35, seed=0):
    draw = torch.Generator().manual_seed(seed)
    real = torch.randn(shape, generator=draw) * spread
    return real.round().clamp(-128, 127).to(torch.int8)


def whole(shared, channels):
    """The weights of all copies of a channel together."""
    weight = shared.weight[:, :channels].int()
    if shared.copied is not None:
        weight[:, shared.copied] += shared.weight[:, channels:]
    return weight


def saturated(weight, x):
    """What the instruction adds: the products of two neighbours, in int16."""
    products = weight.int() * x.int().reshape(1, -1, *[1] * (weight.ndim - 2))
    sums = products[:, ::2] + products[:, 1::2]
    return sums, sums.clamp(-(2**15), 2**15 - 1)


@pytest.mark.parametrize(
    ("weight", "copied"),
    [
        (bell(16, 32, 3, 3, spread=10), None),
        (bell(16, 32, 3, 3), slice(1, None, 2)),
        (bell(40, 64), slice(1, None, 2)),
        (bell(4, 32, spread=300), slice(None)),
        (torch.full((4, 8), 127, dtype=torch.int8), slice(None)),
        (torch.full((4, 8), -128, dtype=torch.int8), slice(None)),
        (bell(8, 7, spread=300), slice(None)),
    ],
)
def test_as_few_channels_as_possible_are_copied(weight, copied):
    shared = split(weight, 255)
    assert shared.copied == copied
    assert torch.equal(whole(shared, weight.shape[1]), weight.int())
    if shared.weight.shape[1] % 2 == 0:
        for x in torch.full((), 255), torch.tensor([255, 0]), torch.tensor([0, 255]):
            right, found = saturated(shared.weight, x.repeat(shared.weight.shape[1] // x.numel()))
            assert torch.equal(right, found)


def test_weights_of_different_signs_always_fit():
    pair = torch.tensor([[127, -128]], dtype=torch.int8)
    assert fits(pair, 255)
    assert not fits(torch.tensor([[127, 127]], dtype=torch.int8), 255)


def test_the_bound_is_the_largest_sum_that_int16_holds():
    for sign in (1, -1):
        assert fits(sign * torch.tensor([[64, 64]], dtype=torch.int8), 255)
        assert not fits(sign * torch.tensor([[65, 64]], dtype=torch.int8), 255)
        assert fits(sign * torch.tensor([[65, 64]], dtype=torch.int8), 254)
    # Not neighbours: the second channel and the third.
    assert fits(torch.tensor([[0, 127, 127, 0]], dtype=torch.int8), 255)
    assert fits(torch.tensor([[0, 0, 127]], dtype=torch.int8), 255)


def test_a_single_row_of_many_is_found(monkeypatch):
    monkeypatch.setattr("labkit.kernels.pairs.PART", 16)
    weight = torch.ones(9, 8, dtype=torch.int8)
    assert fits(weight, 255)
    weight[7, 4:6] = 127
    assert not fits(weight, 255)


@pytest.mark.parametrize("value", [-128, -127, -1, 0, 1, 127])
def test_halves_of_any_weight_fit_beside_each_other(value):
    weight = torch.full((2, 6), value, dtype=torch.int8)
    assert fits(halves(weight).weight, 255)
    assert torch.equal(whole(halves(weight), 6), weight.int())


needs_engine = pytest.mark.skipif(not engines.usable(), reason="torch has no oneDNN operators here")


EVERY_OTHER = bell(16, 32, 3, 3, spread=80).clamp(min=-127)
EVERY_OTHER[:, ::2] = 1


def layer(weight, backend="torch"):
    w_qparams = from_range(-1.0, 1.0, INT8)
    bias = torch.linspace(-1, 1, len(weight))
    grids = from_range(-1.0, 3.0, UINT8), from_range(-9.0, 16.0, UINT8)
    return QuantizedConv2d(weight, w_qparams, bias, *grids, backend=backend, padding=1)


@needs_engine
@pytest.mark.parametrize(
    ("weight", "road"),
    [
        (EVERY_OTHER, "int8"),
        (bell(16, 32, 3, 3).clamp(min=-127), "int8 half twice"),
        (bell(16, 32, 3, 3, spread=300).clamp(min=-127), "int8 twice"),
        (bell(16, 6, 3, 3, spread=30).clamp(min=-127), "int8 twice"),  # channels come in fours
    ],
)
def test_each_way_gives_the_integers_of_the_reference(monkeypatch, weight, road):
    monkeypatch.setattr(engines, "saturates", lambda depthwise=False: not depthwise)
    fast = layer(weight)
    assert (fast.road, fast.choice().remedy == "") == (road, road == "int8")
    draw = torch.Generator().manual_seed(1)
    q = torch.randint(0, 256, (3, weight.shape[1], 9, 7), generator=draw, dtype=torch.uint8)
    q[1] = 255
    expected = layer(weight, "reference")(q)
    for images in (q, q[:1], q[1:2], q[:1]):  # one image alone keeps what is prepared
        assert torch.equal(fast(images), layer(weight, "reference")(images))
    assert torch.equal(fast(q), expected)


@needs_engine
def test_an_engine_that_adds_other_channels_gets_halves(monkeypatch):
    monkeypatch.setattr(engines, "saturates", lambda depthwise=False: not depthwise)
    monkeypatch.setattr(engines, "adds_neighbours", lambda: False)
    assert layer(EVERY_OTHER).road == "int8 twice"


def test_a_processor_without_the_engine_tells_of_those_that_have_it(monkeypatch):
    """As on a Mac, which may be asked for the roads of another chip."""

    def missing():
        raise AttributeError("no such operator")

    monkeypatch.setattr(engines, "usable", lambda: False)
    monkeypatch.setattr(engines, "adds_neighbours", missing)
    weight = bell(16, 32, 3, 3).clamp(min=-127)
    assert layer(weight, "torch").choice(saturates=True).road == "int8 half twice"


@needs_engine
def test_engines_that_add_other_channels_are_noticed(monkeypatch):
    """A kernel that sums the first and the third channel in int16 gives less than is right."""
    run = engines.Convolution.__call__
    monkeypatch.setattr(
        engines.Convolution, "__call__", lambda self, *x: run(self, *x).clamp(max=199)
    )
    assert engines.adds_neighbours.__wrapped__() is False
    monkeypatch.setattr(engines.Convolution, "__call__", run)
    assert engines.adds_neighbours.__wrapped__() is True
