"""Networks as other people write them, small: random weights, BN statistics set by data.

``python tests/other_networks.py`` prints the SQNR of each in integers against FP32.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 24  # of the images, which have three channels


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """With one ReLU for both places, in place, and a shortcut that is added in place."""

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """He et al. 2016, with an eighth of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.inplanes = 8
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(8, 1)
        self.layer2 = self._make_layer(16, 2)
        self.layer3 = self._make_layer(32, 2)
        self.layer4 = self._make_layer(64, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(64, 10)

    def _make_layer(self, planes: int, stride: int) -> nn.Sequential:
        downsample = None
        if stride != 1:
            conv = nn.Conv2d(self.inplanes, planes, 1, stride, bias=False)
            downsample = nn.Sequential(conv, nn.BatchNorm2d(planes))
        first = BasicBlock(self.inplanes, planes, stride, downsample)
        self.inplanes = planes
        return nn.Sequential(first, BasicBlock(planes, planes, 1, None))

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


class ConvBNReLU(nn.Sequential):
    def __init__(self, inp: int, oup: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        conv = nn.Conv2d(inp, oup, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(oup), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = inp * expand_ratio
        self.use_res_connect = stride == 1 and inp == oup
        layers: list[nn.Module] = [ConvBNReLU(inp, hidden, 1)] if expand_ratio != 1 else []
        layers += [ConvBNReLU(hidden, hidden, 3, stride, hidden)]
        layers += [nn.Conv2d(hidden, oup, 1, bias=False), nn.BatchNorm2d(oup)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, shallower."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [ConvBNReLU(3, 8, 3, 2)]
        inp = 8
        for expand, channels, count, stride in [(1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 2)]:
            for i in range(count):
                blocks.append(InvertedResidual(inp, channels, stride if i == 0 else 1, expand))
                inp = channels
        self.features = nn.Sequential(*blocks, ConvBNReLU(inp, 64, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.mean([2, 3])
        return self.classifier(x)


class VGG(nn.Module):
    """Simonyan and Zisserman 2015, with batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for v in (8, "M", 16, 16, "M", 32, "M"):
            if isinstance(v, str):
                layers += [nn.MaxPool2d(2, 2)]
            else:
                layers += [nn.Conv2d(channels, v, 3, padding=1), nn.BatchNorm2d(v), nn.ReLU(True)]
                channels = v
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Linear(32 * 9, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(64, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        x = x.view(x.size(0), -1)
        return self.classifier(x)


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv, self.norm = conv3x3(channels, growth), nn.BatchNorm2d(growth)

    def forward(self, features: list[Tensor]) -> Tensor:
        return F.relu(self.norm(self.conv(torch.cat(features, 1))))


class Dense(nn.Module):
    """Every layer reads all before it (Huang et al. 2017), normalized behind its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNReLU(3, 8, 3, 2)
        self.layers = nn.ModuleList(DenseLayer(8 + 6 * i, 6) for i in range(4))
        self.transition = nn.Sequential(nn.Conv2d(32, 16, 1), nn.AvgPool2d(2), nn.ReLU())
        self.classifier = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(features))
        x = self.transition(torch.cat(features, dim=1))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.classifier(x.reshape(x.shape[0], -1))


class Functional(nn.Module):
    """Functions and bare parameters; a shortcut that is added in place; padding of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(12, 3, 3, 3) / 5)
        self.offset = nn.Parameter(torch.randn(12) / 5)
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.down = nn.Conv2d(12, 12, 3, 2, groups=3)
        self.norm = nn.BatchNorm2d(12)
        self.mix = nn.Conv2d(12, 12, 1, padding="same")
        self.out = nn.Parameter(torch.randn(10, 12) / 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.kernel, self.offset, padding=1), inplace=True)
        x = F.max_pool2d(x, 2)
        x = F.relu6(self.norm(self.down(self.pad(x))))
        shortcut = F.avg_pool2d(x, 3, stride=1, padding=1)
        x = self.mix(x)
        x += shortcut
        x = F.dropout(torch.relu(x), training=self.training)
        return F.linear(x.mean((2, 3)), self.out)


NETWORKS: dict[str, type[nn.Module]] = {
    "ResNet-18": ResNet18,
    "MobileNetV2": MobileNetV2,
    "VGG": VGG,
    "Dense": Dense,
    "functional": Functional,
}


def pictures(count: int, size: int | tuple[int, int] = SIZE, seed: int = 1) -> Tensor:
    """Return smooth random images, as natural ones are: neighbours differ little."""
    height, width = (size, size) if isinstance(size, int) else size
    noise = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return 2 * F.avg_pool2d(noise, 3, 1, 1) + noise / 4


@functools.cache
def network(name: str) -> nn.Module:
    """Return a network in eval mode, whose statistics are those of data. Shared: leave it be."""
    torch.manual_seed(0)
    return settled(NETWORKS[name]())


def settled(model: nn.Module, images: Tensor | None = None) -> nn.Module:
    """Set the BN statistics by data, with factors and offsets as training leaves them."""
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and norm.affine:
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.5, 0.5)
        for _ in range(20):
            model.train()(pictures(32) if images is None else images)
    return model.eval()


def sqnr(real: Tensor, quantized: Tensor) -> float:
    """Return the signal-to-quantization-noise ratio in dB."""
    noise = (quantized - real).double().square().sum().item()
    if not noise:
        return math.inf
    return 10 * math.log10(real.double().square().sum().item() / noise)


if __name__ == "__main__":
    from labkit.ptq import quantize_model

    torch.set_num_threads(1)
    with torch.no_grad():
        for name in NETWORKS:
            quantized = quantize_model(network(name), [pictures(32)])
            test = pictures(16, seed=2)
            print(f"{name:12} {sqnr(network(name)(test), quantized(test)):5.1f} dB")
