"""What people bring at the edges: it is computed right, or refused by the name of what is wrong."""

import collections
import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from other_networks import pictures, sqnr
from test_ptq_any_network import SIZE, checked, conv, kinds, quantized
from test_ptq_graph import Layers
from torch import nn
from torch.nn.utils import prune

from labkit.linear import from_range
from labkit.ptq import convert, fold_batchnorm, quantize_model, weight_only
from labkit.qparams import Scheme


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def copied(net, x):
    y = torch.zeros_like(x)
    y.copy_(net.conv(x))
    return y * 2


def added_to(net, x):
    y = net.conv(x)
    z = F.relu(y)
    y += 1
    return y + z


def part_added_to(net, x):
    a, b = net.conv(x).split([1, 2], 1)
    a += 0.5
    a.relu_()
    return torch.cat([a, b], 1)


def made_in_the_forward(net, x):
    return nn.MaxPool2d(2)(nn.ReLU()(net.conv(x)))


def part_of_a_sequence(net, x):
    return net.parts[2:](net.parts[:2](net.conv(x)))


def numbers_of_numpy(net, x):
    return net.conv(x) * np.float32(0.5) + np.float64(1)


def to_float(net, x):
    return (net.conv(x) > 0).float()


FORMS = {
    f.__name__: f
    for f in (copied, added_to, part_added_to, made_in_the_forward, part_of_a_sequence)
}
FORMS |= {f.__name__: f for f in (numbers_of_numpy,)}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_a_forward(name):
    parts = nn.Sequential(nn.ReLU(), conv(3, 3), nn.Tanh(), conv(3, 3))
    model = Layers(FORMS[name], conv=conv(3, 3), parts=parts).eval()
    checked(model, pictures(4, SIZE))


def test_a_comparison_made_real_stays_real():
    model, images = Layers(to_float, conv=conv()).eval(), pictures(4, SIZE)
    result = quantized(model, images)(images)
    assert result.dtype == torch.float32
    assert (result == model(images)).double().mean() > 0.95


class Closure(nn.Module):
    """Calls a layer by a function that a copy of it shares."""

    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.call = lambda x: F.relu(self.conv(x))

    def forward(self, x):
        return self.call(x)


def test_a_layer_that_a_function_holds_is_copied():
    model, images = Closure().eval(), pictures(4, SIZE)
    weight = model.conv.weight
    checked(model, images)
    assert model.conv.weight is weight


class Product(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.w, self.b, self.way = (
            nn.Parameter(torch.randn(12, 5)),
            nn.Parameter(torch.ones(5)),
            way,
        )

    def forward(self, x):
        return self.way(x.flatten(1), self.w, self.b)


@pytest.mark.parametrize(
    "way",
    [
        lambda x, w, b: x @ w + b,
        lambda x, w, b: torch.addmm(b, x, w),
        lambda x, w, b: torch.matmul(x, w),
        lambda x, w, b: x.mm(w) - b,
    ],
)
def test_a_product_with_a_parameter_is_a_linear_layer(way):
    assert kinds(checked(Product(way).eval(), pictures(4, 2))) == ["flatten", "linear"]


Named = collections.namedtuple("Named", ["logits", "map"])


@dataclasses.dataclass
class Fields:
    logits: torch.Tensor
    map: torch.Tensor


@pytest.mark.parametrize("kind", [Named, Fields])
def test_named_results(kind):
    images = pictures(4, SIZE)
    model = Layers(lambda net, x: kind(net.conv(x).mean((2, 3)), map=net.conv(x)), conv=conv())
    found, expected = quantized(model.eval(), images)(images), model(images)
    first = found[0] if kind is Named else found["logits"]
    assert len(found) == 2
    assert sqnr(expected.logits.detach(), first) > 25


class Unnamed(nn.Module):
    def __init__(self, reads):
        super().__init__()
        self.conv, self.reads = conv(), reads

    def forward(self, *args, **kwargs):
        return self.conv(args[0])


class Optional(Unnamed):
    def forward(self, x, *args, **kwargs):
        return self.conv(x)


def test_arguments_without_names():
    checked(Optional(False).eval(), pictures(2, SIZE))
    with pytest.raises(ValueError, match=r"reads \*args; expected its inputs by name"):
        quantized(Unnamed(True).eval(), pictures(2, SIZE))


def test_a_norm_of_each_batch_is_no_table():
    model = nn.Sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match=r"BatchNorm2d.*normalizes each batch by its own"):
        quantized(model, pictures(4, SIZE))
    function = Layers(lambda net, x: net.conv(F.batch_norm(x, None, None, training=True)))
    function.conv = conv()
    with pytest.raises(ValueError, match="normalizes each batch by its own"):
        quantized(function.eval(), pictures(4, SIZE))


