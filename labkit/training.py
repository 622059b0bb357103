"""How the networks of the zoo were made, from the official 60,000 training images.

::

    python -m labkit.training subset FULL.npz      the images that the package ships
    python -m labkit.training train FULL.npz       train both networks (--only NAME for one)
    python -m labkit.training report               write data/MODEL_CARD.md

FULL.npz holds Fashion-MNIST as uint8: train_images [60000, 28, 28], train_labels, test_images,
test_labels. All draws are seeded, so the images come out the same everywhere; floating-point sums
depend on the processor and the number of threads, so new weights differ in their last digits, and
after thousands of steps their accuracy by a few tenths of a percent.
"""

import argparse
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from labkit import zoo
from labkit.linear import Scheme, choose_qparams, fake_quantize
from labkit.ptq import fold_batchnorm

Layer = TypeVar("Layer", bound=nn.Module)
DATA = Path(__file__).parent / "data"
SEED = 5
PER_CLASS = 1_000
BATCH = 128
BITS = (8, 7, 6, 5, 4)
# epochs, largest learning rate, weight decay (see parameter_groups)
RECIPES = {"resnet": (10, 0.2, 5e-4), "mobilenet": (10, 0.2, 1e-4)}


def subset(full: Path) -> None:
    """Write the shipped images: a seeded draw of 1,000 a class, and all test images."""
    generator = np.random.default_rng(SEED)
    with np.load(full, allow_pickle=False) as arrays:
        labels = arrays["train_labels"]
        drawn = [
            generator.choice(np.flatnonzero(labels == c), PER_CLASS, replace=False)
            for c in range(len(zoo.CLASSES))
        ]
        # Shuffled, so that the first n images hold all classes.
        chosen = generator.permutation(np.concatenate(drawn))
        np.savez_compressed(
            DATA / "fashion_mnist.npz",
            calibration_images=arrays["train_images"][chosen],
            calibration_labels=labels[chosen],
            calibration_indices=chosen.astype(np.int32),
            test_images=arrays["test_images"],
            test_labels=arrays["test_labels"],
        )


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image with probability 1/2; move the whole batch by up to 2 pixels each way."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    border = (0 - zoo.MEAN) / zoo.STD
    padded = F.pad(images, (2, 2, 2, 2), value=border)
    top, left = (int(v) for v in torch.randint(0, 5, (2,), generator=generator))
    return padded[:, :, top : top + 28, left : left + 28]


