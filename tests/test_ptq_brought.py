"""More of what people bring: modules that keep results, numbers in buffers, odd batches."""

import pytest
import torch
import torch.nn.functional as F
from other_networks import pictures, sqnr
from test_ptq_any_network import SIZE, checked, conv, kinds, quantized
from test_ptq_graph import Layers
from torch import nn

from labkit import qat
from labkit.ptq import load, quantize_model, save
from labkit.qparams import Scheme

SCHEMES = (Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Keeping(nn.Module):
    """Keeps a result as an attribute, and numbers in buffers."""

    def __init__(self, forward):
        super().__init__()
        self.conv, self._forward, self.last = conv(), forward, None
        for name, value in {"factor": 0.3, "times": 2, "seen": 0.0}.items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x):
        return self._forward(self, x)


def kept(net, x):
    net.last = net.conv(x)
    return F.relu(net.last)


def factor_as_number(net, x):
    return net.conv(x) * float(net.factor)


def branch_on_buffer(net, x):
    return net.conv(x) if net.factor * 2 > 1 else net.conv(x).relu()


def loop_on_buffer(net, x):
    for _ in range(int(net.times)):
        x = F.relu(net.conv(x)[:, :3])
    return x


def coordinates(net, x):
    rows = torch.linspace(0, 1, SIZE).view(1, 1, SIZE, 1)
    return net.conv(x) + torch.cat([rows.expand(len(x), 1, -1, SIZE)] * 4, 1)


@pytest.mark.parametrize(
    "forward", [kept, factor_as_number, branch_on_buffer, loop_on_buffer, coordinates]
)
def test_what_a_module_keeps(forward):
    model, images = Keeping(forward).eval(), pictures(4, SIZE)
    checked(model, images)
    assert model.last is None or type(model.last) is torch.Tensor


def counted(net, x):
    net.seen += 1
    return net.conv(x) * net.seen


def test_a_buffer_that_each_call_changes_is_refused():
    with pytest.raises(ValueError, match=r"'iadd' \(test_ptq_brought.py, line \d+\) overwrites"):
        quantized(Keeping(counted).eval(), pictures(4, SIZE))


def test_constants_that_share_their_memory_are_saved(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("one", torch.rand(4, SIZE, SIZE))
            self.register_buffer("two", self.one)
            self.conv = conv()

        def forward(self, x):
            return (self.conv(x).softmax(1) * self.one).sum(1) + self.two[0]

    images = pictures(4, SIZE)
    found = quantized(Tied().eval(), images)
    save(found, tmp_path / "n")
    assert torch.equal(load(tmp_path / "n")(images), found(images))


NAN = pictures(2, SIZE).index_fill(0, torch.tensor(1), float("nan"))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([NAN], r"first batch, float32 \[2, 3, 8, 8\], has NaN or infinity in 192 of 384 values"),
        ([pictures(2, SIZE), NAN], "batch 2: the tensor 'input_1'.*expected finite numbers"),
        ([pictures(2, SIZE), pictures(2, SIZE)[:0]], "batch 2: .*is empty"),
        ([pictures(2, SIZE), pictures(2, SIZE)[:, :1]], "batch 2: .*as the first"),
    ],
    ids=["NaN", "NaN later", "empty", "channels"],
)
def test_a_batch_that_cannot_be_observed_is_named_and_nothing_else(batches, message):
    with pytest.raises(ValueError, match=message) as refusal:
        quantize_model(nn.Sequential(conv(), nn.ReLU()).eval(), batches)
    assert "Traceback" not in str(refusal.value)
    assert "traceback" not in str(refusal.value)


def test_a_model_that_makes_infinity_is_told_so():
    model = nn.Sequential(conv(), Layers(lambda net, x: 1 / (x - x))).eval()
    with pytest.raises(ValueError, match="the model itself gives NaN or infinity"):
        quantized(model, pictures(2, SIZE))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_folds_within_its_own_rounding(dtype):
    model = nn.Sequential(conv(bias=False), nn.BatchNorm2d(4), nn.ReLU(), conv(4)).eval()
    model[1].running_var.uniform_(0.5, 2)
    images = pictures(4, SIZE)
    found = quantize_model(model.to(dtype), [images.to(dtype)], observer="minmax")
    assert kinds(found) == ["conv2d", "conv2d"]
    assert sqnr(model.float()(images).detach(), found(images)) > 25


def test_automatic_mixed_precision_around_it():
    model, images = nn.Sequential(conv(), nn.ReLU(), conv(4)).eval(), pictures(4, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = quantized(model, images)
    assert sqnr(model(images).detach(), found(images)) > 25


def test_layers_of_torch_ao_are_refused_by_name():
    model = nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIZE * SIZE, 3)).eval()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        integers = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    with pytest.raises(TypeError, match=r"part '3' is a Linear, which torch.ao has"):
        quantized(integers, pictures(2, SIZE))


class Blur(nn.Module):
    """Fixed weights as a buffer, frozen ones as a parameter, and ones that train."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", torch.rand(3, 1, 3, 3))
        self.frozen = nn.Parameter(torch.rand(4, 3, 1, 1), requires_grad=False)
        self.scaled = nn.Parameter(torch.rand(4, 4, 1, 1))

    def forward(self, x):
        x = F.conv2d(F.conv2d(x, self.kernel, groups=3), self.frozen)
        return F.conv2d(x, self.scaled * 0.1)


def test_weights_of_functions_train_if_those_of_the_network_do():
    images = pictures(4, SIZE)
    network = qat.prepare(Blur().eval(), *SCHEMES, example=[images])
    network(images)
    found = [
        layer.parametrizations.weight.original.requires_grad
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert found == [False, False, True]
