"""Each layer says which road it takes, why, and what would free it."""

import pytest
import torch
from torch import nn

from labkit.kernels import engines
from labkit.ptq import measure, quantize_model
from labkit.qparams import Scheme

BATCHES = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(0)).split(2)


def network():
    torch.manual_seed(0)
    layers = (nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.ReLU())
    groups = (nn.Conv2d(6, 6, 1, groups=2), nn.Flatten(), nn.Linear(96, 4))
    return nn.Sequential(*layers, *groups).eval()


def roads(saturates, **settings):
    found = quantize_model(network(), BATCHES, **settings).roads(saturates)
    return [found[layer].road for layer in ("0", "2", "4", "6")]


@pytest.mark.skipif(not engines.usable(), reason="no int8 engine here")
def test_the_fast_scheme_frees_every_layer_on_a_chip_that_saturates():
    assert roads(True) == ["float32", "int8 half twice", "float32", "int8 half twice"]
    # Three channels in a group: no scheme helps.
    assert roads(True, activation_scheme="fast") == ["int8", "int8", "float32", "int8"]
    assert roads(False) == ["int8", "int8", "float32", "int8"]


@pytest.mark.skipif(not engines.usable(), reason="no int8 engine here")
def test_what_frees_a_layer_is_said():
    found = quantize_model(network(), BATCHES).roads(saturates=True)
    assert "int16" in found["0"].reason
    assert "7 bits" in found["0"].remedy
    assert "multiple of 4" in found["4"].remedy
    wide = quantize_model(network(), BATCHES, weight_scheme=Scheme(8)).roads()
    assert "9 bits" in wide["2"].reason


def test_fast_stands_for_seven_bits():
    fast = quantize_model(network(), BATCHES, activation_scheme="fast")
    seven = quantize_model(network(), BATCHES, activation_scheme=Scheme(7, signed=False))
    assert fast.qparams[fast.input_name].scheme == Scheme(7, signed=False)
    images = torch.cat(BATCHES)
    assert fast.codes(images).equal(seven.codes(images))
    with pytest.raises(TypeError, match="activation_scheme is 'quick'; expected a Scheme"):
        quantize_model(network(), BATCHES, activation_scheme="quick")


def test_a_measurement_names_the_layers_off_the_fast_road():
    float_model, labels = network(), torch.zeros(4, dtype=torch.long)
    integer = quantize_model(float_model, BATCHES, backend="reference")
    rows = measure({"float": float_model, "int8": integer}, torch.cat(BATCHES), labels, repeats=1)
    assert [row.slow for row in rows] == [(), ("0", "2", "4", "6")]
