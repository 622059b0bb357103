"""Language models on disk, what they take, and packed codes."""

import json

import pytest
import torch

from labkit.language import (
    CharacterTokenizer,
    Config,
    LanguageModel,
    PackedLinear,
    awq_model,
    bytes_by_kind,
    few_bit_layers,
    gptq_model,
    linear_layers,
    pack_model,
    quantize_activations,
    read_model,
    rotate_model,
    round_model,
    save_model,
    smooth_model,
    speed,
    split_model,
)
from labkit.language.packed import kernels_usable
from labkit.linear import Scheme, choose_qparams, quantize

W8 = Scheme(8, symmetric=True, narrow=True)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LanguageModel(Config(16, 64, 128, 2, heads=4, kv_heads=2, context=16)).eval()


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 16, (2, 12), generator=torch.Generator().manual_seed(1))


WAYS = {
    "float": lambda model, tokens: model,
    "W8A8 static": lambda model, tokens: quantize_activations(round_model(model, W8), tokens),
    "W8A8 a token": lambda model, tokens: quantize_activations(round_model(model, W8)),
    "rotated, 3 bits": lambda model, tokens: round_model(rotate_model(model), Scheme(3), 32),
    "smoothed": smooth_model,
    "LLM.int8": lambda model, tokens: split_model(model, 4.0),
    "AWQ": lambda model, tokens: awq_model(model, tokens, Scheme(4), 32),
    "GPTQ": lambda model, tokens: gptq_model(model, tokens, Scheme(3), 32),
    "2 bits, unsigned": lambda model, tokens: round_model(model, Scheme(2, signed=False), 64),
}


@torch.inference_mode()
@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_is_what_is_read(model, tokens, tmp_path, way):
    other = WAYS[way](model, tokens)
    size = save_model(other, tmp_path / "model.safetensors", CharacterTokenizer("abcdefghijklmnop"))
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert size == (tmp_path / "model.safetensors").stat().st_size
    back, tokenizer = read_model(tmp_path / "model.safetensors")
    assert torch.equal(back(tokens), other(tokens))
    assert tokenizer.characters == "abcdefghijklmnop"
    assert back.config == model.config
    for name, layer in few_bit_layers(other).items():
        if layer.q is not None:
            assert torch.equal(few_bit_layers(back)[name].q, layer.q)


@torch.inference_mode()
@pytest.mark.parametrize("way", WAYS)
def test_the_model_that_is_given_stays(model, tokens, way):
    before = {name: p.clone() for name, p in model.named_parameters()}
    expected = model(tokens)
    WAYS[way](model, tokens)
    assert torch.equal(model(tokens), expected)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_what_a_method_does_not_change_is_in_memory_once(model, tokens):
    rounded = round_model(model, W8)
    eight = quantize_activations(rounded)
    assert rounded.embedding.weight.data_ptr() == model.embedding.weight.data_ptr()
    assert rounded.head.weight is rounded.embedding.weight
    for layer, other in zip(*(few_bit_layers(m).values() for m in (rounded, eight)), strict=True):
        assert layer.weight.data_ptr() == other.weight.data_ptr()
        assert layer.q is other.q
        assert layer.weight is not other.weight  # each may get another tensor


def test_few_bits_take_few_bytes(model, tmp_path):
    path = tmp_path / "model.safetensors"
    half = save_model(round_model(model, Scheme(4), 64).half(), path)
    assert read_model(path)[1] is None
    assert half < 0.4 * save_model(model.float(), path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_text(json.dumps({}))
    with pytest.raises(ValueError, match="cannot be read as a language model"):
        read_model(path)
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none")


def test_bytes_by_kind(model):
    weights = sum(layer.weight.numel() for layer in linear_layers(model).values())
    plain = bytes_by_kind(model)
    # Two blocks, two heads of 16, a key and a value, two bytes each.
    assert plain == {"weights": 2 * weights, "embedding": 2 * 16 * 64, "cache a token": 256}
    four = bytes_by_kind(round_model(model, Scheme(4), 32), cache_bits=4)
    assert four["weights"] == weights * (4 + (16 + 4) / 32) / 8
    assert four["cache a token"] == 64
    symmetric = bytes_by_kind(round_model(model, W8))["weights"]
    assert bytes_by_kind(split_model(model))["weights"] == symmetric
    rows = sum(len(layer.weight) for layer in linear_layers(model).values())
    assert symmetric == weights + 2 * rows
    assert bytes_by_kind(rotate_model(model))["embedding"] == 2 * plain["embedding"]


needs_kernels = pytest.mark.skipif(not kernels_usable(), reason="torch has no such kernels here")


FORMS = [
    (Scheme(4), 32),
    (Scheme(4, signed=False), 64),
    (Scheme(4, symmetric=True), 128),
    (W8, None),
]


@needs_kernels
@pytest.mark.parametrize(("scheme", "size"), FORMS)
def test_packed_products(scheme, size):
    draw = torch.Generator().manual_seed(0)
    w, x = torch.randn(96, 128, generator=draw), torch.randn(2, 3, 128, generator=draw)
    grid = choose_qparams(w, scheme, 0 if size is None else 1, size)
    layer = PackedLinear(quantize(w, grid), grid)
    scale, zero_point = grid.expand_to(w.shape)
    expected = x @ ((quantize(w, grid) - zero_point) * scale).T
    assert layer.packed.numel() * 8 == w.numel() * scheme.bits
    assert torch.allclose(layer(x).float(), expected, rtol=0.02, atol=0.3)


@needs_kernels
@torch.inference_mode()
def test_a_packed_model(model, tokens):
    rounded = round_model(model, Scheme(4), 32)
    packed = pack_model(rounded)
    assert torch.allclose(packed(tokens), rounded(tokens), rtol=0.1, atol=1.0)
    assert rounded.embedding.weight.dtype == torch.float32
    found = speed(packed, tokens[:1], count=2, repeats=1)
    assert found.prefill > 0
    with pytest.raises(ValueError, match="rotates or rounds its input"):
        pack_model(quantize_activations(rounded))
    with pytest.raises(ValueError, match="expected 4 bits in groups"):
        pack_model(round_model(model, Scheme(3), 32))
    with pytest.raises(ValueError, match="1 or more each"):
        speed(packed, tokens[:1], count=0)
