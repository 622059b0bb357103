"""A network as a C program gives the integers of the network, code for code, and cleanly."""

import re

import pytest
import torch
from c_programs import ALL, ZIG, Network, expected_codes, in_memory, random_networks, wrong_programs
from other_networks import pictures
from test_ptq_any_network import OTHERS, SIZE, TABLES, network_with, quantized
from torch import nn

from labkit import zoo
from labkit.device import build, export_c, find_compiler, input_table
from labkit.ptq import load, quantize_model, save
from labkit.qparams import Scheme

pytestmark = pytest.mark.slow
RANDOM = 200 if ALL else 40
COMPILER = find_compiler()
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
SANITIZED = ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def calibration():
    return zoo.load_data("fashion_mnist", "calibration")[0][:64]


@pytest.fixture(scope="module")
def integers(calibration):
    return {
        name: quantize_model(zoo.load_model(name), [calibration], observer="minmax")
        for name in zoo.MODELS
    }


@pytest.fixture(scope="module")
def networks(integers, calibration):
    """Every operation by itself, networks drawn at random, and those of the zoo."""
    names = [*TABLES, *OTHERS]
    operations = {
        f"operation{i}": Network(
            quantized(network_with(name), pictures(4, SIZE)), pictures(2, SIZE, seed=1)
        )
        for i, name in enumerate(names)
    }
    drawn = random_networks(RANDOM)
    trained = {name: Network(model, calibration[:2]) for name, model in integers.items()}
    return operations | drawn | trained


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
def test_both_backends_and_a_saved_file_give_the_integers_of_the_program(networks, tmp_path):
    for name, network in networks.items():
        fixed = network.model.using("fixed")
        save(fixed, tmp_path / "network")
        loaded = load(tmp_path / "network", backend="reference")
        assert loaded.requantization == "fixed"
        for image, expected in zip(network.images.split(1), expected_codes(network), strict=True):
            found = in_memory(loaded.codes(image), loaded, loaded.outputs)
            assert (found == expected).all(), name
    assert wrong_programs(networks, tmp_path / "c", COMPILER, "-O0") == []


def test_no_arena_is_much_larger_than_what_is_live_at_once(networks, tmp_path):
    for name, network in networks.items():
        exported = export_c(network.model, tmp_path, name, tuple(network.images.shape[1:]))
        assert exported.peak <= exported.arena <= 1.1 * exported.peak, name


@needs_compiler
def test_sanitizers_find_nothing(networks, tmp_path):
    some = networks if ALL else {name: networks[name] for name in list(networks)[::3]}
    assert wrong_programs(some, tmp_path, COMPILER, *SANITIZED) == []


@needs_compiler
@pytest.mark.skipif(not ALL, reason="LABKIT_ALL_PROGRAMS is not set")
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        (COMPILER, ["-O2"]),
        (COMPILER, ["-O3", "-march=native"]),
        (ZIG, ["-O0"]),
        (ZIG, ["-O2", "-fno-vectorize"]),  # clang 22.1.8 crashes as it vectorizes random76
        (ZIG, ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"]),
    ],
    ids=["O2", "O3", "zig O0", "zig O2", "zig, sanitized"],
)
def test_all_compilers_and_flags(compiler, flags, networks, tmp_path):
    assert wrong_programs(networks, tmp_path, compiler, *flags) == []


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
    some = {
        name: Network(
            quantize_model(zoo.load_model(name), [calibration], observer="minmax", **settings),
            calibration[:2],
        )
        for name in zoo.MODELS
    }
    assert wrong_programs(some, tmp_path, COMPILER, "-O2") == []


def test_the_text_is_integers_only_and_fits_the_page(integers, tmp_path):
    for name, model in integers.items():
        for file in export_c(model, tmp_path, name).files:
            text = file.read_text("utf-8")
            code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
            assert not re.search(r"\b(float|double|malloc|memcpy)\b", code)
            assert re.findall(r"#include (.*)", code) in ([f'"{name}.h"'], ["<stdint.h>"])
            assert max(map(len, text.splitlines())) <= 110


