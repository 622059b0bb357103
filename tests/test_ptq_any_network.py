"""Whatever people write in a forward: it becomes integers, on both backends, from a file, too."""

import math

import pytest
import torch
import torch.nn.functional as F
from fake_quantized import compare
from other_networks import pictures, settled, sqnr
from test_ptq_graph import Layers
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.data import DataLoader, TensorDataset

from labkit.ptq import load, quantize_model, save

SIZE = 8


def conv(channels_in=3, channels_out=4, kernel=3, **more):
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, **more)


def quantized(model, *inputs, **options):
    """Quantize, and check that the reference and a saved file give the same integers."""
    return quantize_model(model, [inputs], observer="minmax", weight_method="minmax", **options)


def checked(model, *inputs, least=25.0, path=None, **options):
    """Hold integers against FP32 and float64, the reference against the fast backend, a file."""
    with torch.no_grad():
        expected = model(*inputs)
    found = quantized(model, *inputs, **options)
    assert sqnr(expected, found(*inputs)) > least
    reference = found.using(backend="reference")
    for (name, q), other in zip(
        found.tensors(*inputs).items(), reference.tensors(*inputs).values(), strict=True
    ):
        assert torch.equal(q, other), name
    assert not [tensor for tensor in compare(model, found, inputs) if tensor.wrong]
    if path:
        save(found, path)
        assert torch.equal(load(path)(*inputs), found(*inputs))
    return found


def kinds(model):
    return [step.kind for step in model.steps]


def swish(x):
    return x * torch.sigmoid(x)


def hard_swish(x):
    return x * F.relu6(x + 3) / 6


def shuffled(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def windows(x):
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c).mean(1)


def overwritten(x):
    x.clamp_(-1, 1)
    x.mul_(0.5)
    x += 1
    F.leaky_relu_(x, 0.1)
    return x


def set_by_mask(x):
    x[x < 0] = 0.25
    return x


GAMMA = torch.tensor([0.5, 0.4, 0.3, 2.0]).reshape(4, 1, 1)
# Behind a convolution to four channels: what integers compute as a table ...
TABLES = {
    "modules": nn.Sequential(nn.SiLU(), nn.Hardswish(), nn.ELU(), nn.Softplus(), nn.Tanh()),
    "gelu": nn.GELU(approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "prelu": nn.PReLU(4),
    "chain": lambda x: ((x * 2 + 1).clamp(-1, 3) - 0.5) / 3,
    "swish": swish,
    "hard swish": hard_swish,
    "in place": overwritten,
    "square root": lambda x: (x.square() + 0.1).sqrt(),
    "norm behind a ReLU": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)),
    "norm, scaled": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.SiLU()),
    "layer scale": lambda x: F.relu(x) * GAMMA - 0.3,
    "power": lambda x: 1 - x**2,
    "clamp": lambda x: x.clamp(min=-0.5),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "mask": lambda x: F.relu(x) * (x < 1) + (x > 2).float(),
    "masked in place": lambda x: x.masked_fill_(~(x > -0.5), -0.5) * 2,
    "set by a mask": lambda x: set_by_mask(x + 0),
    "floor": lambda x: x // 0.05,
    "threshold": lambda x: F.threshold(x, 0.1, -0.2),
}
# ... and as other steps.
OTHERS = {
    "gate": lambda x: x * F.adaptive_avg_pool2d(x, 1).sigmoid(),
    "difference": lambda x: x - F.max_pool2d(x, 3, 1, 1),
    "reversed": lambda x: torch.rsub(x, x.mean(1, keepdim=True)),
    "alpha": lambda x: torch.add(F.relu(x), x.mean((2, 3), True), alpha=-2),
    "sum of a list": lambda x: sum([x, F.max_pool2d(x, 1)]),
    "sum": lambda x: x.sum((1, 2)),
    "mean of all": lambda x: x.mean((1, 2, 3), keepdim=True) + x,
    "mean of means": lambda x: x.mean(3).mean(2),
    "largest": lambda x: x.amax((2, 3)),
    "chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda x: torch.cat([F.relu(part) for part in x.split([1, 3], dim=1)], dim=-3),
    "stacks": lambda x: torch.dstack([torch.hstack([x, F.relu(x)]), torch.hstack([-x, x])]),
    "stack": lambda x: torch.stack([x, F.relu(x)], 2).flatten(1, 2),
    "shuffle": shuffled,
    "windows": windows,
    "slices": lambda x: x[:, :, ::2, 1:] + x[..., 1::2, :-1],
    "pixel": lambda x: x[:, :, 0, 0],
    "pixel shuffle": nn.PixelShuffle(2),
    "channel shuffle": nn.ChannelShuffle(2),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(size=(11, 5), mode="bilinear"),
    "sequence": lambda x: x.flatten(2).transpose(1, 2).mean(1),
    "largest along": lambda x: torch.cat(
        [x.max(1, True)[0], torch.min(x, dim=1).values[:, None]], 1
    ),
    "patches": lambda x: F.unfold(x, 3, padding=(1, 0), stride=2).mean(2),
    "patches of ones": lambda x: nn.Unfold(2, padding=1)(F.relu(x) + 1).mean(2),
    "windows along": lambda x: x.unfold(2, 4, 2).flatten(3),
    "unflatten": lambda x: nn.Unflatten(1, (2, 2))(x).mean(1),
    "pad around": nn.CircularPad2d(1),
    "corners": nn.UpsamplingBilinear2d(scale_factor=2),
    "zeros of its size": lambda x: torch.cat([x, torch.zeros(x.shape[0], 1, *x.shape[2:])], 1),
    "ones of its size": lambda x: torch.cat([x.new_ones((len(x), 1, 8, 8)), x], 1),
    "ones like it": lambda x: torch.cat([x, torch.ones_like(x[:, :1])], 1),
    "pad far away": lambda x: F.pad(torch.sigmoid(x), (1, 1, 1, 1), value=1.5),
    "pad below all": lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-1e9), 3, 1),
    "pad channels": lambda x: F.pad(x, (0, 0, 0, 0, 2, 2)),
    "pad with a number": lambda x: F.pad(x, (1, 0, 0, 1), value=0.5),
    "reflect": nn.ReflectionPad2d(2),
    "roll": lambda x: x.roll(1, 2).flip(3),
    "uneven pool": nn.AdaptiveAvgPool2d((3, 5)),
    "ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "uncounted": nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    "window of the image": lambda x: F.avg_pool2d(x, x.size()[2:]),
    "adaptive largest": nn.AdaptiveMaxPool2d(1),
    "transposed": nn.ConvTranspose2d(4, 3, 3, 2, 1, 1),
    "even": nn.Conv2d(4, 3, 2, padding="same", dilation=3),
    "mirrored": nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
    "line": lambda x: x.view(-1, 4 * SIZE * SIZE),
    "length": lambda x: x.view(len(x), -1),
    "float": lambda x: x.float().detach().contiguous() + 0,
    "constant map": lambda x: F.relu(x) + torch.linspace(0, 1, SIZE * SIZE).view(1, 1, SIZE, SIZE),
}


