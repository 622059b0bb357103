"""Transformers as torch builds them: traced through, with all kinds of masks, and trained, too."""

import pytest
import torch
from other_networks import sqnr
from test_ptq_any_network import checked, kinds
from test_ptq_graph import Layers
from torch import nn

from labkit import qat
from labkit.ptq import quantize_model
from labkit.qparams import Scheme

SCHEMES = (Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False))
CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def encoder_layer(**options):
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)


def attention(**options):
    return nn.MultiheadAttention(8, 2, batch_first=True, **options)


PADDED = torch.tensor([[False, False, False, True, True]] * 3)
WAYS = {
    "encoder layer": lambda net, x: net.layer(x),
    "encoder, causal": lambda net, x: net.encoder(x, mask=CAUSAL),
    "mask that is added": lambda net, x: net.attention(x, x, x, attn_mask=CAUSAL)[0],
    "mask of booleans": lambda net, x: net.attention(x, x, x, attn_mask=CAUSAL < 0)[0],
    "mask of each head": lambda net, x: net.attention(
        x, x, x, attn_mask=CAUSAL.expand(2 * len(PADDED), 5, 5)
    )[0],
    "padding": lambda net, x: net.attention(x, x, x, key_padding_mask=PADDED)[0],
}


def transformer(way):
    layers = {
        "layer": encoder_layer(norm_first=True),
        "encoder": nn.TransformerEncoder(encoder_layer(), 2, norm=nn.LayerNorm(8)),
        "attention": attention(),
    }
    return Layers(WAYS[way], **layers).eval()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_torchs_own_layers_are_traced_through(way, tmp_path):
    x = torch.randn(3, 5, 8)
    found = checked(transformer(way), x, path=tmp_path / "n", islands=True)
    assert "linear" in kinds(found)


@pytest.mark.parametrize("way", ["encoder layer", "mask that is added"])
def test_what_has_islands_is_trained_and_converted(way):
    model, x = transformer(way), torch.randn(3, 5, 8)
    network = qat.prepare(model, *SCHEMES, example=[x], islands=True)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
    network.eval()
    integers = qat.convert(network)
    assert all(found.farthest < 1e-3 for found in qat.compare(network, integers, x))
    with torch.no_grad():
        assert sqnr(network(x), integers(x)) > 30
        assert sqnr(model(x), integers(x)) > 20


def test_a_tensor_that_codes_and_real_numbers_read_is_rounded_for_the_codes_alone():
    def forward(net, x):
        normed = net.norm(net.one(x))
        return net.two(normed) + normed.softmax(-1), normed

    model = Layers(forward, norm=nn.LayerNorm(8), one=nn.Linear(8, 8), two=nn.Linear(8, 8)).eval()
    x = torch.randn(3, 5, 8)
    network = qat.prepare(model, *SCHEMES, example=[x], islands=True)
    network(x)
    network.eval()
    integers = qat.convert(network)
    assert all(found.farthest < 1e-3 for found in qat.compare(network, integers, x))
    for trained, converted in zip(network(x), integers(x), strict=True):
        assert sqnr(trained.detach(), converted) > 30


def test_without_islands_attention_is_refused_in_training_too():
    with pytest.raises(ValueError, match=r"cannot quantize node .*islands=True"):
        qat.prepare(transformer("padding"), *SCHEMES, example=[torch.randn(3, 5, 8)])


def test_attention_keeps_its_dropout_and_what_is_frozen_in_it():
    layer = attention(dropout=0.5).eval()
    layer.in_proj_weight.requires_grad_(False)
    model = Layers(lambda net, x: net.attention(x, x, x)[0], attention=layer).eval()
    x = torch.randn(3, 5, 8)
    network = qat.prepare(model, *SCHEMES, example=[x], islands=True)
    assert not torch.equal(network(x), network(x))
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert any("out_proj" in name for name in trained)
    assert not any("attention.query.parametrizations.weight" in name for name in trained)


def test_attention_that_cannot_be_written_out_is_refused_by_its_name():
    model = Layers(lambda net, x: net.a(x, x, x)[0], a=attention(add_bias_kv=True))
    with pytest.raises(ValueError, match=r"node 'a' \(MultiheadAttention\) \(test_ptq_attention"):
        quantize_model(model.eval(), [torch.randn(3, 5, 8)], islands=True)