@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_of_each_image_is_an_island(affine):
    model = nn.Sequential(conv(), nn.InstanceNorm2d(4, affine=affine), nn.ReLU()).eval()
    checked(model, pictures(4, SIZE), islands=True)
    running = nn.Sequential(conv(), nn.InstanceNorm2d(4, track_running_stats=True), conv(4)).eval()
    with pytest.raises(ValueError, match=r"InstanceNorm2d.*has running statistics"):
        quantized(running, pictures(4, SIZE), islands=True)


def test_hooks_of_all_modules_are_refused():
    def twice(module, inputs, output):
        return 2 * output

    handle = nn.modules.module.register_module_forward_hook(twice)
    try:
        with pytest.raises(ValueError, match="twice' is a hook of all modules"):
            quantized(nn.Sequential(conv()).eval(), pictures(2, SIZE))
    finally:
        handle.remove()


def filled(net, x):
    y = net.conv(x)
    y.fill_(0.5)
    return y + x.mean()


def view_added_to(net, x):
    y = net.conv(x)
    z = y.flatten(1)
    z += 1
    return y


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (filled, r"'fill_' \(test_ptq_edges.py, line \d+\) .* no form that gives a new one"),
        (view_added_to, r"'iadd' \(test_ptq_edges.py, line \d+\) overwrites 'flatten'"),
    ],
)
def test_what_is_overwritten_otherwise_is_named(forward, message):
    with pytest.raises(ValueError, match=message):
        quantized(Layers(forward, conv=conv()).eval(), pictures(4, SIZE))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (pictures(2, SIZE).double(), r"is float64 \[2, 3, 8, 8\], with parameters of float32"),
        ((pictures(2, SIZE) * 9).to(torch.uint8), "is uint8"),
        ((torch.arange(2), pictures(2, SIZE)), r"is int64 \[2\]"),
        (pictures(2, SIZE)[:, :1], r"to have 3 channels.*float32 \[2, 1, 8, 8\]"),
    ],
)
def test_a_batch_that_the_model_itself_cannot_take(batch, message):
    with pytest.raises(ValueError, match=f"the model itself fails on the first batch.*{message}"):
        quantize_model(nn.Sequential(conv()).eval(), [batch])


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), nn.Sequential(conv()).to("meta")],
    ids=["lazy", "meta"],
)
def test_layers_without_numbers_are_named(model):
    with pytest.raises(ValueError, match=r"of layer '\d'.*has no numbers yet"):
        quantize_model(model.eval(), [pictures(2, SIZE)])


def test_weight_only_bakes_weights_in_and_says_when_there_are_none():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8)).eval()
    prune.l1_unstructured(model[1], "weight", 0.5)
    x = pictures(4, 2)
    assert sqnr(model(x).detach(), weight_only(model, Scheme(8))(x)) > 30
    with pytest.raises(ValueError, match="no layer to quantize; expected one of Linear, Conv1d"):
        weight_only(Product(lambda x, w, b: x @ w).eval(), Scheme(4))


def test_what_the_integers_cannot_take_is_found_at_once():
    model = nn.Sequential(conv(), nn.ReLU(), conv(4, 4))
    with pytest.raises(ValueError, match=r"cannot take the first batch, float32 \[3, 8, 8\]"):
        quantized(model.eval(), torch.randn(3, SIZE, SIZE))


def test_a_transposed_convolution_told_its_size_is_refused():
    model = Layers(
        lambda net, x: net.up(x, output_size=[17, 17]), up=nn.ConvTranspose2d(3, 4, 3, 2)
    )
    with pytest.raises(ValueError, match=r"node 'up' .*output_size; expected .*output_padding"):
        quantized(model.eval(), pictures(2, SIZE))


def test_a_grid_that_does_not_hold_what_is_padded_with_is_refused():
    model = Layers(
        lambda net, x: net.two(F.pad(net.one(x), (1, 1), value=9.0)), one=conv(), two=conv(4)
    )
    found = quantized(model.eval(), pictures(4, SIZE))
    assert float(found.qparams["one"].scale) * 255 > 9
    network = fold_batchnorm(model, (pictures(4, SIZE),))
    grids = found.qparams | {"one": from_range(-1, 1, Scheme(8, signed=False))}
    weights = {name: layer.qparams for name, layer in found.weights.items()}
    with pytest.raises(ValueError, match=r"'one' is padded with 9, and its codes hold -0.99"):
        convert(network, weights, grids)


def test_true_or_false_that_is_more_than_a_part_of_one_function_is_refused():
    def chosen(net, x):
        a, b = net.one(x), net.two(x)
        return net.three(torch.where(a > 0, b, 0.1 * b))

    model = Layers(chosen, one=conv(), two=conv(), three=conv(4)).eval()
    with pytest.raises(ValueError, match=r"node 'gt' .*it gives true or false, which is no number"):
        quantized(model, pictures(4, SIZE))
    checked(model, pictures(4, SIZE), islands=True)
