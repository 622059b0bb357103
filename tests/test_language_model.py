"""The forward of a language model, its caches and its tokenizers."""

import copy

import pytest
import torch

from labkit.language import CharacterTokenizer, Config, LanguageModel, load_text
from labkit.language.text import TEXTS, training_texts


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LanguageModel(Config(11, 32, 48, 2, heads=4, kv_heads=2, context=16)).eval()


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 11, (2, 9), generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_a_token_sees_those_before_it_only(model, tokens):
    other = tokens.clone()
    other[:, 5] = (other[:, 5] + 1) % 11
    before, after = model(tokens), model(other)
    assert before.shape == (2, 9, 11)
    assert torch.equal(before[:, :5], after[:, :5])
    assert bool((before[:, 5:] != after[:, 5:]).any(-1).all())


@torch.inference_mode()
def test_with_a_cache_the_logits_are_the_same(model, tokens):
    cache = model.new_cache()
    parts = [model(part, cache) for part in tokens.split([4, 1, 1, 3], dim=1)]
    assert torch.allclose(torch.cat(parts, 1), model(tokens), atol=1e-5)
    assert len(cache[0]) == 9
    # Two heads of k and v for four of q.
    assert cache[0].keys.shape == (2, 2, 9, 8)


@torch.inference_mode()
def test_only_the_distance_between_tokens_counts(model):
    # With one block, and the same token everywhere, all places see the same.
    one = LanguageModel(Config(11, 32, 48, 1, heads=4, kv_heads=2, context=16)).eval()
    logits = one(torch.full((1, 6), 3))
    assert torch.allclose(logits, logits[:, :1].expand_as(logits), atol=1e-5)


@torch.inference_mode()
def test_in_bfloat16_it_is_nearly_the_same(model, tokens):
    short = copy.deepcopy(model).bfloat16()
    assert short(tokens).dtype == torch.float32
    assert torch.allclose(short(tokens), model(tokens), rtol=0.02, atol=0.1)


def test_the_head_is_the_embedding_and_can_be_another(model):
    assert model.head.weight is model.embedding.weight
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    other = LanguageModel(model.config)
    other.place(tensors | {"head.weight": tensors["embedding.weight"] * 2})
    assert not torch.equal(other.head.weight, other.embedding.weight)
    other.place(tensors)
    assert other.head.weight is other.embedding.weight
    with pytest.raises(ValueError, match=r"missing or left over: norm\.weight"):
        other.place({name: t for name, t in tensors.items() if name != "norm.weight"})
    with pytest.raises(ValueError, match=r"norm\.weight has shape \(3,\); expected \(32,\)"):
        other.place(tensors | {"norm.weight": torch.ones(3)})


def test_characters():
    tokenizer = CharacterTokenizer("abc")
    assert tokenizer.encode("cab").tolist() == [2, 0, 1]
    assert tokenizer.decode(tokenizer.encode("cab")) == "cab"
    with pytest.raises(ValueError, match=r"text has 'd', 'x'; this model knows the 3 characters"):
        tokenizer.encode("axd")


def test_what_is_held_out_is_not_trained_on():
    before, after = training_texts()
    held_out = load_text("held-out")
    whole = before + held_out + after
    assert whole.startswith("First Citizen:")
    assert len(held_out) == 60_000
    for name, (start, end) in TEXTS.items():
        assert whole[start:end] == load_text(name)
    # No passage of 60 characters of it is elsewhere, but for what plays repeat.
    parts = [held_out[i : i + 60] for i in range(0, 60_000, 60)]
    assert sum(part in before or part in after for part in parts) <= 2
    with pytest.raises(ValueError, match="name is 'test'; expected one of"):
        load_text("test")
