"""Networks as other people write them, in integers: both backends, nothing but integers inside."""

import copy
import functools
import pickle

import pytest
import torch
from other_networks import NETWORKS, SIZE, network, pictures, sqnr
from torch import nn

from labkit.ptq import QuantizedModel, Step, convert, fold_batchnorm, quantize_model
from labkit.qparams import QParams, Scheme

pytestmark = pytest.mark.slow

# (weights, activations, what else quantize_model is told)
SCHEMES = {
    "W8A8": (Scheme(8, symmetric=True), Scheme(8, signed=False), {}),
    "7 bits": (Scheme(8, symmetric=True, narrow=True), Scheme(7, signed=False), {}),
    "signed": (Scheme(8, symmetric=True), Scheme(8), {}),
    "symmetric": (Scheme(7, symmetric=True), Scheme(8, symmetric=True), {"end_bits": 8}),
    "unsigned": (Scheme(8, signed=False), Scheme(8, signed=False), {}),
    "affine": (Scheme(5), Scheme(6), {"weight_method": "minmax"}),
    "per tensor": (Scheme(6, symmetric=True), Scheme(5, signed=False), {"per_channel": False}),
    "W4A4": (Scheme(4, symmetric=True), Scheme(4, signed=False), {"end_bits": 8}),
    "W3A4": (Scheme(3, signed=False), Scheme(4), {"per_channel": False}),
    "W2A8": (Scheme(2), Scheme(8, signed=False), {"end_bits": 8}),
}


@functools.cache
def quantized(name: str) -> QuantizedModel:
    return quantize_model(network(name), [pictures(16), pictures(16, seed=3)])


@pytest.mark.parametrize("name", NETWORKS)
def test_other_peoples_networks_lose_little_and_both_backends_agree(name):
    model, images = quantized(name), pictures(8, seed=2)
    with torch.no_grad():
        real = network(name)(images)
    assert sqnr(real, model(images)) > 20
    for (one, q), (other, q_reference) in zip(
        model.tensors(images).items(),
        model.using(backend="reference").tensors(images).items(),
        strict=True,
    ):
        assert one == other
        assert torch.equal(q, q_reference), one


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["MobileNetV2", "functional"])
def test_every_scheme_gives_one_answer(name, scheme):
    weights, activations, more = SCHEMES[scheme]
    model = quantize_model(
        network(name), [pictures(4)], weights, activations, observer="minmax", **more
    )
    images = pictures(2, seed=2)
    tensors = model.tensors(images)
    for other, q in model.using(backend="reference").tensors(images).items():
        assert torch.equal(q, tensors[other]), other
    for tensor, q in tensors.items():
        scheme = model.qparams[tensor].scheme
        assert q.dtype == scheme.dtype
        assert scheme.qmin <= q.min()
        assert q.max() <= scheme.qmax
    first, last = model.qparams[model.input_name].scheme, model.qparams[model.steps[-1].name].scheme
    ends = max(activations.bits, more.get("end_bits", 0))
    assert first.bits == last.bits == ends
    layers = [w.qparams.scheme.bits for w in model.weights.values()]
    assert layers[0] == layers[-1] == max(weights.bits, more.get("end_bits", 0))
    assert set(layers[1:-1]) == {weights.bits}


@pytest.mark.parametrize("size", [SIZE, 33, (17, 30)])
@pytest.mark.parametrize("count", [1, 3])
def test_batches_and_images_of_other_sizes(count, size):
    for name in ("ResNet-18", "MobileNetV2", "Dense", "functional"):
        model, images = quantized(name), pictures(count, size, seed=5)
        logits = model(images)
        assert logits.shape == (count, 10)
        assert torch.equal(logits, model.using(backend="reference")(images))
        assert torch.equal(logits[:1], model(images[:1]))


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_float_passes_between_layers(name, backend):
    model = quantized(name) if backend == "torch" else quantized(name).using(backend="reference")
    model = copy.deepcopy(model)
    seen = []
    for operation in model.operations:
        operation.register_forward_hook(
            lambda _, inputs, output: seen.extend([*inputs, output]), always_call=True
        )
    model.tensors(pictures(2))
    assert len(seen) >= 2 * len(model.operations)
    assert {q.dtype for q in seen} == {torch.uint8}
    assert not list(model.parameters())


