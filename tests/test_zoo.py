"""The shipped images and networks: whole, offline, as good as promised."""

import hashlib
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from labkit import training, zoo
from labkit.zoo import Accuracy, accuracy, difference, load_data, load_model

pytestmark = pytest.mark.slow

DATA = Path(zoo.__file__).parent / "data"
CARD = (DATA / "MODEL_CARD.md").read_text(encoding="utf-8")
LEAST_ACCURACY = {"resnet": 0.93, "mobilenet": 0.91}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other make a busy machine many times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def test_split() -> tuple[Tensor, Tensor]:
    return load_data("fashion_mnist", "test")


def recorded(network: str, bits: str) -> tuple[float, float]:
    """Accuracy per tensor and per channel, in percent, from the model card."""
    row = rf"\| {network} \| \d+ \| {bits} \| *([\d.]+) % [^|]*\| *([\d.]+) %"
    found = re.search(row, CARD)
    assert found, f"no row for {network} at {bits} in the model card"
    return float(found[1]), float(found[2])


@pytest.mark.parametrize("split", zoo.SPLITS)
def test_images_are_normalized_and_classes_balanced(split):
    images, labels = load_data("fashion_mnist", split)
    assert (images.shape, images.dtype) == ((10_000, 1, 28, 28), torch.float32)
    assert (labels.shape, labels.dtype) == ((10_000,), torch.int64)
    assert labels.bincount().tolist() == [1_000] * len(zoo.CLASSES)
    assert abs(float(images.mean())) < 0.02
    assert abs(float(images.std()) - 1) < 0.02
    # The first few hundred are a fair sample too, as a lab that takes images[:500] expects.
    assert labels[:500].bincount(minlength=10).min() >= 25


def test_calibration_images_come_from_the_training_set():
    with np.load(DATA / "fashion_mnist.npz") as arrays:
        indices = arrays["calibration_indices"]
        calibration, test = arrays["calibration_images"], arrays["test_images"]
    assert len(np.unique(indices)) == 10_000
    assert 0 <= indices.min() < indices.max() < 60_000
    test_bytes = {image.tobytes() for image in test}
    assert not any(image.tobytes() in test_bytes for image in calibration)


def test_the_card_records_every_file():
    # The language models of lab 7 have a card of their own.
    paths = [
        DATA / name for name in ("fashion_mnist.npz", "mobilenet.safetensors", "resnet.safetensors")
    ]
    for path in paths:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in CARD


def test_data_is_small_and_comes_with_its_licence():
    assert sum(path.stat().st_size for path in DATA.iterdir() if path.is_file()) < 19_000_000
    licence = (DATA / "fashion_mnist.LICENSE").read_text(encoding="utf-8")
    assert "The MIT License" in licence
    assert "2017 Zalando SE" in licence


def test_changing_what_was_loaded_changes_nothing_for_others(test_split):
    images, labels = load_data("fashion_mnist", "test")
    images.zero_()
    labels.zero_()
    again, labels_again = load_data("fashion_mnist", "test")
    assert torch.equal(again, test_split[0])
    assert torch.equal(labels_again, test_split[1])


