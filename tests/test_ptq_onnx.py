"""What is exported runs in ONNX Runtime and gives the same classes, on every processor."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import saturating_runtime
import torch
from other_networks import pictures
from test_ptq_any_network import OTHERS, SIZE, TABLES, network_with
from torch import nn

from labkit import zoo
from labkit.ptq import export_onnx, quantize_model
from labkit.qparams import Scheme

pytestmark = pytest.mark.slow

IMAGES = 1_000


@pytest.fixture(scope="module")
def images():
    return zoo.load_data("fashion_mnist", "test")[0][:IMAGES]


@pytest.fixture(scope="module")
def batches():
    return zoo.load_data("fashion_mnist", "calibration")[0][:128].split(64)


def session_of(path, **settings):
    options = onnxruntime.SessionOptions()
    for name, value in settings.items():
        setattr(options, name, str(value))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def logits_of(path, images):
    session = session_of(path)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: b.numpy()})[0] for b in images.split(500)])


def ours(model, images):
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in images.split(500)]).numpy()


def steps_between(model, found, expected):
    """Return by how many steps of the logits' grid two results differ, at most."""
    return np.abs(found - expected).max() / float(model.qparams[model.steps[-1].name].scale)


@pytest.mark.parametrize("name", zoo.MODELS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation_scheme": Scheme(7, signed=False)},
        {"weight_scheme": Scheme(4), "activation_scheme": Scheme(8, symmetric=True)},
        {"per_channel": False},
    ],
    ids=["default", "7-bit", "affine 4-bit weights", "per tensor"],
)
def test_the_same_classes_come_out(name, settings, images, batches, tmp_path):
    model = quantize_model(zoo.load_model(name), batches, **settings)
    size = export_onnx(model, tmp_path / "network.onnx")
    assert size == (tmp_path / "network.onnx").stat().st_size
    found, expected = logits_of(tmp_path / "network.onnx", images), ours(model, images)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.999
    # They lie on one grid, and differ where a runtime rounds a tie the other way.
    step = float(model.qparams[model.steps[-1].name].scale)
    steps = np.abs(found - expected) / step
    assert np.abs(steps - steps.round()).max() < 1e-3
    assert (steps > 0.5).mean() < 0.05


