"""Language models in GGUF files: what we write, the package gguf reads, to the same numbers."""

import pytest
import torch

from labkit.blocks import BlockTensor, decode, encode
from labkit.language import (
    CharacterTokenizer,
    Config,
    LanguageModel,
    export_gguf,
    load_gguf_model,
    quantize_activations,
    rotate_model,
)

gguf = pytest.importorskip("gguf")
CHARACTERS = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LanguageModel(Config(16, 64, 128, 2, heads=4, kv_heads=2, context=16)).eval()


@pytest.mark.parametrize("format", ["q8_0", "q4_0", "q4_1"])
def test_gguf_reads_the_same_numbers(model, tmp_path, format):
    path = tmp_path / "model.gguf"
    size = export_gguf(model, CharacterTokenizer(CHARACTERS), path, format)
    assert size == path.stat().st_size
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == len(list(model.parameters()))
    for name, weight, form in (
        ("blk.1.ffn_down.weight", model.blocks[1].mlp.down.weight, format),
        ("blk.0.attn_k.weight", model.blocks[0].attention.k.weight, format),
        ("token_embd.weight", model.embedding.weight, "q8_0"),
    ):
        stored = tensors[name]
        assert stored.tensor_type.name.lower() == form
        read = torch.from_numpy(gguf.dequantize(stored.data, stored.tensor_type))
        assert torch.equal(read, decode(encode(weight, form), form))
    assert tensors["output_norm.weight"].tensor_type.name == "F32"
    # The types that llama.cpp asks for.
    kinds = {name: field.types[0].name for name, field in reader.fields.items()}
    assert kinds["llama.block_count"] == "UINT32"
    assert kinds["llama.rope.freq_base"] == "FLOAT32"
    assert reader.fields["general.architecture"].contents() == "llama"


@torch.inference_mode()
def test_what_is_exported_is_what_is_loaded(model, tmp_path):
    path = tmp_path / "model.gguf"
    export_gguf(model, CharacterTokenizer(CHARACTERS), path, "q8_0")
    back, tokenizer = load_gguf_model(path)
    assert tokenizer.characters == CHARACTERS
    assert back.head.weight is back.embedding.weight
    assert back.config.rope_base == model.config.rope_base
    tokens = torch.arange(12)[None]
    assert torch.allclose(back(tokens), model(tokens), atol=1.5)
    # A head of its own travels, too.
    other = LanguageModel(model.config)
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    other.place(tensors | {"head.weight": -tensors["embedding.weight"]})
    export_gguf(other, CharacterTokenizer(CHARACTERS), path, "q8_0")
    expected = BlockTensor.of(-tensors["embedding.weight"], "q8_0").decode()
    assert torch.equal(load_gguf_model(path)[0].head.weight, expected)


def test_what_a_file_cannot_say_is_refused(model, tmp_path):
    tokenizer, path = CharacterTokenizer(CHARACTERS), tmp_path / "model.gguf"
    for other in (rotate_model(model), quantize_activations(model)):
        with pytest.raises(ValueError, match="rotates or rounds its input"):
            export_gguf(other, tokenizer, path)
    with pytest.raises(ValueError, match="format is 'q3_k'; expected one of"):
        export_gguf(model, tokenizer, path, "q3_k")
    narrow = LanguageModel(Config(16, 48, 64, 1, heads=2, kv_heads=1, context=16))
    with pytest.raises(ValueError, match="whole blocks of 32"):
        export_gguf(narrow, tokenizer, path)
    assert not path.exists()
