"""Networks that split and join."""

import torch
from torch import Tensor, nn

from networks.parts import Classifier, Joined, conv_norm


class DenseLayer(nn.Module):
    """Takes all that came before, and adds a few channels."""

    def __init__(self, inputs: int, growth: int, wider: int) -> None:
        super().__init__()
        middle = wider * growth
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(middle), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(middle, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        joined = [features] if isinstance(features, Tensor) else features
        x = self.conv1(self.relu1(self.norm1(torch.cat(joined, 1))))
        return self.conv2(self.relu2(self.norm2(x)))


class DenseBlock(nn.ModuleDict):
    def __init__(self, layers: int, inputs: int, growth: int, wider: int = 2) -> None:
        super().__init__()
        for i in range(layers):
            self.add_module(f"denselayer{i + 1}", DenseLayer(inputs + i * growth, growth, wider))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


def densenet() -> nn.Module:
    """Huang et al. 2017."""
    layers: list[nn.Module] = [conv_norm(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 16
    for i, count in enumerate((3, 4, 3)):
        layers.append(DenseBlock(count, inputs, 8))
        inputs += 8 * count
        if i < 2:
            narrower = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(True), narrower, nn.AvgPool2d(2, 2)]
            inputs //= 2
    return Classifier(nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(True)), inputs)


class InputTransform(nn.Module):
    """Another normalization of the images, channel by channel."""

    def forward(self, x: Tensor) -> Tensor:
        scales, shifts = (0.458, 0.448, 0.45), (-0.03, -0.088, -0.188)
        parts = [torch.unsqueeze(x[:, i], 1) * scales[i] + shifts[i] for i in range(3)]
        return torch.cat(parts, 1)


def googlenet() -> nn.Module:
    """Szegedy et al. 2015."""

    def inception_block(inputs: int, width: int) -> nn.Module:
        return Joined(
            conv_norm(inputs, width, 1),
            nn.Sequential(conv_norm(inputs, width, 1), conv_norm(width, width)),
            nn.Sequential(conv_norm(inputs, 8, 1), conv_norm(8, width)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_norm(inputs, width, 1)),
        )

    layers = [InputTransform(), conv_norm(3, 16, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [conv_norm(16, 16, 1), conv_norm(16, 32), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [inception_block(32, 12), inception_block(48, 16)]
    layers += [nn.MaxPool2d(2, 2, ceil_mode=True), inception_block(64, 16)]
    return Classifier(nn.Sequential(*layers), 64, nn.Dropout(0.2), nn.Linear(64, 10))


def inception() -> nn.Module:
    """Szegedy et al. 2016: long and flat kernels, and branches in branches."""

    def norm(*sizes, **more) -> nn.Module:
        return conv_norm(*sizes, eps=0.001, **more)

    def first(inputs: int) -> nn.Module:
        return Joined(
            norm(inputs, 16, 1),
            nn.Sequential(norm(inputs, 12, 1), norm(12, 16, 5)),
            nn.Sequential(norm(inputs, 16, 1), norm(16, 24), norm(24, 24)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), norm(inputs, 8, 1)),
        )

    smaller = Joined(
        norm(64, 48, 3, 2),
        nn.Sequential(norm(64, 16, 1), norm(16, 24), norm(24, 24, 3, 2)),
        nn.MaxPool2d(3, 2, 1),
    )
    flat = Joined(
        norm(136, 32, 1),
        nn.Sequential(norm(136, 24, 1), norm(24, 24, (1, 7)), norm(24, 32, (7, 1))),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), norm(136, 32, 1)),
    )
    forked = Joined(
        norm(96, 32, 1),
        nn.Sequential(norm(96, 32, 1), Joined(norm(32, 32, (1, 3)), norm(32, 32, (3, 1)))),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), norm(96, 32, 1)),
    )
    stem = [InputTransform(), norm(3, 16, 3, 2), norm(16, 16), nn.MaxPool2d(3, 2)]
    return Classifier(nn.Sequential(*stem, first(16), smaller, flat, forked), 128)


class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.squeeze(x))
        return torch.cat([self.act(self.expand1x1(x)), self.act(self.expand3x3(x))], 1)


def squeezenet() -> nn.Module:
    """Iandola et al. 2016: the last convolution makes the logits."""
    layers = [nn.Conv2d(3, 16, 3, 2), nn.ReLU(True), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [Fire(16, 8, 16), Fire(32, 8, 16), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [Fire(32, 12, 24), Fire(48, 12, 24), nn.Dropout(), nn.Conv2d(48, 10, 1)]
    return nn.Sequential(*layers, nn.ReLU(True), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    batch, channels, height, width = x.size()
    x = x.view(batch, groups, channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, self.stride = outputs // 2, stride
        first = inputs if stride > 1 else half
        self.branch1 = nn.Sequential(
            conv_norm(inputs, inputs, 3, stride, inputs, act=None), conv_norm(inputs, half, 1)
        )
        self.branch2 = nn.Sequential(
            conv_norm(first, half, 1),
            conv_norm(half, half, 3, stride, half, act=None),
            conv_norm(half, half, 1),
        )
        if stride == 1:
            self.branch1 = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNet(nn.Module):
    """Ma et al. 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.maxpool = conv_norm(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1)
        sizes = [(12, 24, 2), (24, 24, 1), (24, 48, 2), (48, 48, 1)]
        self.stages = nn.Sequential(*(ShuffleUnit(*size) for size in sizes))
        self.conv5, self.fc = conv_norm(48, 64, 1), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv5(self.stages(self.maxpool(self.conv1(x))))
        return self.fc(x.mean([2, 3]))


def shufflenet() -> nn.Module:
    return ShuffleNet()