class Shapes(nn.Module):
    """Every kind of step that the networks of the zoo lack."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.conv = nn.Conv2d(2, 8, 3, stride=2)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.largest, self.average = nn.MaxPool2d(2), nn.AvgPool2d(3, 1, padding=1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.conv(self.pad(x)))
        x = self.average(self.largest(torch.cat([self.left(x), self.right(x)], 1)))
        return self.fc(nn.functional.relu6(x + x).mean((2, 3)))


def test_every_kind_of_step(tmp_path):
    torch.manual_seed(0)
    x = torch.randn(64, 2, 16, 16)
    model = quantize_model(Shapes().eval(), x.split(32))
    kinds = {"pad", "conv2d", "concatenate", "max_pool", "average_pool", "add", "linear"}
    assert kinds <= {step.kind for step in model.steps}
    export_onnx(model, tmp_path / "network.onnx", image_shape=(2, 16, 16))
    found, expected = logits_of(tmp_path / "network.onnx", x), ours(model, x)
    step = float(model.qparams[model.steps[-1].name].scale)
    assert np.abs(found - expected).max() <= 2.01 * step
    assert (np.abs(found - expected) < step / 2).mean() > 0.9


def test_the_file_is_integer_between_the_layers(batches, tmp_path):
    model = quantize_model(zoo.load_model("resnet"), batches)
    export_onnx(model, tmp_path / "network.onnx")
    graph = onnx.load(tmp_path / "network.onnx").graph
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert {makers[name].op_type for name in node.input} == {"DequantizeLinear"}


def test_another_thing_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match="model is of type ResNet; expected QuantizedModel"):
        export_onnx(zoo.load_model("resnet"), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnx_it_says_what_to_install(monkeypatch, batches, tmp_path):
    model = quantize_model(zoo.load_model("mobilenet"), batches)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install labkit\[onnx\]"):
        export_onnx(model, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


# Processors with AVX2 and no VNNI, which add pairs of uint8 times int8 in int16.


def adding_up():
    """Return a network whose sums do not cancel: no two products, and not the whole."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU()]
    layers += [nn.Conv2d(8, 8, 3, groups=8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    for layer in model:
        if hasattr(layer, "weight"):
            layer.weight.data.abs_()
    return model.eval()


NETWORKS = {"sums that add up": adding_up, **{n: lambda n=n: zoo.load_model(n) for n in zoo.MODELS}}
SETTINGS = {
    "default": {},
    "signed activations": {"activation_scheme": Scheme(8, symmetric=True)},
    "affine weights": {"weight_scheme": Scheme(8)},
    "per tensor": {"per_channel": False},
}


@pytest.fixture(scope="module")
def exported(images, tmp_path_factory):
    """Export a network under each kind of settings; return it, the file and its images."""
    made = {}

    def export(name, settings, **how):
        if (name, settings) not in made:
            x = images[:8] if name in zoo.MODELS else torch.rand(8, 3, 12, 12)
            chosen = {"observer": "minmax", "weight_method": "minmax", **SETTINGS[settings]}
            made[name, settings] = quantize_model(NETWORKS[name](), [x], **chosen), x
        model, x = made[name, settings]
        path = tmp_path_factory.mktemp("exported") / "network.onnx"
        export_onnx(model, path, tuple(x.shape[1:]), **how)
        return model, path, x

    return export


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_saturates_there(name, settings, exported):
    model, path, x = exported(name, settings)
    file = onnx.load(path)
    there, exact = (saturating_runtime.run(file, x.numpy(), pairs) for pairs in (True, False))
    assert np.array_equal(there, exact)
    assert steps_between(model, exact, ours(model, x)) < 1.01


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_weights_would_have_saturated(name, exported):
    model, path, x = exported(name, "default")
    other = saturating_runtime.with_int8_weights(onnx.load(path))
    there, exact = (saturating_runtime.run(other, x.numpy(), pairs) for pairs in (True, False))
    assert steps_between(model, exact, ours(model, x)) < 1.01
    assert steps_between(model, there, exact) > 5


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_runtime_leaves_all_products_unsigned(name, settings, exported, tmp_path):
    _, path, _ = exported(name, settings)
    # The last optimizations only lay out memory anew, in operators of the runtime's own.
    session_of(path, optimized_model_filepath=tmp_path / "optimized.onnx")
    graph = onnx.load(tmp_path / "optimized.onnx").graph
    assert onnx.TensorProto.INT8 not in {tensor.data_type for tensor in graph.initializer}
    kinds = [node.op_type for node in graph.node]
    assert "QLinearConv" in kinds
    assert "QGemm" in kinds


@pytest.mark.parametrize(
    "bits",
    [
        {"weight_scheme": Scheme(7, symmetric=True)},
        {"weight_scheme": Scheme(4)},
        {"activation_scheme": Scheme(7, signed=False)},
        {"activation_scheme": Scheme(7, symmetric=True)},
    ],
    ids=["7-bit weights", "affine 4-bit weights", "7-bit inputs", "signed 7-bit inputs"],
)
def test_int8_weights_where_7_bits_keep_them_safe(bits, tmp_path):
    x = torch.rand(8, 3, 12, 12)
    model = quantize_model(adding_up(), [x], observer="minmax", weight_method="minmax", **bits)
    export_onnx(model, tmp_path / "network.onnx", (3, 12, 12), weights="int8")
    file = onnx.load(tmp_path / "network.onnx")
    kinds = {t.data_type for t in file.graph.initializer if t.name.endswith(".weight.codes")}
    assert kinds == {onnx.TensorProto.INT8}
    # Inputs that calibration has not seen, up to the ends of every grid.
    there, exact = (saturating_runtime.run(file, 3 * x.numpy(), pairs) for pairs in (True, False))
    assert np.array_equal(there, exact)
    assert steps_between(model, exact, ours(model, 3 * x)) < 1.01
    assert steps_between(model, logits_of(tmp_path / "network.onnx", 3 * x), exact) < 1.01


def test_int8_weights_that_could_saturate_are_refused(exported):
    with pytest.raises(ValueError, match=r"step '_1'.*reach 127 steps.*255.*weights='uint8'"):
        exported("sums that add up", "default", weights="int8")
    with pytest.raises(ValueError, match="weights is 'uint7'; expected one of 'uint8', 'int8'"):
        exported("sums that add up", "default", weights="uint7")


# Shapes and ranks.


def agreeing(model, x, tmp_path):
    """Export a float network's integers; return the session, after comparing its results."""
    quantized = quantize_model(model.eval(), [x])
    export_onnx(quantized, tmp_path / "network.onnx", tuple(x.shape[1:]))
    for batch in (x, x[:1]):
        found = logits_of(tmp_path / "network.onnx", batch)
        assert found.shape == tuple(quantized(batch).shape)
        assert steps_between(quantized, found, ours(quantized, batch)) < 1.01
    return session_of(tmp_path / "network.onnx")


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_on_rows_of_rows(bias, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16, bias), nn.ReLU(), nn.Linear(16, 5, bias))
    session = agreeing(model, torch.randn(8, 7, 12), tmp_path)
    assert session.get_inputs()[0].shape == ["N", 7, 12]
    assert session.get_outputs()[0].shape == ["N", 7, 5]


def test_linear_layers_alone(tmp_path):
    torch.manual_seed(0)
    session = agreeing(nn.Sequential(nn.Linear(12, 16), nn.ReLU6()), torch.randn(8, 12), tmp_path)
    assert session.get_outputs()[0].shape == ["N", 16]


def test_a_map_comes_out(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d((3, 2)), nn.Conv2d(4, 5, 1))
    session = agreeing(model, torch.randn(8, 2, 8, 8), tmp_path)
    assert session.get_outputs()[0].shape == ["N", 5, 3, 2]


def test_images_that_do_not_fit_are_refused_and_nothing_is_written(batches, tmp_path):
    model = quantize_model(zoo.load_model("resnet"), batches)
    with pytest.raises(ValueError, match=r"image_shape is \(3, 28, 28\).*does not fit.*expected"):
        export_onnx(model, tmp_path / "network.onnx", (3, 28, 28))
    assert not list(tmp_path.iterdir())


class Mixing(nn.Module):
    """Puts channels before images."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).transpose(0, 1)


@pytest.mark.parametrize("name", [*TABLES, *OTHERS])
def test_what_is_no_layer_is_exported_too(name, tmp_path):
    model, path = network_with(name), tmp_path / "n.onnx"
    with torch.no_grad():
        quantized = quantize_model(model, [pictures(4, SIZE)], observer="minmax")
    images = pictures(3, SIZE, seed=2)
    export_onnx(quantized, path, (3, SIZE, SIZE))
    found, expected = logits_of(path, images), quantized(images).numpy()
    assert found.shape == expected.shape
    assert steps_between(quantized, found, expected) <= 1.01
    assert np.mean(found != expected) < 0.01


class Several(nn.Module):
    """Two inputs, a parameter that is repeated for each image, and results in a dictionary."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(1, 4, 1)
        self.token = nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, left, right):
        x = self.a(left) * self.b(right).sigmoid()
        rows = x.flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(x), -1, -1), rows], 1)
        return {"rows": rows, "maps": [x, x.cumsum(1)]}


