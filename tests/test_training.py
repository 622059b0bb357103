"""The script behind the zoo, on a data set small enough for a test."""

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn

from labkit import training, zoo


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A file like the full one, with 8 training images a class; output goes to tmp_path."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 8)
    path = tmp_path / "full.npz"
    np.savez(
        path,
        train_images=generator.integers(0, 256, (80, 28, 28), dtype=np.uint8),
        train_labels=generator.permutation(labels),
        test_images=generator.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        test_labels=labels[::4],
    )
    monkeypatch.setattr(training, "DATA", tmp_path)
    monkeypatch.setattr(training, "PER_CLASS", 3)
    monkeypatch.setattr(training, "BATCH", 40)
    return path


def test_subset_is_a_balanced_draw_of_training_images(small):
    training.subset(small)
    written = small.parent / "fashion_mnist.npz"
    first = written.read_bytes()
    with np.load(small) as full, np.load(written) as drawn:
        indices = drawn["calibration_indices"]
        assert len(np.unique(indices)) == 30
        assert np.bincount(drawn["calibration_labels"]).tolist() == [3] * 10
        np.testing.assert_array_equal(drawn["calibration_images"], full["train_images"][indices])
        np.testing.assert_array_equal(drawn["calibration_labels"], full["train_labels"][indices])
        np.testing.assert_array_equal(drawn["test_images"], full["test_images"])
        np.testing.assert_array_equal(drawn["test_labels"], full["test_labels"])
    training.subset(small)
    assert written.read_bytes() == first


def test_augment_mirrors_and_moves():
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 14, 10] = 1.0  # mirrored: column 17
    offsets = set()
    for _ in range(400):
        ((row, column),) = (training.augment(image, generator)[0, 0] == 1).nonzero().tolist()
        offsets.add((row - 14, column))
    rows = range(-2, 3)
    assert offsets == {(r, c) for r in rows for c in [*range(8, 13), *range(15, 20)]}


def test_augment_fills_with_black():
    black = zoo.normalize(np.zeros((5, 28, 28), dtype=np.uint8))
    torch.testing.assert_close(training.augment(black, torch.Generator()), black)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_weight_decay_spares_depthwise_filters_normalization_and_biases(name):
    model = zoo.new_model(name)
    decayed, spared = training.parameter_groups(model, 0.1)
    expected = [
        layer.weight
        for layer in model.modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    ]
    stem = next(model.parameters())  # one input channel, like a depthwise filter
    assert {id(p) for p in decayed["params"]} == {id(p) for p in expected} - {id(stem)}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_training_is_seeded(small, monkeypatch):
    monkeypatch.setitem(training.RECIPES, "mobilenet", (1, 0.05, 1e-4))
    split = zoo.load_data("fashion_mnist", "test")
    monkeypatch.setattr(zoo, "load_data", lambda *_: (split[0][:20], split[1][:20]))
    written = small.parent / "mobilenet.safetensors"
    training.train("mobilenet", small)
    first = written.read_bytes()
    training.train("mobilenet", small)
    assert written.read_bytes() == first
    state = load(first)
    assert state.keys() == zoo.new_model("mobilenet").state_dict().keys()
    assert state["stem.1.num_batches_tracked"] == 80 // 40


@pytest.mark.parametrize("name", zoo.MODELS)
def test_folding_batch_normalization_changes_nothing(name):
    model = zoo.load_model(name)
    folded = training.fold_batchnorm(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    images = zoo.load_data("fashion_mnist", "test")[0][:16]
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), model(images), rtol=1e-3, atol=1e-3)


def test_quantized_weights_lie_on_the_grid_and_leave_the_model_alone():
    model = zoo.load_model("mobilenet")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    quantized = training.quantized_weights(model, 4, per_channel=True)
    for layer in quantized.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert max(len(channel.unique()) for channel in layer.weight) <= 15
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_step_without_its_file_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["training", "train"])
    with pytest.raises(SystemExit):
        training.main()
    assert "train needs the file with the full data set" in capsys.readouterr().err


def test_markdown_table():
    assert (
        training.markdown_table(("a", "b"), [(1, 2.5)]) == "| a | b |\n| --- | --- |\n| 1 | 2.5 |"
    )
