"""Grids chosen by observers in bounded memory: several passes give what one pass gives."""

import itertools
import weakref

import pytest
import torch
from other_networks import network, pictures
from torch.utils.data import DataLoader

from labkit.calibration import MSE
from labkit.ptq import fold_batchnorm, observe_tensors, observing, quantize_model
from labkit.ptq.observing import choose_grids
from labkit.qparams import Scheme

SCHEME = Scheme(8, signed=False)


def batches():
    return [pictures(4, seed=i) for i in range(3)]


def same(one, two):
    return one.qparams.keys() == two.qparams.keys() and all(
        torch.equal(grid.scale, two.qparams[name].scale)
        and torch.equal(grid.zero_point, two.qparams[name].zero_point)
        for name, grid in one.qparams.items()
    )


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(observing, "MEMORY", 2**17)


@pytest.mark.parametrize("observer", ["mse", "percentile", "minmax"])
def test_several_passes_give_what_one_gives(observer, monkeypatch):
    passes = []
    passed = observing._passed
    monkeypatch.setattr(observing, "_passed", lambda *a: passes.append(1) or passed(*a))
    expected = quantize_model(network("VGG"), batches(), observer=observer)
    assert len(passes) == 1
    monkeypatch.setattr(observing, "MEMORY", 2**17)
    found = quantize_model(network("VGG"), batches(), observer=observer)
    assert (len(passes) > 2) == (observer != "minmax")
    assert same(found, expected)


def test_observers_hold_no_more_than_they_may(monkeypatch):
    model = fold_batchnorm(network("ResNet-18"))
    names = [node.name for node in model.graph.nodes if node.op == "call_module"]
    largest = max(x.nbytes for x in _tensors(model, batches()[0]))
    monkeypatch.setattr(observing, "MEMORY", 2 * largest)
    held, made = [], weakref.WeakSet()

    class Watched(MSE):
        def __init__(self):
            super().__init__()
            made.add(self)

        def observe(self, x):
            super().observe(x)
            held.append(sum(observer.nbytes for observer in made))

    choose_grids(model, batches(), dict.fromkeys(names, SCHEME), Watched)
    assert len(held) > len(names) * len(batches())  # more than one pass
    assert max(held) <= 3 * largest  # twice that, and what the last tensor added


def _tensors(model, images):
    seen = []
    hooks = [m.register_forward_hook(lambda _, __, y: seen.append(y)) for m in model.children()]
    model(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.usefixtures("little_memory")
def test_an_iterator_has_one_pass_whatever_it_takes():
    expected = quantize_model(network("VGG"), batches())
    assert same(quantize_model(network("VGG"), iter(batches())), expected)
    loader = DataLoader(torch.cat(batches()), batch_size=4, shuffle=True)
    assert same(quantize_model(network("VGG"), loader), expected)


@pytest.mark.usefixtures("little_memory")
def test_batches_that_come_once_only_are_noticed():
    class Once:
        def __init__(self):
            self.images = iter(batches())

        def __iter__(self):
            return itertools.chain(self.images)

    with pytest.raises(ValueError, match=r"another pass .* has 0 of them, not 3 .* DataLoader"):
        quantize_model(network("VGG"), Once())


def test_no_batch_is_refused():
    model = fold_batchnorm(network("VGG"))
    with pytest.raises(ValueError, match=r"batches is empty"):
        observe_tensors(model, [], {})
    with pytest.raises(ValueError, match=r"batches is empty"):
        quantize_model(network("VGG"), [])
