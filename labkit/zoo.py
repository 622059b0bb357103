"""The data set and the trained networks of the labs, offline.

Fashion-MNIST: 28 x 28 grey images of ten kinds of clothing (Xiao, Rasul and Vollgraf 2017,
arXiv:1708.07747), (c) 2017 Zalando SE, MIT licence (``data/fashion_mnist.LICENSE``). Shipped are
10,000 of the 60,000 training images, for calibration and fine-tuning, and all 10,000 test images.
The networks were trained on all 60,000 by ``python -m labkit.training``, and
``data/MODEL_CARD.md`` says what they reach.
"""

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

MEAN, STD = 0.2860, 0.3530  # of the pixels of the 60,000 training images, scaled to [0, 1]
CLASSES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SPLITS = ("calibration", "test")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input is carried: relu(f(x) + shortcut(x))."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels_out))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels_in, H, W] to [N, channels_out, H / stride, W / stride]."""
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A small residual network (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(32)
        self.relu = nn.ReLU()
        self.stage1 = ResidualBlock(32, 32, 1)
        self.stage2 = ResidualBlock(32, 64, 2)
        self.stage3 = ResidualBlock(64, 128, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [N, 1, 28, 28] to logits [N, 10]."""
        x = self.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(self.flatten(self.pool(x)))


def _separable(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """Return a depthwise 3x3 convolution and a pointwise one, each with BN and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False),
        nn.BatchNorm2d(channels_in),
        nn.ReLU6(),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),
    )


class MobileNet(nn.Module):
    """A depthwise-separable network (Howard et al. 2017, arXiv:1704.04861)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()
        )
        self.blocks = nn.Sequential(
            _separable(32, 64, 1),
            _separable(64, 64, 1),
            _separable(64, 128, 2),
            _separable(128, 128, 1),
            _separable(128, 128, 1),
            _separable(128, 256, 2),
            _separable(256, 256, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [N, 1, 28, 28] to logits [N, 10]."""
        return self.fc(self.flatten(self.pool(self.blocks(self.stem(x)))))


_NETWORKS: dict[str, type[nn.Module]] = {"resnet": ResNet, "mobilenet": MobileNet}
MODELS = tuple(_NETWORKS)


def normalize(images: np.ndarray) -> Tensor:
    """Return uint8 images [N, 28, 28] as the networks expect them.

    Returns
    -------
    Tensor
        float32 [N, 1, 28, 28], (pixel / 255 - MEAN) / STD.
    """
    return ((torch.from_numpy(images).float() / 255 - MEAN) / STD).unsqueeze(1)


def load_data(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Load images and labels.

    Parameters
    ----------
    name : str
        "fashion_mnist".
    split : str
        "calibration" (10,000 training images, 1,000 of each class) or "test" (all 10,000).

    Returns
    -------
    images : Tensor
        float32 [N, 1, 28, 28], normalized as the networks expect them.
    labels : Tensor
        int64 [N], an index into `CLASSES`.

    Raises
    ------
    ValueError
        If there is no such data set or split.
    """
    if name != "fashion_mnist":
        raise ValueError(f"name is {name!r}; expected 'fashion_mnist'.")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; expected one of {SPLITS}.")
    images, labels = _arrays(split)
    return normalize(images), torch.from_numpy(labels).long()


@functools.cache
def _arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    with (
        resources.files("labkit.data").joinpath("fashion_mnist.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return arrays[f"{split}_images"], arrays[f"{split}_labels"]


def new_model(name: str) -> nn.Module:
    """Return an untrained network.

    Raises
    ------
    ValueError
        If `name` is not in `MODELS`.
    """
    if name not in _NETWORKS:
        raise ValueError(f"name is {name!r}; expected one of {MODELS}.")
    return _NETWORKS[name]()


def load_model(name: str) -> nn.Module:
    """Return a trained FP32 network in eval mode.

    Parameters
    ----------
    name : str
        "resnet", which quantizes easily, or "mobilenet", which does not.

    Raises
    ------
    ValueError
        If `name` is not in `MODELS`.
    """
    model = new_model(name)
    with resources.as_file(resources.files("labkit.data") / f"{name}.safetensors") as path:
        model.load_state_dict(load_file(path))
    return model.eval()


@dataclass(frozen=True)
class Accuracy:
    """Which images a network got right.

    Attributes
    ----------
    correct : Tensor
        bool [N].
    """

    correct: Tensor

    @property
    def mean(self) -> float:
        """The share that is right, 0 to 1."""
        return float(self.correct.double().mean())

    @property
    def standard_error(self) -> float:
        """sqrt(p (1 - p) / N): how far the mean would vary over other sets of N images."""
        return (self.mean * (1 - self.mean) / len(self.correct)) ** 0.5

    def __str__(self) -> str:
        return f"{100 * self.mean:5.2f} % ± {100 * self.standard_error:.2f}"


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 100) -> Accuracy:
    """Run a classifier on all images and compare its largest logit with the labels.

    Parameters
    ----------
    model : nn.Module
        In eval mode; maps images to logits [N, classes].
    images : Tensor
        float32 [N, 1, 28, 28].
    labels : Tensor
        int64 [N].
    batch_size : int
        Images per call of `model`.

    Raises
    ------
    ValueError
        If `model` holds batch normalization in training mode, which would answer by the batch and
        learn from the test images; if there are no images, or not as many labels; or if it gives
        no logits.
    """
    if any(m.training for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
        raise ValueError("model is in training mode; call model.eval() first.")
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            f"got {len(images)} images and {len(labels)} labels; expected one label an image."
        )
    with torch.inference_mode():
        logits = [model(batch) for batch in images.split(batch_size)]
    if not all(isinstance(part, Tensor) and part.ndim == 2 for part in logits):
        kinds = [list(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in logits[:1]]
        raise ValueError(
            f"the network gives {kinds[0]} for a batch; expected logits, [N, classes], of which "
            "the largest is compared with the label. Measure another kind of network yourself."
        )
    return Accuracy(torch.cat([part.argmax(1) for part in logits]) == labels)


def difference(before: Accuracy, after: Accuracy) -> tuple[float, float]:
    """Compare two networks on the same images.

    Returns
    -------
    lost : float
        before.mean - after.mean.
    standard_error : float
        Of `lost`: sqrt(N_b + N_a - (N_b - N_a)^2 / N) / N with N_b images right before and wrong
        after, N_a the reverse. Smaller than that of two independent accuracies, by much where the
        two seldom disagree.

    Raises
    ------
    ValueError
        If the two saw different numbers of images.

    Notes
    -----
    Each image is a difference of -1, 0 or 1, and this is the standard error of their mean. McNemar,
    "Note on the sampling error of the difference between correlated proportions", Psychometrika
    1947, leaves the second term out, which asks whether there is any difference at all.
    """
    if len(before.correct) != len(after.correct):
        raise ValueError(
            f"before saw {len(before.correct)} images and after {len(after.correct)}; "
            "expected the same images for both."
        )
    count, lost = len(before.correct), before.mean - after.mean
    disagree = int((before.correct != after.correct).sum())
    return lost, max(disagree / count - lost**2, 0.0) ** 0.5 / count**0.5