def test_several_inputs_and_results(tmp_path):
    torch.manual_seed(0)
    left, right = pictures(3, SIZE), torch.rand(3, 1, SIZE, SIZE)
    quantized = quantize_model(Several().eval(), [(left, right)], observer="minmax")
    shapes = [(3, SIZE, SIZE), (1, SIZE, SIZE)]
    export_onnx(quantized, tmp_path / "n", shapes)
    session = session_of(tmp_path / "n")
    assert [given.name for given in session.get_inputs()] == ["left", "right"]
    assert [found.name for found in session.get_outputs()] == ["rows", "maps.0", "maps.1"]
    for images in (1, 3):
        x = {"left": left[:images].numpy(), "right": right[:images].numpy()}
        expected = quantized(left[:images], right[:images])
        expected = [expected["rows"], *expected["maps"]]
        for result, found in zip(expected, session.run(None, x), strict=True):
            assert found.shape == tuple(result.shape)
            assert np.abs(found - result.numpy()).max() < 0.1
    with pytest.raises(ValueError, match="for 1 inputs; expected the sizes of each of left, right"):
        export_onnx(quantized, tmp_path / "m", (3, SIZE, SIZE))
    assert not (tmp_path / "m").exists()


def test_a_sum_along_the_channels_is_no_window(tmp_path):
    """Found by random networks: what goes along channels was written as one channel's windows."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Along()).eval()
    agreeing(model, pictures(4, SIZE), tmp_path)


class Along(nn.Module):
    def forward(self, x):
        return x.cumsum(1).flatten(2)


def test_what_has_no_place_in_the_file_is_named(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Softmax(1)).eval()
    with pytest.raises(ValueError, match=r"step '_2\.real' computes with real numbers"):
        export_onnx(quantize_model(model, torch.rand(4, 3, 2, 2)), tmp_path / "n", (3, 2, 2))
    quantized = quantize_model(Mixing().eval(), [pictures(2, SIZE)])
    with pytest.raises(ValueError, match="'transpose' mixes the images of a batch"):
        export_onnx(quantized, tmp_path / "n", (3, SIZE, SIZE))
    assert not (tmp_path / "n").exists()


class OfOneName(nn.Module):
    """Returns what has the name of an input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return {"images": self.conv(images)}


