"""Classification networks from the literature go through: integers, or integers with islands."""

import functools

import numpy as np
import onnxruntime
import pytest
import torch
from fake_quantized import compare
from networks import NETWORKS, WITH_ISLANDS
from other_networks import pictures, settled, sqnr

from labkit.ptq import (
    costs,
    explain,
    export_onnx,
    fold_batchnorm,
    load,
    lower,
    quantize_model,
    save,
)
from labkit.ptq.plan import UNQUANTIZED
from labkit.qat import convert, prepare
from labkit.qparams import Scheme

pytestmark = pytest.mark.slow

SIZE = {True: 32, False: 64}  # of the images, with islands and without


@functools.cache
def network(name):
    torch.manual_seed(0)
    make = {**NETWORKS, **WITH_ISLANDS}[name]
    return settled(make().eval(), pictures(4, SIZE[name in WITH_ISLANDS]))


@functools.cache
def quantized(name):
    batches = [pictures(8, SIZE[name in WITH_ISLANDS])]
    options = {"observer": "minmax", "weight_method": "minmax"}
    return quantize_model(network(name), batches, islands=name in WITH_ISLANDS, **options)


@pytest.mark.parametrize("name", [*NETWORKS, *WITH_ISLANDS])
def test_a_network_loses_little_and_both_backends_agree(name, tmp_path):
    found, images = quantized(name), pictures(2, SIZE[name in WITH_ISLANDS], seed=1)
    with torch.no_grad():
        assert sqnr(network(name)(images), found(images)) > 20
    reference = found.using(backend="reference")
    assert torch.equal(found(images), reference(images))
    save(found, tmp_path / "n")
    assert torch.equal(load(tmp_path / "n")(images), found(images))
    real = [step for step in found.steps if step.kind in UNQUANTIZED and step.kind != "number"]
    assert bool(real) == (name in WITH_ISLANDS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_runs_in_onnx_runtime_and_says_the_same_class(name, tmp_path):
    found, images = quantized(name), pictures(200, SIZE[False], seed=2)
    export_onnx(found, tmp_path / "n.onnx", (3, SIZE[False], SIZE[False]))
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        here = torch.cat([found(batch) for batch in images.split(50)])
    there = [session.run(None, {"images": batch.numpy()})[0] for batch in images.split(50)]
    there = torch.from_numpy(np.concatenate(there))
    assert sqnr(here, there) > 35
    assert (here.argmax(1) == there.argmax(1)).double().mean() >= 0.995
    # Random weights prefer one class for all images: without the mean, all classes come about.
    one, two = (logits - here.mean(0) for logits in (here, there))
    places = one.argmax(1), two.argmax(1)
    other = places[0] != places[1]
    gaps = [one.gather(1, place[:, None])[other, 0] for place in places]
    step = float(found.qparams[found.outputs].scale)
    assert len(places[0].unique()) > 2
    assert ((gaps[0] - gaps[1]) < 2.01 * step).all()  # a tie between two classes


@pytest.mark.parametrize("name", WITH_ISLANDS)
def test_islands_have_no_place_in_an_onnx_file(name, tmp_path):
    with pytest.raises(ValueError, match=r"step '\w+\.real' computes with real numbers.*islands"):
        export_onnx(quantized(name), tmp_path / "n.onnx", (3, SIZE[True], SIZE[True]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_code_is_that_of_fake_quantization_in_float64(name):
    images = pictures(2, SIZE[False], seed=1)
    compared = compare(network(name), quantized(name), (images,))
    assert {"input", "conv2d"} <= {tensor.kind for tensor in compared}
    assert not [tensor for tensor in compared if tensor.wrong]
    assert sum(t.ties for t in compared) < 1e-3 * sum(t.codes for t in compared)


@pytest.mark.parametrize("name", WITH_ISLANDS)
def test_islands_are_off_unless_asked_for_and_are_named(name):
    model, images = network(name), pictures(2, SIZE[True])
    with pytest.raises(ValueError, match=r"cannot quantize node .*islands=True"):
        quantize_model(model, [images])
    fates = {row.fate for row in explain(model, [images])}
    assert {"integer", "refused"} <= fates
    rows = explain(model, [images], islands=True)
    islands = [row for row in rows if row.fate == "island"]
    assert "refused" not in {row.fate for row in rows}
    assert any("transformers.py, line" in row.line or row.operation for row in islands)
    found = costs(quantized(name), images, repeats=1)
    assert sum(cost.time_share for cost in found) == pytest.approx(1)
    assert sum(cost.operations_share for cost in found) == pytest.approx(1)
    assert 0 < sum(cost.operations_share for cost in found if cost.real) < 0.5


def test_a_skipped_module_stays_real():
    model, images = network("resnet18"), pictures(2, SIZE[False])
    options = {"observer": "minmax", "weight_method": "minmax"}
    found = quantize_model(model, [images], skip=["classifier"], **options)
    assert found.steps[-1].kind == "real"
    assert "classifier" not in found.weights
    _, steps = lower(fold_batchnorm(model), skip=["features.2.block.0"])
    assert {"dequantize", "quantize"} <= {step.kind for step in steps}


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x1_0", "densenet121"])
def test_tables_products_and_moves_are_trained_and_converted(name):
    weights, activations = Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False)
    prepared, images = prepare(network(name), weights, activations), pictures(2, SIZE[False])
    prepared(images).sum().backward()
    prepared.eval()
    with torch.no_grad():
        # Not moved by a batch: neither what is folded nor what has nothing to be folded into.
        assert sqnr(network(name)(images), prepared(images)) > 25
        assert sqnr(prepared(images), convert(prepared)(images)) > 40
