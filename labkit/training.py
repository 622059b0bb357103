"""How the networks of the zoo were made, from the official 60,000 training images.

::

    python -m labkit.training subset FULL.npz      the images that the package ships
    python -m labkit.training train FULL.npz       train both networks (--only NAME for one)
    python -m labkit.training report               what quantizing their weights costs

FULL.npz holds Fashion-MNIST as uint8: train_images [60000, 28, 28], train_labels, test_images,
test_labels.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from tqdm import tqdm

from labkit import zoo
from labkit.linear import Scheme, choose_qparams, fake_quantize

DATA = Path(__file__).parent / "data"
SEED = 5
PER_CLASS = 1_000
BATCH = 128
# epochs, largest learning rate, weight decay of the convolutions that are not depthwise
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
    """Mirror each image with probability 1/2 and move it by up to 2 pixels each way."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    border = (0 - zoo.MEAN) / zoo.STD
    padded = F.pad(images, (2, 2, 2, 2), value=border)
    top, left = (int(v) for v in torch.randint(0, 5, (2,), generator=generator))
    return padded[:, :, top : top + 28, left : left + 28]


def parameter_groups(model: nn.Module, decay: float) -> list[dict]:
    """Decay dense weights only: not batch normalization, biases or depthwise filters.

    That is the usual recipe for depthwise networks (Howard et al. 2017, section 3.2).
    """
    dense = [p for p in model.parameters() if p.ndim > 1 and p.shape[1] > 1]
    others = [p for p in model.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
    return [{"params": dense, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def train(name: str, full: Path) -> None:
    """Train one network and write its weights."""
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
        save_file(state, DATA / f"{name}.safetensors")


def quantized_weights(model: nn.Module, bits: int, per_channel: bool) -> nn.Module:
    """Return a copy with batch normalization folded and symmetric min-max weights of `bits`."""
    folded = fuse(model)
    scheme = Scheme(bits, symmetric=True, narrow=True)
    for layer in folded.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach()
            qparams = choose_qparams(weight, scheme, axis=0 if per_channel else None)
            layer.weight = nn.Parameter(fake_quantize(weight, qparams))
    return folded


def report() -> str:
    """Return a Markdown table: test accuracy against bits and granularity of the weights."""
    images, labels = zoo.load_data("fashion_mnist", "test")
    lines = [
        "| network | parameters | weights | per tensor | per channel |",
        "|---|---|---|---|---|",
    ]
    for name in zoo.MODELS:
        model = zoo.load_model(name)
        count = sum(p.numel() for p in model.parameters())
        real = zoo.accuracy(model, images, labels)
        lines.append(f"| {name} | {count} | FP32 | {real} | {real} |")
        for bits in tqdm((8, 7, 6, 5, 4, 3, 2), name):
            cells = [
                str(zoo.accuracy(quantized_weights(model, bits, per_channel), images, labels))
                for per_channel in (False, True)
            ]
            lines.append(f"| {name} | {count} | {bits} bits | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Run one of the three steps."""
    parser = argparse.ArgumentParser(prog="python -m labkit.training", description=__doc__)
    parser.add_argument("step", choices=("subset", "train", "report"))
    parser.add_argument("full", type=Path, nargs="?", help="Fashion-MNIST as one .npz file")
    parser.add_argument("--only", choices=zoo.MODELS, help="train this network only")
    parsed = parser.parse_args()
    if parsed.step == "report":
        print(report())
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