def test_an_input_and_a_result_of_one_name(tmp_path):
    x = pictures(2, SIZE)
    found = quantize_model(OfOneName().eval(), [x], observer="minmax")
    export_onnx(found, tmp_path / "n.onnx", x.shape[1:])
    session = session_of(tmp_path / "n.onnx")
    assert [output.name for output in session.get_outputs()] == ["images.result"]
    assert np.allclose(session.run(None, {"images": x.numpy()})[0], found(x)["images"])


# The very integers.


@pytest.mark.parametrize("name", [*TABLES, *OTHERS])
def test_an_exact_file_gives_the_very_integers(name, tmp_path):
    path, images = tmp_path / "n.onnx", pictures(3, SIZE, seed=2)
    with torch.no_grad():
        quantized = quantize_model(network_with(name), [pictures(4, SIZE)], observer="minmax")
    export_onnx(quantized, path, (3, SIZE, SIZE), exact=True)
    assert np.array_equal(logits_of(path, images), quantized(images).numpy())


@pytest.mark.parametrize("settings", ["default", "signed activations", "per tensor"])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_exact_file_needs_no_luck_with_ties(name, settings, exported):
    model, path, x = exported(name, settings, exact=True)
    assert np.array_equal(logits_of(path, x), ours(model, x))


def test_exact_files_of_sequences_and_of_rows(tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv1d(3, 8, 5, 2, 2), nn.ReLU6(), nn.AvgPool1d(2), nn.Linear(5, 4)]
    model, x = nn.Sequential(*layers).eval(), torch.randn(4, 3, 20)
    quantized = quantize_model(model, [x], activation_scheme=Scheme(7))
    export_onnx(quantized, tmp_path / "n.onnx", (3, 20), exact=True)
    assert np.array_equal(logits_of(tmp_path / "n.onnx", x), quantized(x).numpy())


def test_what_cannot_be_exact_is_refused(exported):
    with pytest.raises(ValueError, match=r"step '.*': its weights have several zero points"):
        exported("mobilenet", "affine weights", exact=True)
    model, path, _ = exported("sums that add up", "default")
    with pytest.raises(ValueError, match=r"requantizes by 'fixed'; expected 'float'"):
        export_onnx(model.using("fixed"), path, (3, 12, 12), exact=True)