def network_with(name):
    way = {**TABLES, **OTHERS}[name]
    torch.manual_seed(1)
    layers = {"way": way} if isinstance(way, nn.Module) else {}
    function = (lambda net, x: net.way(net.conv(x))) if layers else lambda net, x: way(net.conv(x))
    return settled(Layers(function, conv=conv(), **layers), pictures(4, SIZE))


@pytest.mark.parametrize("name", [*TABLES, *OTHERS])
def test_operations(name, tmp_path):
    model = network_with(name)
    found = checked(model, pictures(4, SIZE), path=tmp_path / "n")
    if name in TABLES:
        assert kinds(found) == ["conv2d", "table"]
    other = pictures(3, SIZE, seed=1)
    assert found(other).shape == model(other).shape


@pytest.mark.parametrize("reach", [1.0, 20.0])
def test_a_table_is_the_function_of_every_code(reach):
    """Against FP64: the same code everywhere, within float32 of a tie."""
    model = Layers(lambda net, x: F.gelu(F.silu(x) * 2 - x.abs() ** 1.5)).eval()
    x = torch.linspace(-reach, reach, 1001).reshape(1, 1, 1, -1)
    found = quantized(model, x)
    (step,) = found.steps
    a, b = found.qparams[found.input_name], found.qparams[step.name]
    codes = torch.arange(256)
    y = model((codes - a.zero_point).double() * a.scale.double())
    expected = (y / b.scale.double() + int(b.zero_point)).round().clamp(0, 255)
    assert torch.equal(found.constants[step.name].double(), expected)


