"""What layers see, and the real layers that are shipped."""

import pytest
import torch

from labkit.language import (
    Config,
    LanguageModel,
    linear_layers,
    real_layers,
    record_inputs,
    record_maxima,
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LanguageModel(Config(11, 32, 48, 2, heads=4, kv_heads=2, context=16)).eval()


def test_the_layers_of_the_blocks(model):
    names = list(linear_layers(model))
    assert len(names) == 14
    assert names[0] == "blocks.0.attention.q"
    assert "head" not in names


def test_inputs_are_those_that_the_layer_computes_with(model):
    tokens = torch.arange(10).view(2, 5)
    seen = record_inputs(model, tokens, ["blocks.0.attention.q", "blocks.1.mlp.down"])
    expected = model.blocks[0].attention_norm(model.embedding(tokens)).flatten(0, 1)
    assert torch.allclose(seen["blocks.0.attention.q"], expected, atol=1e-6)
    assert seen["blocks.1.mlp.down"].shape == (10, 48)
    # No hook stays.
    assert not any(layer._forward_pre_hooks for layer in linear_layers(model).values())


def test_no_more_is_kept_than_asked_for(model):
    tokens = torch.zeros(5, 4, dtype=torch.int64)
    seen = record_inputs(model, tokens, ["blocks.0.mlp.up"], most_tokens=6)
    assert seen["blocks.0.mlp.up"].shape == (6, 32)


def test_maxima_are_those_of_the_inputs(model):
    tokens = torch.arange(10).view(2, 5)
    names = ["blocks.0.mlp.up", "blocks.1.mlp.down"]
    seen, maxima = record_inputs(model, tokens, names), record_maxima(model, tokens)
    assert len(maxima) == 14
    for name in names:
        x = seen[name].abs()
        assert torch.equal(maxima[name].channels, x.amax(0))
        assert torch.equal(maxima[name].tokens, x.amax(1).view(2, 5))
        assert maxima[name].ratio == float(x.max() / x.amax(0).median())


@pytest.mark.parametrize(
    ("tokens", "layers", "most", "message"),
    [
        (torch.zeros(4, dtype=torch.int64), ["blocks.0.mlp.up"], 4, r"expected \[N, tokens\]"),
        (torch.zeros(1, 4, dtype=torch.int64), ["up"], 4, "there is no layer 'up'"),
        (torch.zeros(1, 4, dtype=torch.int64), [], 0, "most_tokens is 0; expected 1 or more"),
        (torch.zeros(1, 4), [], 4, "expected an integer tensor"),
    ],
)
def test_wrong_arguments(model, tokens, layers, most, message):
    with pytest.raises((TypeError, ValueError), match=message):
        record_inputs(model, tokens, layers, most)


def test_real_layers():
    layers = real_layers()
    down, q = layers["down"], layers["q"]
    assert down.weight.shape == (576, 1536)
    assert down.calibration.shape == (448, 1536)
    assert down.held_out.shape == (224, 1536)
    assert torch.equal(q.calibration, layers["v"].calibration)
    assert layers["k"].weight.shape == (192, 576)
    assert down.norm is None
    # The outlier that the lab is about, and what sits behind a normalization.
    for x in (down.calibration, down.held_out):
        assert 2300 < float(x.abs().max()) < 2450
        assert float(x.abs().amax(0).median()) < 10
    rms = (q.calibration / q.norm).square().mean(1)
    assert torch.allclose(rms, torch.ones_like(rms), atol=1e-2)


def test_the_weights_are_a_16_value_grid():
    # Somebody was here before: each block of 32 holds 16 values at most.
    blocks = real_layers()["q"].weight.unflatten(1, (-1, 32)).flatten(0, 1)
    assert max(len(block.unique()) for block in blocks[:50]) <= 16
