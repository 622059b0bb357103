"""Chains of convolutions, and residual ones."""

from torch import nn

from networks.parts import Classifier, Residual, SqueezeExcitation, conv_norm


def alexnet() -> nn.Module:
    """Krizhevsky et al. 2012; Krizhevsky 2014."""
    widths = [(3, 16, 11, 4, 2), (16, 24, 5, 1, 2), (24, 32, 3, 1, 1), (32, 24, 3, 1, 1)]
    layers: list[nn.Module] = []
    for i, (inputs, outputs, kernel, stride, padding) in enumerate(widths):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        layers += [conv, nn.ReLU(inplace=True)] + ([nn.MaxPool2d(3, 2)] if i != 2 else [])
    head = [nn.Flatten(), nn.Dropout(), nn.Linear(24 * 36, 64), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((6, 6)), *head, nn.Linear(64, 10))


def vgg() -> nn.Module:
    """Simonyan and Zisserman 2015."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in (8, 0, 16, 0, 32, 32, 0, 32, 32, 0):
        if not width:
            layers.append(nn.MaxPool2d(2, 2))
            continue
        conv = nn.Conv2d(inputs, width, 3, padding=1)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        inputs = width
    head = [nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((7, 7)), *head)


def stem(width: int) -> list[nn.Module]:
    return [conv_norm(3, width, 7, 2), nn.MaxPool2d(3, 2, 1)]


def resnet() -> nn.Module:
    """He et al. 2016, basic blocks."""
    layers, inputs = stem(16), 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for step in (stride, 1):
            block = nn.Sequential(
                conv_norm(inputs, width, 3, step), conv_norm(width, width, act=None)
            )
            same = step == 1 and inputs == width
            shortcut = None if same else conv_norm(inputs, width, 1, step, act=None)
            layers.append(Residual(block, shortcut, nn.ReLU(inplace=True)))
            inputs = width
    return Classifier(nn.Sequential(*layers), inputs)


def bottlenecks(inner: int, groups: int, widths=((32, 1), (64, 2), (128, 2)), squeeze=0):
    layers, inputs = stem(16), 16
    for width, stride in widths:
        for step in (stride, 1):
            middle = width * inner // 4
            parts = [conv_norm(inputs, middle, 1), conv_norm(middle, middle, 3, step, groups)]
            if squeeze:
                parts.append(SqueezeExcitation(middle, squeeze))
            block = nn.Sequential(*parts, conv_norm(middle, width, 1, act=None))
            same = step == 1 and inputs == width
            shortcut = None if same else conv_norm(inputs, width, 1, step, act=None)
            layers.append(Residual(block, shortcut, nn.ReLU(inplace=True)))
            inputs = width
    return Classifier(nn.Sequential(*layers), inputs)


def resnext() -> nn.Module:
    """Xie et al. 2017: grouped convolutions in the middle."""
    return bottlenecks(2, 4)


def wide_resnet() -> nn.Module:
    """Zagoruyko and Komodakis 2016: twice as wide in the middle."""
    return bottlenecks(2, 1)


def regnet() -> nn.Module:
    """Radosavovic et al. 2020, type Y: groups, and squeeze and excitation."""
    return bottlenecks(4, 4, ((16, 2), (32, 2), (48, 2)), squeeze=8)
