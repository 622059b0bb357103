"""Integer weights in a float network: exactly the network with rounded weights."""

import copy
import math
import pickle

import pytest
import torch
from other_networks import NETWORKS, network, pictures
from torch import nn
from torch.testing import assert_close

from labkit import zoo
from labkit.linear import Scheme, choose_qparams, fake_quantize
from labkit.ptq import (
    WeightOnlyLayer,
    bytes_on_disk,
    replace_modules,
    weight_only,
    weight_qparams,
)

SCHEMES = [
    Scheme(8, symmetric=True),
    Scheme(6, signed=False),
    Scheme(4),
    Scheme(4, signed=False, symmetric=True),
    Scheme(3),
    Scheme(2),
]
LAYERS = {
    "linear": (nn.Linear(13, 5), torch.randn(3, 13)),
    "no bias": (nn.Linear(8, 5, bias=False), torch.randn(2, 4, 8)),
    "conv": (nn.Conv2d(3, 4, 3, 2, 1), torch.randn(2, 3, 7, 6)),
    "same": (nn.Conv2d(3, 4, (2, 3), padding="same", dilation=2), torch.randn(2, 3, 7, 6)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, bias=False), torch.randn(2, 4, 5, 5)),
}


@pytest.mark.parametrize("group_size", [None, 1, 4, 7, 100])
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_with_rounded_weights(name, scheme, group_size):
    layer, x = LAYERS[name]
    quantized = WeightOnlyLayer(layer, scheme, group_size, method="minmax")
    rows = layer.weight.detach().flatten(1)
    if group_size is None:
        grid = choose_qparams(rows, scheme, axis=0)
    else:
        grid = choose_qparams(rows, scheme, axis=1, group_size=group_size)
    rounded = copy.deepcopy(layer)
    rounded.weight = nn.Parameter(fake_quantize(rows, grid).reshape(layer.weight.shape))
    assert torch.equal(quantized.weight, rounded.weight)
    assert torch.equal(quantized(x), rounded(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_with_rounded_weights(name):
    model, images, scheme = network(name), pictures(2), Scheme(4)
    before = copy.deepcopy(model.state_dict())
    quantized, rounded = weight_only(model, scheme, 16), copy.deepcopy(model)
    for layer in rounded.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            rows = layer.weight.detach().flatten(1)
            grid = weight_qparams(rows, scheme, True, "mse", 16)
            layer.weight = nn.Parameter(fake_quantize(rows, grid).reshape(layer.weight.shape))
    with torch.no_grad():
        assert torch.equal(quantized(images), rounded(images))
    assert not quantized.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not [m for m in quantized.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def test_skip_leaves_out_layers_and_what_is_inside():
    model = network("VGG")
    quantized = weight_only(model, Scheme(8, symmetric=True), skip=["features", "classifier.0"])
    kinds = {name: type(layer) for name, layer in quantized.named_modules()}
    assert kinds["features.0"] is nn.Conv2d
    assert kinds["classifier.0"] is nn.Linear
    assert kinds["classifier.4"] is WeightOnlyLayer
    with pytest.raises(ValueError, match=r"skip names 'classifier\.9', 'stem'; expected paths"):
        weight_only(model, Scheme(8), skip=["stem", "classifier.9", "features"])


def test_shared_layers_stay_shared():
    layer = nn.Linear(4, 4)
    made = weight_only(nn.Sequential(layer, nn.ReLU(), nn.Sequential(layer)), Scheme(8))
    assert made[0] is made[2][0]
    assert isinstance(made[0], WeightOnlyLayer)


def test_a_network_that_is_one_layer():
    layer = nn.Linear(4, 4)
    assert isinstance(weight_only(layer, Scheme(8)), WeightOnlyLayer)
    kept = weight_only(layer, Scheme(8), skip=[""])
    assert isinstance(kept, nn.Linear)
    assert kept is not layer


def test_replaced_modules_keep_their_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[1].eval()
    model[2].eval()
    made = replace_modules(model, nn.Linear, lambda layer: nn.Identity())
    assert [module.training for module in (made, *made)] == [True, True, False, False]
    assert [type(module) for module in made] == [nn.Identity, nn.BatchNorm1d, nn.Identity]


def test_bytes_count_all_that_is_stored():
    layer = nn.Linear(64, 10)
    four = WeightOnlyLayer(layer, Scheme(4), group_size=32)
    assert four.bytes == 10 * 64 // 2 + 10 * 2 * 4 + 10 * 2 * 1 + 10 * 4
    eight = WeightOnlyLayer(layer, Scheme(8, symmetric=True))
    assert eight.bytes == 10 * 64 + 10 * 4 + 10 * 4
    state = four.state_dict()
    assert sum(value.numel() * value.element_size() for value in state.values()) == four.bytes
    assert "4 bits, group_size=32" in repr(four)


def test_the_state_is_all_there_is():
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 4), torch.randn(2, 16)
    one = WeightOnlyLayer(layer, Scheme(4), 8)
    other = WeightOnlyLayer(nn.Linear(16, 4), Scheme(4), 8)
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))
    for duplicate in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert torch.equal(duplicate(x), one(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_activations_may_have_other_dtypes(dtype):
    layer, x = nn.Linear(16, 4), torch.randn(2, 16)
    with torch.no_grad():
        layer.weight[0] = 1e-12
    quantized = WeightOnlyLayer(layer, Scheme(8, symmetric=True))
    weight, y = quantized.weight, quantized(x)
    quantized.to(dtype)
    assert torch.equal(quantized.weight, weight)
    assert quantized.scale.dtype == torch.float32
    result = quantized(x.to(dtype))
    assert result.dtype == dtype
    assert_close(result.float(), y, rtol=0.02, atol=0.02)


def test_attention_goes_through():
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    quantized, x = weight_only(model, Scheme(8, symmetric=True)), torch.randn(2, 5, 16)
    assert isinstance(quantized.self_attn.out_proj, WeightOnlyLayer)
    for module in (quantized, quantized.train()):
        module.dropout.eval(), module.dropout1.eval(), module.dropout2.eval()
        module.self_attn.dropout = 0.0
        assert_close(module(x), model(x), rtol=0.05, atol=0.05)


def test_layers_that_are_no_plain_ones_are_refused():
    reflecting = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
    with pytest.raises(ValueError, match=r"padding_mode is 'reflect'.* Name the layer in skip"):
        weight_only(nn.Sequential(reflecting), Scheme(8))

    class Doubling(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(ValueError, match="Doubling has a forward of its own"):
        weight_only(nn.Sequential(Doubling(2, 2)), Scheme(8))
    assert weight_only(nn.Sequential(Doubling(2, 2)), Scheme(8), skip=["0"])


def test_other_mistakes_are_refused():
    with pytest.raises(TypeError, match="scheme is of type int; expected Scheme"):
        weight_only(nn.Linear(2, 2), 8)
    with pytest.raises(ValueError, match="method is 'best'; expected one of mse, minmax"):
        weight_only(nn.Linear(2, 2), Scheme(8), method="best")
    with pytest.raises(ValueError, match="group_size is -1"):
        weight_only(nn.Linear(2, 2), Scheme(8), group_size=-1)
    with pytest.raises(ValueError, match="group_size is 0"):
        weight_only(nn.Linear(2, 2), Scheme(8), group_size=0)


@pytest.mark.parametrize(
    ("name", "scheme", "skip"),
    [
        ("resnet", Scheme(4), ()),
        ("mobilenet", Scheme(4), ("blocks.0.0",)),
        ("mobilenet", Scheme(4, symmetric=True), ()),
    ],
)
def test_four_bits_in_groups_lose_little(name, scheme, skip):
    images, labels = zoo.load_data("fashion_mnist", "test")
    model = zoo.load_model(name)
    quantized = weight_only(model, scheme, 32, skip)
    before, after = (zoo.accuracy(m, images[:2000], labels[:2000]) for m in (model, quantized))
    assert after.mean >= before.mean - 0.015
    assert bytes_on_disk(quantized) < 0.25 * bytes_on_disk(model)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3, 2, 1, groups=2), (2, 4, 9)),
        (nn.Conv3d(4, 6, (1, 2, 3), 1, (0, 1, 1)), (2, 4, 3, 5, 6)),
        (nn.Conv1d(4, 6, 3, padding="same", dilation=2), (2, 4, 9)),
    ],
)
@pytest.mark.parametrize("scheme", [Scheme(8, symmetric=True), Scheme(4)])
def test_convolutions_of_every_dimension_store_integers(layer, shape, scheme):
    model = nn.Sequential(layer, nn.ReLU())
    quantized, x = weight_only(model, scheme), torch.randn(shape)
    assert isinstance(quantized[0], WeightOnlyLayer)
    copied = copy.deepcopy(layer)
    copied.weight.data = quantized[0].weight
    assert torch.equal(quantized[0](x), copied(x))


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose1d(3, 4, 2),
        nn.ConvTranspose2d(3, 4, 2),
        nn.ConvTranspose3d(3, 4, 2),
        nn.LSTM(3, 4),
        nn.GRUCell(3, 4),
        nn.Bilinear(3, 3, 4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_weights_that_would_stay_real_are_named(layer):
    model = nn.ModuleDict({"first": nn.Linear(3, 4), "inner": nn.ModuleDict({"odd": layer})})
    with pytest.raises(ValueError, match=rf"'inner.odd' is of type {type(layer).__name__}.*skip"):
        weight_only(model, Scheme(8, symmetric=True))
    for skip in ("inner.odd", "inner"):
        assert isinstance(weight_only(model, Scheme(), skip=[skip])["first"], WeightOnlyLayer)


def test_a_layer_with_nan_is_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4)))
    model[1][0].weight.data[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"layer '1\.0': .*nan"):
        weight_only(model, Scheme(8, symmetric=True))
