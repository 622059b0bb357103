"""Integer networks on disk: the same integers, and nothing else is loaded."""

import functools
import json
import random
import re
import struct

import pytest
import torch
from other_networks import NETWORKS, network, pictures
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from labkit import zoo
from labkit.ptq import QuantizedModel, bytes_on_disk, load, quantize_model, save
from labkit.ptq.files import FORMAT, _digest
from labkit.qparams import Scheme

SCHEMES = {
    "W8A8": (Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False)),
    "W4A8": (Scheme(4, symmetric=True), Scheme(8)),
    "W4A4 affine": (Scheme(4), Scheme(4, signed=False)),
    "W3A6": (Scheme(3, signed=False), Scheme(6)),
    "W2A7": (Scheme(2, signed=False, symmetric=True), Scheme(7, signed=False)),
}


@functools.cache
def quantized(name: str = "functional", scheme: str = "W8A8", per_channel: bool = True):
    batches = [pictures(4)]
    return quantize_model(
        network(name), batches, *SCHEMES[scheme], observer="minmax", per_channel=per_channel
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("network") / "n.safetensors"
    save(quantized(), path)
    return path.read_bytes()


def parts(content: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def crafted(content: bytes, change) -> bytes:
    """Change the description of a network, and put a digest in that fits, as a forger would."""
    header, data = parts(content)
    described = json.loads(header["__metadata__"]["network"])
    described = change(described) or described
    text = described if isinstance(described, str) else json.dumps(described)
    tensors = {
        name: torch.frombuffer(
            bytearray(data[slice(*fields["data_offsets"])]),
            dtype={"I8": torch.int8, "F32": torch.float32}[fields["dtype"]],
        ).reshape(fields["shape"])
        for name, fields in header.items()
        if name != "__metadata__"
    }
    metadata = header["__metadata__"]
    metadata["network"], metadata["sha256"] = text, _digest(text, tensors)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_saved_computes_the_same(name, backend, tmp_path):
    path, images = tmp_path / "n.safetensors", pictures(2, seed=2)
    model = quantized(name)
    assert save(model, path) == path.stat().st_size == bytes_on_disk(model)
    loaded = load(path, backend)
    assert loaded.backend == backend
    assert loaded.steps == model.steps
    for name, q in loaded.tensors(images).items():
        assert torch.equal(q, model.tensors(images)[name])
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_comes_back(scheme, per_channel, tmp_path):
    model = quantized("functional", scheme, per_channel)
    save(model, tmp_path / "n")
    loaded = load(str(tmp_path / "n"))
    for layer, weights in model.weights.items():
        found = loaded.weights[layer]
        assert torch.equal(found.q_w, weights.q_w)
        assert found.qparams.scheme == weights.qparams.scheme
        assert torch.equal(found.qparams.scale, weights.qparams.scale)
        assert torch.equal(found.qparams.zero_point, weights.qparams.zero_point)
    for name, grid in model.qparams.items():
        assert torch.equal(loaded.qparams[name].scale, grid.scale)
    assert torch.equal(loaded(pictures(1)), model(pictures(1)))


def test_saving_again_gives_the_same_file_and_replaces(tmp_path):
    path = tmp_path / "n"
    save(quantized("VGG"), path)
    save(quantized(), path)
    first = path.read_bytes()
    save(load(path), path)
    # safetensors writes the metadata in any order.
    assert parts(path.read_bytes()) == parts(first)
    assert [file.name for file in tmp_path.iterdir()] == ["n"]


def test_codes_below_a_byte_are_packed(tmp_path):
    save(quantized("functional", "W4A8"), tmp_path / "n")
    with safe_open(tmp_path / "n", "pt") as file:
        q_w = file.get_tensor("down.q_w")
    assert q_w.dtype == torch.uint8
    assert q_w.numel() == network("functional").down.weight.numel() / 2


@pytest.mark.parametrize("name", zoo.MODELS)
def test_file_sizes(name):
    """At most 0.28 of the float file at INT8, and 0.17 at INT4, with all that it takes to run."""
    images, _ = zoo.load_data("fashion_mnist", "calibration")
    model = zoo.load_model(name)
    real = bytes_on_disk(model)
    for weights, share in ((SCHEMES["W8A8"][0], 0.28), (Scheme(4, symmetric=True), 0.17)):
        quantized = quantize_model(
            model, [images[:8]], weights, observer="minmax", weight_method="minmax"
        )
        assert bytes_on_disk(quantized) <= share * real


def test_every_truncation_is_refused(saved, tmp_path):
    path = tmp_path / "n"
    header = 8 + struct.unpack("<Q", saved[:8])[0]
    lengths = {*range(0, 40), *range(header - 20, header + 20), len(saved) - 1}
    lengths |= {random.Random(0).randrange(len(saved)) for _ in range(200)}
    for length in sorted(lengths):
        path.write_bytes(saved[:length])
        with pytest.raises(ValueError, match=r"cannot be read|is damaged"):
            load(path)
    path.write_bytes(saved + b"\0")
    with pytest.raises(ValueError, match="cannot be read"):
        load(path)


def test_every_changed_byte_is_refused(saved, tmp_path):
    path, rng = tmp_path / "n", random.Random(1)
    header = 8 + struct.unpack("<Q", saved[:8])[0]
    places = [rng.randrange(header) for _ in range(400)]
    places += [rng.randrange(header, len(saved)) for _ in range(100)]
    for place in places:
        content = bytearray(saved)
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load(path)


def drop(*keys):
    def change(described):
        for key in keys[:-1]:
            described = described[key]
        del described[keys[-1]]

    return change


def put(value, *keys):
    def change(described):
        for key in keys[:-1]:
            described = described[key]
        described[keys[-1]] = value

    return change


FORGED = {
    "no steps": put([], "steps"),
    "no input": drop("input"),
    "no grids": put({}, "grids"),
    "no weights": put({}, "weights"),
    "a list": lambda described: "[]",
    "null": lambda described: "null",
    "no JSON": lambda described: "{",
    "deep": lambda described: "[" * 100_000,
    "kind": put("exec", "steps", 0, "kind"),
    "kind is a list": put([], "steps", 0, "kind"),
    "unknown field": put(1, "steps", 0, "code"),
    "unknown setting": put(1, "steps", 1, "settings", "code"),
    "input of nothing": put(["nothing"], "steps", 0, "inputs"),
    "no inputs": put([], "steps", 0, "inputs"),
    "numbers for inputs": put([1], "steps", 0, "inputs"),
    "nested inputs": put([["x"]], "steps", 0, "inputs"),
    "layer": put("nothing", "steps", 0, "layer"),
    "stride 0": put([0, 0], "steps", 0, "settings", "stride"),
    "stride of text": put("ab", "steps", 0, "settings", "stride"),
    "one stride": put([1], "steps", 0, "settings", "stride"),
    "no settings": put({}, "steps", 0, "settings"),
    "huge padding": put([2**70, 0], "steps", 0, "settings", "padding"),
    "groups": put(5, "steps", 0, "settings", "groups"),
    "ceiling": put("high", "steps", 0, "settings", "ceiling"),
    "scale 0": put(0.0, "grids", "x", "scale"),
    "scale of text": put("1", "grids", "x", "scale"),
    "huge scale": put(1e300, "grids", "x", "scale"),
    "zero point": put(1000, "grids", "x", "zero_point"),
    "huge zero point": put(2**80, "grids", "x", "zero_point"),
    "bits": put({"bits": 9}, "grids", "x", "scheme"),
    "scheme": put({"width": 8}, "grids", "x", "scheme"),
    "16 bits": put({"bits": 16}, "grids", "x", "scheme"),
    "axis": put(1, "weights", "down", "axis"),
    "axis of text": put("x", "weights", "down", "axis"),
    "packed": put({"bits": 4}, "weights", "down", "scheme"),
    "weights of another dtype": put({"signed": False}, "weights", "down", "scheme"),
    "weights of fewer bits": put({"bits": 3}, "weights", "down", "scheme"),
    "unknown layer": put({}, "weights", "nothing"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_description_is_refused(name, saved, tmp_path):
    path = tmp_path / "n"
    path.write_bytes(crafted(saved, lambda described: None))
    assert isinstance(load(path), QuantizedModel)
    path.write_bytes(crafted(saved, FORGED[name]))
    with pytest.raises(
        ValueError, match=r"(?s)describes no network that can run .* Save it again\."
    ):
        load(path)


def test_a_changed_weight_with_a_fitting_digest_is_data(saved, tmp_path):
    header, _ = parts(saved)
    content = bytearray(saved)
    content[-header_size(saved)] ^= 1
    (tmp_path / "n").write_bytes(crafted(bytes(content), lambda described: None))
    assert load(tmp_path / "n")(pictures(1)).shape == (1, 10)
    assert header["__metadata__"]["format"] == FORMAT


def header_size(content: bytes) -> int:
    """Return how far from the end a byte of some weights lies."""
    header, data = parts(content)
    return len(data) - header["down.q_w"]["data_offsets"][0]


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "n"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(tmp_path)
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="cannot be read"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot be read .* expected a file that save wrote"):
        load(path)
    for metadata in (None, {"format": "pt"}, {"format": FORMAT + "1"}):
        save_file({"weight": torch.zeros(2)}, path, metadata)
        with pytest.raises(ValueError, match=f"has format .*; expected '{FORMAT}'"):
            load(path)
    save_file({"weight": torch.zeros(2)}, path, {"format": FORMAT})
    with pytest.raises(ValueError, match="is damaged"):
        load(path)


def test_only_integer_networks_are_saved(tmp_path):
    with pytest.raises(TypeError, match="model is of type Linear; expected QuantizedModel"):
        save(nn.Linear(2, 2), tmp_path / "n")
    with pytest.raises(OSError, match="No such file"):
        save(quantized(), tmp_path / "nowhere" / "n")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_backend_is_refused(tmp_path):
    save(quantized(), tmp_path / "n")
    with pytest.raises(ValueError, match="backend is 'fast'"):
        load(tmp_path / "n", backend="fast")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_any_dtype_come_back(dtype, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)]
    model, images = nn.Sequential(*layers).eval().to(dtype), torch.randn(8, 3, 8, 8)
    quantized = quantize_model(model, [images.to(dtype)], observer="minmax", weight_method="minmax")
    save(quantized, tmp_path / "network.safetensors")
    assert torch.equal(load(tmp_path / "network.safetensors")(images), quantized(images))


def test_a_state_dict_is_refused_rather_than_empty():
    torch.manual_seed(0)
    images = torch.randn(8, 3, 8, 8)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)]
    quantized = quantize_model(nn.Sequential(*layers).eval(), [images], observer="minmax")
    for module in (quantized, nn.Sequential(quantized), quantized.operations[0]):
        with pytest.raises(TypeError, match=r"has no state_dict.*labkit\.ptq\.save"):
            module.state_dict()
        with pytest.raises(TypeError, match=r"has no state_dict.*labkit\.ptq\.load"):
            module.load_state_dict({}, strict=False)
