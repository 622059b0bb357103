"""The methods on whole models, on the built-in one."""

import pytest
import torch
import torch.nn.functional as F

from labkit.language import (
    FewBitLinear,
    KVCache,
    awq_model,
    block_by_block,
    difference,
    generate,
    gptq_model,
    linear_layers,
    load_model,
    load_text,
    measure,
    quantize_activations,
    rotate_back,
    rotate_model,
    round_model,
    smooth_model,
    split_model,
)
from labkit.linear import Scheme, quantize

W8 = Scheme(8, symmetric=True, narrow=True)
W2, GROUP = Scheme(2), 64


@pytest.fixture(scope="module")
def shakespeare():
    return load_model("shakespeare")


@pytest.fixture(scope="module")
def model(shakespeare):
    return shakespeare[0]


@pytest.fixture(scope="module")
def text(shakespeare):
    """Held-out text, and other text for calibration."""
    encode = shakespeare[1].encode
    held_out = encode(load_text("held-out"))[: 16 * 128].view(16, 128)
    return held_out, encode(load_text("calibration"))[: 16 * 128].view(16, 128)


@pytest.fixture(scope="module")
def base(model, text):
    return measure(model, text[0])


def test_the_built_in_model_has_learned(base):
    assert base.bits < 2.0


@torch.inference_mode()
@pytest.mark.parametrize("way", ["smooth", "smooth and rotate", "rotate"])
def test_folding_leaves_the_logits(model, text, way):
    held_out, calibration = text
    other = smooth_model(model, calibration[:2], 0.7) if "smooth" in way else model
    other = rotate_model(other) if "rotate" in way else other
    expected = model(held_out[:2])
    assert float((other(held_out[:2]) - expected).abs().max()) < 1e-3
    # They did something, to the copy alone.
    assert not torch.equal(other.blocks[3].mlp.up.weight, model.blocks[3].mlp.up.weight)
    assert torch.equal(model(held_out[:2]), expected)


def test_only_chosen_stages_are_smoothed(model, text):
    other = smooth_model(model, text[1][:1], stages=("inner",))
    block, before = other.blocks[0], model.blocks[0]
    assert torch.equal(block.attention_norm.weight, before.attention_norm.weight)
    assert not torch.equal(block.mlp.down.weight, before.mlp.down.weight)
    with pytest.raises(ValueError, match="stages has 'head'; expected some of"):
        smooth_model(model, text[1][:1], stages=("head",))


@pytest.mark.slow
def test_gptq_and_awq_beat_rounding(model, text, base):
    held_out, calibration = text
    rounded = measure(round_model(model, W2, GROUP), held_out)
    for method in (gptq_model, awq_model):
        other = measure(method(model, calibration, W2, GROUP), held_out)
        gain, error = difference(rounded, other)
        assert gain > 5 * error
        assert difference(other, base)[0] > 0


def test_each_layer_is_shown_what_the_changed_ones_before_it_give(model, text):
    names = []

    def change(stage):
        names.append(stage.name)
        if len(names) == 2:  # o of the first block
            stage.layers[0].weight.data = torch.zeros_like(stage.layers[0].weight)
        if len(names) == 3:
            x = model.blocks[0].mlp_norm(model.embedding(text[1][:2]))
            assert torch.allclose(stage.x, x.flatten(0, 1), atol=1e-6)

    block_by_block(model, text[1][:2], change)
    assert names == ["attention", "mix", "mlp", "inner"] * 6


def test_codes_stand_for_the_weights(model):
    layers = linear_layers(round_model(model, Scheme(4), 32))
    layer, before = layers["blocks.2.mlp.up"], model.blocks[2].mlp.up.weight
    assert isinstance(layer, FewBitLinear)
    assert torch.equal(layer.q, quantize(before, layer.qparams))
    assert layer.qparams.scale.shape == (384, 4)
    assert float((layer.weight - before).abs().max()) <= float(layer.qparams.scale.max()) / 2 * 1.01


def test_grids_for_inputs(model, text, base):
    held_out, calibration = text
    eight = round_model(model, W8)
    for other in (quantize_activations(eight), quantize_activations(eight, calibration)):
        assert abs(difference(measure(other, held_out), base)[0]) < 0.01
        assert all(layer.activation for layer in linear_layers(other).values())
    assert not any(layer.activation for layer in linear_layers(eight).values())
    four = quantize_activations(model, scheme=Scheme(4, symmetric=True))
    assert difference(measure(four, held_out), base)[0] > 0.02


@torch.inference_mode()
def test_outlier_channels_in_float(model, text):
    tokens = text[0][:2]
    expected = model(tokens)
    # All channels are outliers: nothing is rounded.
    assert torch.allclose(split_model(model, 0.0)(tokens), expected, atol=1e-3)
    # None is: weights and inputs are, to a grid for each row and each token.
    none = split_model(model, 1e6)(tokens)
    both = quantize_activations(round_model(model, W8))(tokens)
    # A sum in another order may send an input to the neighbouring code.
    assert float((none - both).norm()) < 0.01 * float(expected.norm())
    some = split_model(model, 3.0)(tokens)
    assert float((some - expected).norm()) < float((none - expected).norm())
    with pytest.raises(ValueError, match="threshold is -1"):
        split_model(model, -1)


def test_keys_and_values_in_few_bits(model, text, base):
    held_out = text[0]
    lost = [
        difference(
            measure(model, held_out, lambda bits=bits: [KVCache(Scheme(bits)) for _ in range(6)]),
            base,
        )[0]
        for bits in (8, 2)
    ]
    assert abs(lost[0]) < 1e-3
    assert lost[1] > 0.01


def test_a_rounded_model_is_not_rotated(model):
    with pytest.raises(ValueError, match="rounded or rotated already"):
        rotate_model(round_model(model, W8))


def test_what_is_rounded_or_rotated_on_the_way_is_not_smoothed(model, text):
    with pytest.raises(ValueError, match="Smooth first, then rotate"):
        smooth_model(round_model(model, W8), text[1][:1])
    with pytest.raises(ValueError, match="Smooth first, then rotate"):
        awq_model(rotate_model(model), text[1][:1], W2, GROUP)


def test_a_stage_shows_a_rotated_layer_what_its_weights_expect(model, text):
    outputs = []

    def change(stage):
        if stage.name == "inner":
            outputs.append(F.linear(stage.x, stage.layers[0].weight))

    for other in (model, rotate_model(model)):
        block_by_block(other, text[1][:1], change)
    for plain, turned in zip(outputs[:6], outputs[6:], strict=True):
        assert torch.allclose(rotate_back(turned), plain, atol=1e-3)


def test_writing_on(shakespeare):
    model, tokenizer = shakespeare
    start = tokenizer.encode("GLOUCESTER:\n")[None]
    greedy = generate(model, start, 20)
    assert torch.equal(greedy[:, :12], start)
    assert greedy.shape == (1, 32)
    # Without a cache, one token after the other, it is the same.
    for place in range(12, 16):
        assert int(model(greedy[:, :place])[0, -1].argmax()) == int(greedy[0, place])
    drawn = [generate(model, start, 20, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    caches = [KVCache(Scheme(8)) for _ in model.blocks]
    assert torch.equal(generate(model, start, 8, cache=caches), greedy[:, :20])
    assert len(caches[0]) == 19
    with pytest.raises(ValueError, match="temperature is -1"):
        generate(model, start, 1, temperature=-1)
    with pytest.raises(ValueError, match="count is -1"):
        generate(model, start, -1)