def test_weights_of_four_and_two_bits_are_packed(calibration, tmp_path):
    sizes = [
        export_c(
            quantize_model(zoo.load_model("mobilenet"), [calibration], weight_scheme=scheme),
            tmp_path,
        ).constants
        for scheme in (Scheme(8, symmetric=True), Scheme(4, symmetric=True), Scheme(2))
    ]
    weights = sum(w.numel() for w in zoo.load_model("mobilenet").parameters() if w.ndim > 1)
    assert sizes[0] - sizes[1] == pytest.approx(weights / 2, rel=0.01)
    assert sizes[1] - sizes[2] < weights / 4  # these have zero points, too


class Island(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)
        self.fc = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).flatten(1))


def test_islands_are_refused_by_name_and_nothing_is_written(tmp_path):
    model = quantize_model(Island().eval(), [pictures(4, SIZE)], islands=True)
    with pytest.raises(ValueError, match=r"step 'conv.real' computes with real numbers"):
        export_c(model, tmp_path / "new", image_shape=(3, SIZE, SIZE))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "my network"}, "name is 'my network'; expected a C identifier"),
        ({"name": "2fast"}, "a C identifier"),
        ({"name": "../up"}, "a C identifier"),
        ({"name": "größe"}, "a C identifier"),
        *(
            ({"name": name}, f"name is '{name}', which C keeps for itself")
            for name in ("int", "double", "main", "pixels", "stdint")
        ),
        ({"name": None}, "a C identifier"),
        ({"image_shape": (3, 28, 28)}, r"image_shape is \(3, 28, 28\), which does not fit"),
        ({"table": torch.zeros(3, 256, dtype=torch.uint8)}, r"table has shape \(3, 256\)"),
        ({"table": torch.full((1, 256), 256)}, "codes from 256 to 256; expected .* from 0 to 255"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(arguments, words, integers, tmp_path):
    with pytest.raises(ValueError, match=words):
        export_c(integers["resnet"], tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_network_that_is_none_is_refused(tmp_path):
    with pytest.raises(TypeError, match="model is of type ResNet; expected QuantizedModel"):
        export_c(zoo.load_model("resnet"), tmp_path)


@pytest.mark.parametrize("image_shape", [28, "1x28", (1, 28.0, 28)])
def test_a_shape_that_is_none_is_refused(image_shape, integers, tmp_path):
    with pytest.raises(TypeError, match="image_shape"):
        export_c(integers["resnet"], tmp_path, image_shape=image_shape)


def test_a_folder_that_cannot_be_written_is_refused(integers, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        export_c(integers["resnet"], tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        export_c(integers["resnet"], tmp_path / "file" / "folder")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "network.h").mkdir()
    with pytest.raises(IsADirectoryError, match=r"network\.h' is a folder"):
        export_c(integers["resnet"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "network.h"]


def test_sums_that_could_leave_int32_are_refused(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(2**18, 2, bias=False)).eval()
    model[1].weight.data.fill_(1.0)
    integer = quantize_model(model, [torch.randn(2, 1, 512, 512)], observer="minmax")
    with pytest.raises(ValueError, match=r"step '_1': its accumulators can reach \d+, and int32"):
        export_c(integer, tmp_path, image_shape=(1, 512, 512))


@needs_compiler
def test_steps_may_have_any_name(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("int", "add", "conv2d_w8", "arena", "q_x", "window", "int32_t", "finish"):
                setattr(self, name, nn.Conv2d(2, 2, 1))

        def forward(self, x):
            for layer in self.children():
                x = layer(x)
            return x

    model = quantize_model(Odd().eval(), [torch.randn(2, 2, 3, 3)])
    assert (
        wrong_programs({"odd": Network(model, torch.randn(2, 2, 3, 3))}, tmp_path, COMPILER) == []
    )