class Branching(nn.Module):
    """Optional arguments, branches and loops on shapes, a layer used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.line = conv(3, 3), nn.Linear(3, 5)

    def forward(self, x, mask=None, *, scale: float = 2.0):
        if mask is not None:
            x = x * mask
        if x.shape[-1] > 4 and x.dim() == 4 and isinstance(x, torch.Tensor):
            x = x * scale
        for _ in range(x.shape[1] - 1):
            x = F.relu(self.conv(x))
        n, _, h, w = x.shape
        x = x.reshape(n, -1, h * w).mean(-1)
        return {"logits": self.line(x), "features": [x, x.argmax(1)]}


def test_optional_arguments_branches_on_shapes_and_results_in_a_dictionary(tmp_path):
    torch.manual_seed(0)
    model, images = Branching().eval(), pictures(4, SIZE)
    found = quantized(model, images)
    save(found, tmp_path / "n")
    for network in (found, load(tmp_path / "n")):
        result, expected = network(images), model(images)
        assert result.keys() == expected.keys()
        assert sqnr(expected["logits"].detach(), result["logits"]) > 25
        assert result["features"][1].dtype == torch.int64


@pytest.mark.parametrize(
    "end",
    [
        lambda x: x.softmax(1),
        lambda x: F.log_softmax(x, dim=-1),
        lambda x: (x.softmax(1), x),
        lambda x: F.normalize(x, dim=1) * math.sqrt(2),
        nn.Softmax(dim=1),
    ],
)
def test_what_follows_the_last_layer_may_be_real(end, tmp_path):
    torch.manual_seed(0)
    layers = {"line": nn.Linear(3 * 16, 6)} | ({"end": end} if isinstance(end, nn.Module) else {})
    forward = (lambda net, x: net.end(net.line(x))) if "end" in layers else None
    model = Layers(forward or (lambda net, x: end(net.line(x))), **layers)
    model = nn.Sequential(nn.Flatten(), model).eval()
    found = quantized(model, pictures(8, 4))
    save(found, tmp_path / "n")
    expected, result = model(pictures(8, 4)), load(tmp_path / "n")(pictures(8, 4))
    pairs = (
        zip(expected, result, strict=True) if isinstance(expected, tuple) else [(expected, result)]
    )
    for real, integers in pairs:
        assert sqnr(real.detach(), integers) > 25


def test_several_inputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(), conv(1)

        def forward(self, left, right):
            return F.relu(self.a(left)) + self.b(right)

    torch.manual_seed(0)
    left, right = pictures(2, SIZE), torch.rand(2, 1, SIZE, SIZE)
    found = checked(Two().eval(), left, right, path=tmp_path / "n")
    assert found.input_names == ("left", "right")
    with pytest.raises(TypeError, match="got 1 inputs; expected left, right"):
        found(left)
    named = quantize_model(Two().eval(), [{"right": right, "left": left, "y": 1}])
    assert named(left, right).shape == (2, 4, SIZE, SIZE)


def test_batches_in_all_forms():
    torch.manual_seed(0)
    model, images = nn.Sequential(conv(), nn.ReLU()).eval(), pictures(6, SIZE)
    labels = torch.arange(6)
    forms = [
        [images],
        images,
        [(images, labels)],
        [[images, labels]],
        [{"image": images, "label": labels}],
        [((images,), labels)],
        TensorDataset(images, labels),
        DataLoader(TensorDataset(images, labels), batch_size=6),
        (batch for batch in [images]),
    ]
    scales = {float(quantize_model(model, form).qparams["_1"].scale) for form in forms}
    assert len(scales) == 1
    for wrong, error, message in (
        ([], ValueError, "is empty"),
        (3, TypeError, "batches is of type int"),
        ([3], TypeError, "a batch is of type int"),
        ([("a", "b")], TypeError, "a batch holds str"),
        ([{"label": labels}], TypeError, "a batch holds nothing"),
    ):
        with pytest.raises(error, match=message):
            quantize_model(model, wrong)


class Hooked(nn.Sequential):
    pass


def test_hooks_are_part_of_the_network():
    torch.manual_seed(0)
    model = Hooked(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIZE * SIZE, 5)).eval()
    model.register_forward_pre_hook(lambda net, inputs: ((inputs[0] - 0.5) / 0.2,))
    model[0].register_forward_hook(lambda layer, inputs, output: 2 * output)
    model[3].register_forward_pre_hook(lambda layer, inputs: (inputs[0].clamp(max=1),))
    model.register_forward_hook(lambda net, inputs, output: output + 1)
    checked(model, pictures(2, SIZE))
    assert type(model) is Hooked
    assert "forward" not in vars(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: torch.nn.utils.weight_norm(layer),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        lambda layer: torch.nn.utils.spectral_norm(layer),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_that_are_computed_before_each_call_are_baked_in(change):
    torch.manual_seed(0)
    model = settled(nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()))
    change(model[0])
    model.eval()
    kind, images = type(model[0]), pictures(2, SIZE)
    before = model(images)
    checked(model, images)
    assert type(model[0]) is kind
    assert torch.equal(model(images), before)


def aliased(net, x):
    y = net.conv(x)
    flat = y.view(len(y), -1)
    y.relu_()
    return flat + y.flatten(1)


def view_overwritten(net, x):
    y = net.conv(x)
    y[:, :1].mul_(3)
    return y


def moving(net, x):
    net.count += 1
    return net.conv(x) * float(net.count)


def noisy(net, x):
    return net.conv(x) + torch.rand(())


def per_batch(net, x):
    return net.conv(x * x.shape[0] ** 0.5)


def cascade(net, x):
    return sum(net.conv(x)[i] for i in range(x.size(0)))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            aliased,
            r"'relu_' \(test_ptq_any_network.py, line \d+\) overwrites 'conv', .*'view' shares",
        ),
        (view_overwritten, "'mul_' .* overwrites 'getitem'"),
        (moving, "traced and folded, the network is .* off"),
        (noisy, "traced and folded, the network is .* off"),
        (per_batch, "depends on the size of the images"),
        (cascade, "on 2 images of the first batch"),
    ],
)
def test_what_tracing_would_lose_is_refused(forward, message):
    torch.manual_seed(0)
    model = Layers(forward, conv=conv()).eval()
    model.count = 1
    with pytest.raises(ValueError, match=message):
        quantized(model, pictures(4, SIZE))


def test_a_norm_of_sequences_is_not_folded_into_their_channels():
    torch.manual_seed(0)
    x = torch.randn(4, 6, 6)
    model = settled(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), x)
    assert kinds(checked(model, x)) == ["linear", "table"]
    vectors = settled(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), x[:, 0])
    assert kinds(checked(vectors, x[:, 0])) == ["linear"]


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.norm(x[:, :1]),
        lambda net, x: net.norm(x.mean(1, keepdim=True).relu()).relu(),
        lambda net, x: net.norm((x * torch.linspace(0.5, 1, SIZE))[:, :1] * 2),
    ],
)
def test_a_norm_of_one_channel(function):
    torch.manual_seed(0)
    model = Layers(function, norm=nn.BatchNorm2d(1))
    checked(settled(model, pictures(4, SIZE)), pictures(4, SIZE))


def test_constants_along_two_axes_are_two_tables():
    torch.manual_seed(0)
    row = torch.linspace(0.5, 1, SIZE)
    model = Layers(lambda net, x: net.norm((x * row).relu() + 0.1), norm=nn.BatchNorm2d(3))
    model = settled(model, pictures(4, SIZE))
    assert kinds(checked(model, pictures(4, SIZE))) == ["table", "table"]
    model = Layers(lambda net, x: torch.max(net.norm(x), 0.1 * x), norm=nn.BatchNorm2d(3))
    model = settled(model, pictures(4, SIZE))
    assert kinds(checked(model, pictures(4, SIZE))) == ["table"]


def test_constants_behind_a_layer_are_folded_into_it():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("weight", "bias", "mean", "var"):
                self.register_buffer(name, torch.rand(4) + 0.5)

        def forward(self, x):
            scale = self.weight * (self.var + 1e-5).rsqrt()
            shift = self.bias - self.mean * scale
            return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    torch.manual_seed(0)
    model = nn.Sequential(conv(), Frozen(), nn.ReLU()).eval()
    assert kinds(checked(model, pictures(2, SIZE))) == ["conv2d"]


@pytest.mark.parametrize("inner", [nn.SyncBatchNorm(4), nn.BatchNorm2d(4), nn.Hardtanh(0, 6)])
def test_other_spellings_are_joined_to_a_layer(inner):
    torch.manual_seed(0)
    model = settled(nn.Sequential(conv(), inner), pictures(4, SIZE))
    assert kinds(checked(model, pictures(4, SIZE))) == ["conv2d"]


def test_sequences(tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv1d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm1d(8), nn.ReLU()]
    layers += [nn.Conv1d(8, 8, 3, groups=8), nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(1)]
    x = torch.randn(4, 3, 40)
    model = settled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3)), x)
    found = checked(model, x, path=tmp_path / "n")
    assert kinds(found)[:3] == ["conv1d", "conv1d", "max_pool"]


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_wrapped_networks_are_unwrapped(wrap):
    torch.manual_seed(0)
    model = nn.Sequential(conv(), nn.ReLU()).eval()
    wrapped = wrap(model)
    found = quantize_model(wrapped.eval(), [pictures(2, SIZE)])
    assert torch.equal(
        found(pictures(2, SIZE)), quantize_model(model, [pictures(2, SIZE)])(pictures(2, SIZE))
    )
