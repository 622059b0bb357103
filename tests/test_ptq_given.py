"""What is no network to quantize is refused by name, and what is one is taken however wrapped."""

import math

import pytest
import torch
from torch import nn

from labkit.linear import Scheme
from labkit.ptq import (
    explain,
    fold_batchnorm,
    measure,
    quantize_model,
    sensitivity,
    weight_only,
)
from labkit.qat import prepare

W, A = Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False)
IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4) % 3
DOORS = {
    "quantize_model": lambda model: quantize_model(model, [IMAGES]),
    "explain": lambda model: explain(model, [IMAGES]),
    "fold_batchnorm": fold_batchnorm,
    "prepare": lambda model: prepare(model, W, A),
    "sensitivity": lambda model: sensitivity(model, [IMAGES], IMAGES, LABELS, W, A),
    "weight_only": lambda model: weight_only(model, W),
}


def network():
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *head).eval()


def with_part(part):
    return nn.Sequential(nn.Conv2d(3, 3, 1), part).eval()


UNREADABLE = {
    "it is scripted or traced": lambda: torch.jit.script(network()),
    "it is scripted or traced (torch.jit)": lambda: torch.jit.trace(network(), IMAGES),
    "its part '1' is scripted": lambda: with_part(torch.jit.script(nn.Conv2d(3, 3, 1))),
    "it is exported": lambda: torch.export.export(network(), (IMAGES,)).module(),
    "it is a QuantizedModel": lambda: quantize_model(network(), [IMAGES]),
    "its part '1' is a QuantizedModel": lambda: with_part(quantize_model(network(), [IMAGES])),
}


@pytest.fixture(scope="module")
def unreadable():
    return {what: make() for what, make in UNREADABLE.items()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("door", DOORS)
def test_what_cannot_be_read_is_refused_by_name(door, unreadable):
    for what, model in unreadable.items():
        with pytest.raises(TypeError, match=r"expected the float nn\.Module") as refusal:
            DOORS[door](model)
        assert what in str(refusal.value)
    for other in (lambda x: x, nn.ReLU):
        with pytest.raises(TypeError, match=r"model is of type .*; expected Module"):
            DOORS[door](other)


WRAPPED = {
    "compiled": lambda: torch.compile(network(), backend="eager"),
    "parallel": lambda: nn.DataParallel(network()),
    "both": lambda: nn.DataParallel(torch.compile(network(), backend="eager")),
    "inside": lambda: nn.Sequential(
        torch.compile(network(), backend="eager"), nn.DataParallel(nn.Identity())
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_wrapped_around_a_network_is_taken_off(name):
    wrapped = WRAPPED[name]().eval()
    assert torch.equal(quantize_model(wrapped, [IMAGES])(IMAGES), _integers()(IMAGES))
    with torch.no_grad():
        torch.testing.assert_close(fold_batchnorm(wrapped)(IMAGES), network()(IMAGES))
        assert torch.equal(weight_only(wrapped, W)(IMAGES), weight_only(network(), W)(IMAGES))
    assert prepare(wrapped, W, A)(IMAGES).shape == (4, 3)
    assert len(sensitivity(wrapped, [IMAGES], IMAGES, LABELS, W, A)) == 2
    assert explain(wrapped, [IMAGES])


def _integers():
    return quantize_model(network(), [IMAGES])


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        ("5", "weight", math.nan),
        ("0", "bias", math.inf),
        ("1", "weight", -math.inf),
        ("1", "running_var", math.nan),
    ],
)
@pytest.mark.parametrize("door", [door for door in DOORS if door != "weight_only"])
def test_nan_is_found_in_its_layer(door, layer, name, value):
    model = network()
    getattr(model.get_submodule(layer), name).data.view(-1)[1] = value
    wrong = rf"^{name} of layer '{layer}' .* has NaN or infinity in 1 of \d+ values"
    with pytest.raises(ValueError, match=wrong):
        DOORS[door](model)


def test_infinity_in_a_mask_is_none_of_its_business():
    class Masked(nn.Sequential):
        def forward(self, x):
            return super().forward(x)

    model = Masked(*network())
    model.register_buffer("mask", torch.full((2, 2), -math.inf))
    fold_batchnorm(model.eval())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "graph_of",
    [
        lambda model: torch.jit.trace(model, IMAGES),
        torch.jit.script,
        torch.fx.symbolic_trace,
        lambda model: torch.export.export(model, (IMAGES,)),
        lambda model: torch.jit.script(model.operations[0]),
    ],
    ids=["trace", "script", "fx", "export", "a layer"],
)
def test_a_quantized_network_says_what_to_do_instead_of_tracing(graph_of):
    integers = _integers()
    with pytest.raises(TypeError, match=r"cannot be traced.*ptq\.export_onnx.*ptq\.save"):
        graph_of(integers)
    assert integers(IMAGES).shape == (4, 3)


def test_sensitivity_takes_islands():
    torch.manual_seed(0)
    layers = [nn.Flatten(2), nn.Linear(36, 8), nn.LayerNorm(8), nn.Linear(8, 4), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(12, 3)).eval()
    with pytest.raises(ValueError, match="LayerNorm"):
        sensitivity(model, [IMAGES], IMAGES, LABELS, W, A)
    rows = sensitivity(model, [IMAGES], IMAGES, LABELS, W, A, islands=True)
    assert [row.layer for row in rows] == ["1", "3", "5"]
    assert all(20 < row.sqnr < math.inf for row in rows)


def test_a_name_in_skip_that_skips_nothing_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    for skip in (["fc"], ["1"]):  # there is none, and one that is folded
        with pytest.raises(ValueError, match=rf"skip names '{skip[0]}', .* expected some of 0, 2"):
            quantize_model(model, [IMAGES], skip=skip)
    with pytest.raises(TypeError, match=r"skip is '0'; expected a list of paths, \['0'\]"):
        quantize_model(model, [IMAGES], skip="0")


def test_what_gives_no_logits_has_no_accuracy():
    model = nn.Conv2d(3, 4, 3).eval()
    with pytest.raises(ValueError, match=r"gives \[4, 4, 4, 4\] .* expected logits"):
        sensitivity(model, [IMAGES], IMAGES, LABELS, W, A)
    with pytest.raises(TypeError, match=r"models is of type Conv2d; expected a mapping"):
        measure(model, IMAGES, LABELS)
