"""What several of the networks share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = nn.ReLU,
    eps: float = 1e-5,
) -> nn.Sequential:
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (size[0] // 2, size[1] // 2)
    conv = nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps), *([act()] if act else []))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, squeezed: int, act=nn.ReLU, gate=nn.Sigmoid) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation, self.scale_activation = act(), gate()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return self.scale_activation(scale) * x


class Residual(nn.Module):
    """``act(block(x) + shortcut(x))``."""

    def __init__(self, block: nn.Module, shortcut: nn.Module | None, act: nn.Module) -> None:
        super().__init__()
        self.block, self.shortcut, self.act = block, shortcut, act

    def forward(self, x: Tensor) -> Tensor:
        out = self.block(x)
        out += x if self.shortcut is None else self.shortcut(x)
        return self.act(out)


class Classifier(nn.Module):
    def __init__(self, features: nn.Module, channels: int, *head: nn.Module) -> None:
        super().__init__()
        self.features, self.avgpool = features, nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(*head) if head else nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Joined(nn.Module):
    """Branches, joined along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)
