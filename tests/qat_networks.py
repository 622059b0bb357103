"""A network and data that are small enough to train in a test."""

import torch
from torch import nn


class Small(nn.Module):
    """A residual network with a layer of every kind that the zoo has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU())
        self.conv = nn.Conv2d(4, 4, 3, 1, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU6()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(self.relu(self.norm(self.conv(x)) + x))


def small_network() -> nn.Module:
    """Return it with statistics to fold, in eval mode."""
    torch.manual_seed(0)
    model = Small()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(16, 1, 9, 9))
    return model.eval()


def small_data() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 60 images of three classes that differ in brightness, and their labels."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (60,), generator=generator)
    images = torch.randn(60, 1, 9, 9, generator=generator) + labels[:, None, None, None]
    return images, labels