def test_forward_runs_what_tensors_shows(monkeypatch):
    """`forward` calls the kernels directly, without hooks: it too passes on nothing but codes."""
    images = pictures(2, seed=2)
    expected = quantized("ResNet-18").tensors(images)
    model, passed = copy.deepcopy(quantized("ResNet-18").using(backend="reference")), {}
    for step, operation in zip(model.steps, model.operations, strict=True):
        run = getattr(operation, "trusting", operation.forward)

        def recorded(*q_inputs, name=step.name, run=run):
            passed[name] = run(*q_inputs)
            return passed[name]

        monkeypatch.setattr(operation, run.__name__, recorded)
    assert model(images).dtype == torch.float32
    assert passed.keys() == expected.keys() - {model.input_name}
    for name, q in passed.items():
        assert q.dtype == torch.uint8
        assert torch.equal(q, expected[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_copies_compute_the_same(name):
    images = pictures(2, seed=4)
    expected = quantized(name)(images)
    for duplicate in (
        copy.deepcopy(quantized(name)),
        pickle.loads(pickle.dumps(quantized(name))),
    ):
        assert torch.equal(duplicate(images), expected)
        assert duplicate.operations[0] is not quantized(name).operations[0]


def test_images_have_channels_last_and_are_checked():
    model = quantized("VGG")
    assert model.quantize_input(pictures(2)).is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="finite"):
        model(torch.full((1, 3, SIZE, SIZE), torch.nan))
    with pytest.raises(TypeError, match="expected a floating-point tensor"):
        model(torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8))
    with pytest.raises(ValueError, match="is empty"):
        model(torch.zeros(0, 3, SIZE, SIZE))


def test_what_an_image_does_not_fit_is_named():
    for run in (quantized("MobileNetV2"), quantized("MobileNetV2").tensors):
        with pytest.raises(ValueError, match=r"'features_0_2' cannot take .*\[1, 1, 24, 24\]"):
            run(torch.zeros(1, 1, SIZE, SIZE))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 2)).eval()
    flat = quantize_model(model, [pictures(2, 4)])
    assert flat(pictures(2, 4)).shape == (2, 2)
    for run in (flat, flat.tensors, flat.using(backend="reference")):
        with pytest.raises(ValueError, match=r"'_1' cannot take codes of shape \[1, 75\]"):
            run(pictures(1, 5))


class Broadcast(nn.Module):
    def __init__(self, pooled_first: bool) -> None:
        super().__init__()
        self.conv, self.again, self.pooled_first = (
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(4, 4, 1),
            pooled_first,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        pooled = x.mean((2, 3), keepdim=True)
        return self.again(pooled) + x if self.pooled_first else self.again(x) + pooled


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("scheme", [Scheme(8), Scheme(8, signed=False)])
@pytest.mark.parametrize("pooled_first", [True, False])
def test_a_sum_may_repeat_its_operand(pooled_first, scheme, backend):
    torch.manual_seed(0)
    real = Broadcast(pooled_first).eval()
    model = quantize_model(real, [pictures(2)], activation_scheme=scheme, backend=backend)
    with torch.no_grad():
        assert sqnr(real(pictures(2)), model(pictures(2))) > 30


def small() -> tuple[nn.Module, dict[str, QParams], dict[str, QParams]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(16, 2)).eval()
    weight = Scheme(8, symmetric=True)
    code = Scheme(8, signed=False)
    return (
        model,
        {"0": QParams(0.01, 0, weight), "3": QParams(0.01, 0, weight)},
        {
            "input_1": QParams(0.05, 128, code),
            "_1": QParams(0.05, 0, code),
            "_3": QParams(0.1, 128, code),
        },
    )


def test_a_missing_grid_or_layer_is_named():
    model, weights, grids = small()
    folded = fold_batchnorm(model)
    with pytest.raises(ValueError, match=r"no grid for '_3' \(linear\)"):
        convert(folded, weights, {k: v for k, v in grids.items() if k != "_3"})
    with pytest.raises(ValueError, match=r"no grid for 'input_1' \(input\)"):
        convert(folded, weights, {k: v for k, v in grids.items() if k != "input_1"})
    with pytest.raises(ValueError, match="layer '3' has no QParams in weights"):
        convert(folded, {"0": weights["0"]}, grids)
    whole = convert(folded, weights, grids)
    with pytest.raises(ValueError, match="step '_3': there are no weights for layer '3'"):
        QuantizedModel("input_1", whole.steps, {"0": whole.weights["0"]}, grids)
    with pytest.raises(ValueError, match="step 'x': kind is 'sigmoid'"):
        QuantizedModel("input_1", [Step("x", "sigmoid", ("input_1",))], {}, whole.qparams)
    with pytest.raises(ValueError, match=r"step '_1'.*'fast'"):
        convert(folded, weights, grids, backend="fast")


def test_a_step_whose_input_comes_later_is_refused():
    model, weights, grids = small()
    whole = convert(fold_batchnorm(model), weights, grids)
    for steps in (whole.steps[::-1], whole.steps[1:], ()):
        with pytest.raises(ValueError, match="step"):
            QuantizedModel("input_1", steps, whole.weights, whole.qparams)


def test_the_backend_shows():
    assert "backend='torch'" in repr(quantized("VGG"))
