"""A network as a C program gives the integers of the network, code for code."""

import pytest
import torch
from c_programs import Network, differing, export_all, library
from other_networks import pictures
from test_ptq_any_network import OTHERS, SIZE, TABLES, network_with, quantized

from labkit import zoo
from labkit.device import build, export_c, find_compiler, input_table
from labkit.ptq import quantize_model
from labkit.qparams import Scheme

pytestmark = pytest.mark.slow
COMPILER = find_compiler()
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def calibration():
    return zoo.load_data("fashion_mnist", "calibration")[0][:64]


@pytest.fixture(scope="module")
def integers(calibration):
    return {
        name: quantize_model(zoo.load_model(name), [calibration], observer="minmax")
        for name in zoo.MODELS
    }


def bytes_of(images):
    """What a camera would have given, [N, height, width, channels]."""
    pixels = ((images * zoo.STD + zoo.MEAN) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).numpy()


@needs_compiler
@pytest.mark.parametrize("name", zoo.MODELS)
def test_bytes_of_a_camera_give_the_codes_of_the_network(name, integers, tmp_path):
    model = integers[name]
    table = input_table(zoo.MEAN, zoo.STD, model.qparams[model.input_name])
    exported = export_c(model, tmp_path, table=table)
    program = build(tmp_path)
    images = zoo.load_data("fashion_mnist", "test")[0][:20]
    codes = program(bytes_of(images))
    expected = model.using("fixed").codes(images).numpy()
    assert (codes == expected).all()
    assert (program.classes(codes) == expected.argmax(1)).all()
    best = expected.astype(int)
    best.sort(1)
    assert (program.margins(codes) == best[:, -1] - best[:, -2]).all()
    assert exported.arena == program.sizes["ARENA"]


@needs_compiler
def test_every_operation(tmp_path):
    networks = {
        f"net{i}": Network(
            quantized(network_with(name), pictures(4, SIZE)), pictures(2, SIZE, seed=1)
        )
        for i, name in enumerate([*TABLES, *OTHERS])
    }
    loaded = library(export_all(networks, tmp_path), tmp_path / "all.so", COMPILER, "-O0")
    assert [name for name in networks if differing(loaded, name, networks[name])] == []


@needs_compiler
@pytest.mark.parametrize(
    "settings",
    [
        {"weight_scheme": Scheme(4)},
        {"weight_scheme": Scheme(2, signed=False), "activation_scheme": Scheme(5)},
        {"weight_scheme": Scheme(8, signed=False), "per_channel": False},
        {"weight_scheme": Scheme(3, symmetric=True), "activation_scheme": Scheme(8, narrow=True)},
    ],
    ids=["affine 4-bit", "2-bit", "unsigned", "3-bit and narrow"],
)
def test_weights_and_activations_of_all_widths(settings, calibration, tmp_path):
    networks = {
        name: Network(
            quantize_model(zoo.load_model(name), [calibration], observer="minmax", **settings),
            calibration[:2],
        )
        for name in zoo.MODELS
    }
    loaded = library(export_all(networks, tmp_path), tmp_path / "all.so", COMPILER, "-O2")
    assert [name for name in networks if differing(loaded, name, networks[name])] == []
