"""What is exported runs in ONNX Runtime, and gives the same classes."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from labkit import zoo
from labkit.ptq import export_onnx, quantize_model
from labkit.qparams import Scheme

IMAGES = 2_000


@pytest.fixture(scope="module")
def images():
    return zoo.load_data("fashion_mnist", "test")[0][:IMAGES]


@pytest.fixture(scope="module")
def batches():
    return zoo.load_data("fashion_mnist", "calibration")[0][:128].split(64)


def logits_of(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: b.numpy()})[0] for b in images.split(500)])


def ours(model, images):
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in images.split(500)]).numpy()


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