def test_normalize_is_its_formula():
    pixels = np.array([[[0, 255], [51, 102]]], dtype=np.uint8)
    expected = (pixels.astype(np.float64) / 255 - 0.2860) / 0.3530
    assert zoo.normalize(pixels).shape == (1, 1, 2, 2)
    np.testing.assert_allclose(zoo.normalize(pixels)[0].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_data("mnist", "test"), "name is 'mnist'; expected 'fashion_mnist'"),
        (lambda: load_data("fashion_mnist", "train"), "split is 'train'.*calibration.*test"),
        (lambda: load_model("vgg"), "name is 'vgg'.*resnet.*mobilenet"),
        (lambda: zoo.new_model("vgg"), "name is 'vgg'.*resnet.*mobilenet"),
    ],
)
def test_unknown_names_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", zoo.MODELS)
def test_network_is_accurate_and_quick(name, test_split):
    model = load_model(name)
    start = time.process_time()
    measured = accuracy(model, *test_split)
    # 20 s on two cores: 40 s of processor time, which a busy machine does not change.
    assert time.process_time() - start < 40
    assert measured.mean >= LEAST_ACCURACY[name]
    # Another processor sums in another order, which may turn a few images.
    assert 100 * measured.mean == pytest.approx(recorded(name, "FP32")[0], abs=0.05)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_network_is_small_float32_and_in_eval_mode(name):
    model = load_model(name)
    assert sum(p.numel() for p in model.parameters()) < 500_000
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert not any(module.training for module in model.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", zoo.MODELS)
def test_network_is_the_same_at_every_load(name, test_split):
    first, second = load_model(name), load_model(name)
    with torch.inference_mode():
        expected = first(test_split[0][:8])
        assert torch.equal(second(test_split[0][:8]), expected)
        next(iter(first.parameters())).zero_()
        assert torch.equal(second(test_split[0][:8]), expected)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_network_can_be_traced(name, test_split):
    model = load_model(name)
    traced = torch.fx.symbolic_trace(model)
    with torch.inference_mode():
        assert torch.equal(traced(test_split[0][:8]), model(test_split[0][:8]))


def test_per_tensor_weights_hurt_the_depthwise_network_at_8_bits(test_split):
    model = load_model("mobilenet")
    per_tensor, per_channel = (
        accuracy(training.quantized_weights(model, 8, choice), *test_split)
        for choice in (False, True)
    )
    assert difference(per_channel, per_tensor)[0] > 0.20
    assert 100 * per_channel.mean == pytest.approx(recorded("mobilenet", "FP32")[0], abs=0.3)
    on_card = recorded("mobilenet", "8")
    assert 100 * per_tensor.mean == pytest.approx(on_card[0], abs=0.5)
    assert 100 * per_channel.mean == pytest.approx(on_card[1], abs=0.1)


def test_per_tensor_weights_do_not_hurt_the_residual_network_at_8_bits():
    per_tensor, per_channel = recorded("resnet", "8")
    assert abs(recorded("resnet", "FP32")[0] - per_tensor) < 0.3
    assert abs(per_tensor - per_channel) < 0.3


class Echo(nn.Module):
    """Answers with the images, taken as logits."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def test_accuracy_counts_right_answers_in_every_batch():
    answers = torch.tensor([0, 1, 2, 1, 0])
    images = nn.functional.one_hot(answers, 3).float()
    measured = accuracy(Echo(), images, torch.tensor([0, 1, 2, 2, 0]), batch_size=2)
    assert measured.correct.tolist() == [True, True, True, False, True]
    assert measured.mean == 0.8
    assert measured.standard_error == pytest.approx((0.8 * 0.2 / 5) ** 0.5)
    assert str(measured) == "80.00 % ± 17.89"


def test_difference_is_that_of_paired_answers():
    generator = np.random.default_rng(0)
    before = generator.random(4_000) < 0.9
    after = before ^ (generator.random(4_000) < 0.1)
    lost, error = difference(Accuracy(torch.from_numpy(before)), Accuracy(torch.from_numpy(after)))
    paired = before.astype(float) - after
    assert lost == pytest.approx(paired.mean())
    assert error == pytest.approx(paired.std() / 4_000**0.5)


def test_the_error_of_a_difference_is_right_where_nearly_everything_is_lost():
    before, after = torch.ones(400) > 0, torch.arange(400) < 40
    lost, error = difference(Accuracy(before), Accuracy(after))
    assert lost == pytest.approx(0.9)
    assert error == pytest.approx(Accuracy(after).standard_error)
    assert difference(Accuracy(before), Accuracy(~before)) == (1.0, 0.0)


def test_accuracy_refuses_what_would_give_a_wrong_number():
    images, labels = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="4 images and 3 labels"):
        accuracy(Echo(), images, labels[:3])
    with pytest.raises(ValueError, match="0 images and 0 labels"):
        accuracy(Echo(), images[:0], labels[:0])
    with pytest.raises(ValueError, match=r"training mode; call model\.eval"):
        accuracy(load_model("mobilenet").train(), images, labels)
    with pytest.raises(ValueError, match="before saw 4 images and after 3"):
        difference(Accuracy(labels == 0), Accuracy(labels[:3] == 0))
