"""Small networks drawn at random, of all operations that integers have."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.ptq import QuantizedModel, quantize_model
from labkit.qparams import Scheme

MOST_NUMBERS = 1500  # of a tensor
WEIGHTS = [
    Scheme(8, symmetric=True, narrow=True),
    Scheme(8, signed=False),
    Scheme(4),
    Scheme(4, symmetric=True),
    Scheme(2, signed=False),
    Scheme(5, symmetric=True),
]
ACTIVATIONS = [
    Scheme(8, signed=False),
    Scheme(8),
    Scheme(8, symmetric=True, narrow=True),
    Scheme(7, signed=False),
    Scheme(4),
]


class Apply(nn.Module):
    """A function, with the layers that it needs."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def conv(draw: random.Random, channels: int, outputs: int | None = None, same=False) -> nn.Module:
    groups = draw.choice([g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0])
    outputs = outputs or groups * draw.randint(1, 6 if groups < 4 else 1)
    groups = groups if outputs % groups == 0 else 1
    kernel = [draw.choice((1, 3) if same else (1, 2, 3, 5)) for _ in range(2)]
    dilation = [draw.choice((1, 1, 2)) for _ in range(2)]
    stride = 1 if same else draw.choice((1, 1, 2, (1, 2), (3, 1)))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    padding = [r // 2 if same else draw.randint(0, r + 1) for r in reach]
    bias = draw.random() < 0.7
    return nn.Conv2d(channels, outputs, kernel, stride, padding, dilation, groups, bias)


def activation(draw: random.Random, channels: int) -> nn.Module:
    return draw.choice(
        [nn.ReLU(), nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Tanh(), nn.PReLU(channels), nn.GELU()]
    )


def block(draw: random.Random, channels: int) -> nn.Module:
    """Draw something that takes images of so many channels."""

    def one() -> nn.Module:
        return conv(draw, channels)

    def same() -> nn.Module:
        return conv(draw, channels, channels, same=True)

    size, sides = draw.choice((2, 3)), draw.randint(0, 1)
    choices: dict[str, Callable[[], nn.Module]] = {
        "conv": one,
        "conv and activation": lambda: nn.Sequential(one(), activation(draw, 1)),
        "activation": lambda: activation(draw, channels),
        "residual": lambda: Apply(lambda x, f: F.relu(x + f(x)), same()),
        "difference": lambda: Apply(lambda x, f, g: f(x) - g(x), same(), same()),
        "own sum": lambda: Apply(lambda x, f: f(x).add(x, alpha=-0.5), same()),
        "scaled": lambda: Apply(lambda x: x * x.mean((2, 3), keepdim=True)),
        "gate": lambda: Apply(
            lambda x, f: x * f(F.adaptive_avg_pool2d(x, 1)).sigmoid(),
            nn.Conv2d(channels, channels, 1),
        ),
        "rows": lambda: Apply(lambda x: x + x.mean(3, keepdim=True)),
        "columns": lambda: Apply(lambda x: F.relu(x * x.amax(2, keepdim=True))),
        "cat": lambda: Apply(lambda x, f, g: torch.cat([f(x), x, g(x)], 1), same(), same()),
        "cat rows": lambda: Apply(lambda x, f: torch.cat([x, f(x)], 2), same()),
        "largest": lambda: nn.MaxPool2d(size, 2, sides, ceil_mode=draw.random() < 0.5),
        "average": lambda: nn.AvgPool2d(size, 2, sides),
        "uncounted": lambda: nn.AvgPool2d(size, 2, sides, True, False),
        "uneven": lambda: nn.AdaptiveAvgPool2d((draw.randint(1, 4), draw.randint(1, 4))),
        "even": lambda: nn.AdaptiveAvgPool2d((1, 1)),
        "nearest": lambda: nn.Upsample(scale_factor=2),
        "bilinear": lambda: nn.Upsample(size=(draw.randint(2, 9), 7), mode="bilinear"),
        "pad": lambda: nn.ConstantPad2d((draw.randint(0, 2), 1, 0, 2), draw.choice((0.0, 0.4))),
        "reflect": lambda: Apply(lambda x: F.pad(x, (0, 1, 1, 0), "replicate")),
        "transposed": lambda: nn.ConvTranspose2d(channels, 3, 3, 2, 1, draw.randint(0, 1)),
        "turned": lambda: Apply(lambda x: x.flip(3).transpose(2, 3).roll(1, 2)),
        "sum so far": lambda: Apply(lambda x: x.cumsum(2)),
        "halves": lambda: Apply(
            lambda x: torch.cat([part.relu() for part in x.chunk(2, 1)][::-1], 1)
        ),
        "slices": lambda: Apply(lambda x: x[:, :, 1:, ::2] + x[:, :, :-1, :1]),
        "sequence": lambda: Apply(
            lambda x, f: f(x.flatten(2)).unsqueeze(3),
            nn.Conv1d(channels, 4, 3, padding=1, stride=draw.randint(1, 2)),
        ),
        "tokens": lambda: Apply(
            lambda x, f: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.Linear(channels, 5)
        ),
        "clamp": lambda: Apply(lambda x: x.clamp(-0.5, 0.7)),
        "smallest": lambda: Apply(lambda x: x - x.amin(1, keepdim=True)),
        "stack": lambda: Apply(lambda x: torch.stack([x, x.tanh()], 2).flatten(1, 2)),
    }
    return choices[draw.choice(list(choices))]()


def head(draw: random.Random, shape: torch.Size) -> nn.Module:
    _, channels, height, width = shape
    flat = channels * height * width
    return draw.choice(
        [
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(flat, 7)),
            lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 6)),
            lambda: Apply(lambda x, f: f(x.mean((2, 3))).relu(), nn.Linear(channels, 5)),
            lambda: Apply(lambda x: x.sum((1, 3))),
            lambda: Apply(lambda x: x.amax((2, 3)) * 0.5 + 0.1),
            lambda: nn.Identity(),
        ]
    )()


def random_network(seed: int) -> tuple[QuantizedModel, Tensor]:
    """Return an integer network and two images that it takes."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    shape = (draw.randint(1, 4), draw.randint(5, 9), draw.randint(5, 9))
    images = torch.randn(4, *shape)
    layers = [conv(draw, shape[0], draw.randint(2, 6), same=True)]
    x = layers[0].eval()(images)
    for _ in range(draw.randint(2, 5)):
        layer = block(draw, x.shape[1])
        try:
            with torch.no_grad():
                y = layer.eval()(x)
        except RuntimeError:
            continue  # a kernel that is larger than the image
        if 0 < y.numel() / len(y) <= MOST_NUMBERS and min(y.shape) > 0:
            layers.append(layer)
            x = y
    network = nn.Sequential(*layers, head(draw, x.shape)).eval()
    model = quantize_model(
        network,
        [images],
        draw.choice(WEIGHTS),
        draw.choice(ACTIVATIONS),
        observer="minmax",
        weight_method="minmax",
        per_channel=draw.random() < 0.6,
    )
    return model, torch.cat([images[:1], 3 * torch.randn(1, *shape)])
