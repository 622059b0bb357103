"""A network and pictures that come with other packages: they arrive as they should, or it is said.

With the extra "efficientnet", which the extra "test" brings along.
"""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from labkit import imagenet
from labkit.ptq import fold_batchnorm, quantize_model

pytestmark = pytest.mark.slow

missing = imagenet.missing_packages()
with_packages = pytest.mark.skipif(bool(missing), reason=f"missing: {', '.join(missing)}")


@pytest.fixture(scope="module")
def network():
    return imagenet.load_network()


@pytest.fixture(scope="module")
def pictures():
    return imagenet.load_pictures()


def test_what_is_missing_is_named_with_the_remedy(monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "foolbox" else real(n))
    assert "foolbox" in imagenet.missing_packages()
    for load in (imagenet.load_network, imagenet.load_pictures):
        with pytest.raises(ImportError, match=r"foolbox.*\[efficientnet\]"):
            load()


def test_the_crop_is_the_middle_of_the_largest_square() -> None:
    pixels = np.zeros((320, 640, 3), np.uint8)
    pixels[20:300, 180:460] = 255  # 280 x 280: 7/8 of 320, in the middle
    cropped = np.asarray(imagenet.cropped(Image.fromarray(pixels)))
    assert cropped.shape == (imagenet.SIZE, imagenet.SIZE, 3)
    assert (cropped[2:-2, 2:-2] == 255).all()


@with_packages
def test_the_float_network_knows_the_pictures(network, pictures) -> None:
    images, classes = pictures
    assert images.shape == (20, 3, imagenet.SIZE, imagenet.SIZE)
    assert images.dtype == torch.float32
    with torch.inference_mode():
        best = network(images).topk(5).indices
    assert int((best[:, 0] == classes).sum()) == 18
    assert int((best == classes[:, None]).any(1).sum()) == 19


@with_packages
def test_channels_that_never_varied_stay_finite_and_the_integers_follow(network, pictures) -> None:
    images, classes = pictures
    assert imagenet.dead_channels(network) == 65
    folded = fold_batchnorm(network)
    assert all(bool(p.isfinite().all()) for p in folded.parameters())
    quantized = quantize_model(network, images.split(5))
    with torch.inference_mode():
        real, logits = network(images), quantized(images)
    assert bool(logits.isfinite().all())
    assert 10 * torch.log10(real.square().sum() / (logits - real).square().sum()) > 15
    assert int((logits.argmax(1) == classes).sum()) >= 17