def parameter_groups(model: nn.Module, decay: float) -> list[dict]:
    """Decay weights that sum over channels: not depthwise filters, nor normalization or biases.

    That is the usual recipe for depthwise networks (Howard et al. 2017, section 3.2).
    """
    dense = [p for p in model.parameters() if p.ndim > 1 and p.shape[1] > 1]
    others = [p for p in model.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
    return [{"params": dense, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def train(name: str, full: Path) -> None:
    """Train one network on the 60,000 training images and write its weights.

    Stochastic gradient descent with Nesterov momentum; the learning rate rises for a quarter of
    the time and then falls to zero (Smith and Topin 2018, arXiv:1708.07120).
    """
    epochs, rate, decay = RECIPES[name]
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    with np.load(full, allow_pickle=False) as arrays:
        images = zoo.normalize(arrays["train_images"])
        labels = torch.from_numpy(arrays["train_labels"]).long()
    test_images, test_labels = zoo.load_data("fashion_mnist", "test")
    model = zoo.new_model(name)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(parameter_groups(model, decay), rate, momentum=0.9, nesterov=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * steps, pct_start=0.25)
    for epoch in range(1, epochs + 1):
        model.train()
        order = torch.randperm(len(images), generator=generator)
        batches = tqdm(
            order[: steps * BATCH].split(BATCH), f"{name} {epoch}/{epochs}", mininterval=5
        )
        for index in batches:
            batch = augment(images[index], generator).contiguous(memory_format=torch.channels_last)
            # bfloat16 halves the time where the processor has it; the weights stay float32.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(batch)
            loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            batches.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        reached = zoo.accuracy(model.eval(), test_images, test_labels)
        print(f"{name} epoch {epoch}: test {reached}", flush=True)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    (DATA / f"{name}.safetensors").write_bytes(save(state))


def layers(model: nn.Module, kind: type[Layer]) -> list[tuple[str, Layer]]:
    """Return path and module of the layers of one kind, as declared."""
    return [(path, layer) for path, layer in model.named_modules() if isinstance(layer, kind)]


def quantized_weights(model: nn.Module, bits: int, per_channel: bool) -> nn.Module:
    """Return a copy with batch normalization folded and symmetric min-max weights of `bits`."""
    folded = fold_batchnorm(model)
    scheme = Scheme(bits, symmetric=True, narrow=True)
    for layer in folded.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach()
            qparams = choose_qparams(weight, scheme, axis=0 if per_channel else None)
            layer.weight = nn.Parameter(fake_quantize(weight, qparams))
    return folded


def report() -> None:
    """Measure the trained networks and write the model card beside their weights."""
    card = f"""# The trained networks

Written by `python -m labkit.training report`. The networks were trained on the 60,000 training
images of Fashion-MNIST by `python -m labkit.training train`, and are measured here on all 10,000
test images. An accuracy stands with its standard error; two accuracies are compared on the same
images (`labkit.zoo.difference`).

## Files

{files_table()}

## Accuracy with quantized weights

Batch normalization is folded; then the weights alone are quantized, symmetric, from minimum to
maximum, with one scale for a layer (per tensor) or one for each output channel (per channel).

{accuracy_table()}

## Range of the folded weights

The largest |weight| of each output channel after folding: its median over the channels of a layer,
and its maximum, on which the scale per tensor depends. Folding divides a channel by sqrt(variance +
eps), where *variance* is that of the convolution's output during training. A depthwise channel sees
a single input channel: where ReLU6 lets hardly anything of that through, the variance is nearly
zero and the folded weights are huge. A channel of a dense convolution sums over all its inputs, so
that a silent one among them does no harm.

{range_table()}
"""
    (DATA / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def files_table() -> str:
    """Return size and hash of what the package ships."""
    rows = []
    for name in ("fashion_mnist.npz", *(f"{name}.safetensors" for name in zoo.MODELS)):
        content = (DATA / name).read_bytes()
        rows.append((f"`{name}`", len(content), f"`{hashlib.sha256(content).hexdigest()}`"))
    return markdown_table(("file", "bytes", "SHA-256"), rows)


def accuracy_table() -> str:
    """Return test accuracy against bits and granularity of the weights."""
    images, labels = zoo.load_data("fashion_mnist", "test")
    rows: list[tuple] = []
    for name in zoo.MODELS:
        model = zoo.load_model(name)
        parameters = sum(p.numel() for p in model.parameters())
        real = zoo.accuracy(model, images, labels)
        rows.append((name, parameters, "FP32", real, real, ""))
        for bits in tqdm(BITS, name):
            tensor, channel = (
                zoo.accuracy(quantized_weights(model, bits, per_channel), images, labels)
                for per_channel in (False, True)
            )
            lost, error = zoo.difference(channel, tensor)
            gap = f"{100 * lost:.2f} ± {100 * error:.2f}"
            rows.append((name, parameters, bits, tensor, channel, gap))
    head = ("network", "parameters", "bits", "per tensor", "per channel", "channel - tensor")
    return markdown_table(head, rows)


def range_table() -> str:
    """Return how far the ranges of the channels of a layer lie apart."""
    rows: list[tuple] = []
    for name in zoo.MODELS:
        model = zoo.load_model(name)
        folded = layers(fold_batchnorm(model), nn.Conv2d)
        norms = layers(model, nn.BatchNorm2d)
        for (path, conv), (_, norm) in zip(folded, norms, strict=True):
            largest = conv.weight.detach().abs().amax((1, 2, 3))
            kind = "depthwise" if conv.groups > 1 else "dense"
            values = (norm.get_buffer("running_var").min(), largest.median(), largest.max())
            ratio = float(largest.max() / largest.median())
            rows.append((name, f"`{path}`", kind, *(f"{v:.3g}" for v in values), f"{ratio:.1f}"))
    head = ("network", "convolution", "kind", "least variance", "median", "maximum", "ratio")
    return markdown_table(head, rows)


def markdown_table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main() -> None:
    """Run one of the three steps."""
    parser = argparse.ArgumentParser(prog="python -m labkit.training", description=__doc__)
    parser.add_argument("step", choices=("subset", "train", "report"))
    parser.add_argument("full", type=Path, nargs="?", help="Fashion-MNIST as one .npz file")
    parser.add_argument("--only", choices=zoo.MODELS, help="train this network only")
    parsed = parser.parse_args()
    if parsed.step == "report":
        report()
        return
    if parsed.full is None:
        parser.error(f"{parsed.step} needs the file with the full data set")
    if parsed.step == "subset":
        subset(parsed.full)
    else:
        for name in (parsed.only,) if parsed.only else zoo.MODELS:
            train(name, parsed.full)


if __name__ == "__main__":
    main()
