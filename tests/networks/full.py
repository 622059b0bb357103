"""The same networks as their papers have them: all channels, all repetitions, 1,000 classes."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from networks.branched import DenseBlock, Fire, ShuffleUnit
from networks.full_inception import googlenet, inception_v3
from networks.parts import Classifier, Residual, SqueezeExcitation, conv_norm
from networks.plain import stem
from networks.separable import Inverted
from networks.transformers import ViT, convnext, swin

CLASSES = 1000


def alexnet() -> nn.Module:
    layers: list[nn.Module] = []
    widths = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1)]
    for i, (inputs, outputs, kernel, stride, padding) in enumerate([*widths, (256, 256, 3, 1, 1)]):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(True)]
        layers += [nn.MaxPool2d(3, 2)] if i in (0, 1, 4) else []
    head = [nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(True), nn.Dropout()]
    head += [nn.Linear(4096, 4096), nn.ReLU(True), nn.Linear(4096, CLASSES)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((6, 6)), nn.Flatten(), *head)


def _vgg(widths: tuple[int, ...], normalized: bool) -> nn.Module:
    """Chain 3x3 convolutions of these widths; 0 stands for a pooling."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in widths:
        if not width:
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(inputs, width, 3, padding=1))
        layers += [nn.BatchNorm2d(width)] if normalized else []
        layers.append(nn.ReLU(True))
        inputs = width
    head = [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(True), nn.Dropout()]
    head += [nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, CLASSES)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((7, 7)), *head)


def vgg11_bn() -> nn.Module:
    return _vgg((64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0), normalized=True)


def vgg16() -> nn.Module:
    narrow = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0)
    return _vgg((*narrow, 512, 512, 512, 0, 512, 512, 512, 0), normalized=False)


def _stages(make: Callable[[int, int, int], nn.Module], first: int, widths: Any) -> nn.Module:
    """Chain residual blocks; `widths` holds the channels, the stride and the number of each."""
    layers, inputs = stem(64) if first == 64 else [conv_norm(3, first, 3, 2)], first
    for width, stride, count in widths:
        for step in (stride, *[1] * (count - 1)):
            same = step == 1 and inputs == width
            shortcut = None if same else conv_norm(inputs, width, 1, step, act=None)
            layers.append(Residual(make(inputs, width, step), shortcut, nn.ReLU(True)))
            inputs = width
    return Classifier(nn.Sequential(*layers), inputs, nn.Linear(inputs, CLASSES))


def resnet18() -> nn.Module:
    def basic(inputs: int, width: int, stride: int) -> nn.Module:
        return nn.Sequential(conv_norm(inputs, width, 3, stride), conv_norm(width, width, act=None))

    return _stages(basic, 64, [(64, 1, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)])


def _bottleneck(ratio: float, groups: Callable[[int], int], squeeze: bool = False) -> Any:
    def make(inputs: int, width: int, stride: int) -> nn.Module:
        middle = int(width * ratio)
        layers = [conv_norm(inputs, middle, 1)]
        layers.append(conv_norm(middle, middle, 3, stride, groups(middle)))
        if squeeze:
            layers.append(SqueezeExcitation(middle, inputs // 4))
        return nn.Sequential(*layers, conv_norm(middle, width, 1, act=None))

    return make


RESNET50 = [(256, 1, 3), (512, 2, 4), (1024, 2, 6), (2048, 2, 3)]


def resnext50_32x4d() -> nn.Module:
    return _stages(_bottleneck(1 / 2, lambda middle: 32), 64, RESNET50)


def wide_resnet50_2() -> nn.Module:
    return _stages(_bottleneck(1 / 2, lambda middle: 1), 64, RESNET50)


def regnet_y_400mf() -> nn.Module:
    widths = [(48, 2, 1), (104, 2, 3), (208, 2, 6), (440, 2, 6)]
    return _stages(_bottleneck(1, lambda middle: middle // 8, squeeze=True), 32, widths)


def densenet121() -> nn.Module:
    layers: list[nn.Module] = stem(64)
    inputs = 64
    for i, count in enumerate((6, 12, 24, 16)):
        layers.append(DenseBlock(count, inputs, 32, 4))
        inputs += 32 * count
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(True)]
        if i < 3:
            layers += [nn.Conv2d(inputs, inputs // 2, 1, bias=False), nn.AvgPool2d(2, 2)]
            inputs //= 2
    return Classifier(nn.Sequential(*layers), inputs, nn.Linear(inputs, CLASSES))


def squeezenet1_1() -> nn.Module:
    pool = [nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(True), *pool]
    layers += [Fire(64, 16, 64), Fire(128, 16, 64), *pool, Fire(128, 32, 128), Fire(256, 32, 128)]
    layers += [*pool, Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256)]
    layers += [Fire(512, 64, 256), nn.Dropout(), nn.Conv2d(512, CLASSES, 1), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())


def shufflenet_v2_x1_0() -> nn.Module:
    layers = [conv_norm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 24
    for width, count in ((116, 4), (232, 8), (464, 4)):
        layers += [ShuffleUnit(inputs, width, 2)]
        layers += [ShuffleUnit(width, width, 1) for _ in range(count - 1)]
        inputs = width
    layers.append(conv_norm(464, 1024, 1))
    return Classifier(nn.Sequential(*layers), 1024, nn.Linear(1024, CLASSES))


def _inverted(first: int, rows: Any, act: Any, head: list[nn.Module], last: int, **kinds: Any):
    """Chain blocks; a row holds kernel, stride, expansion, channels, number, squeezed, fused."""
    layers, inputs = [conv_norm(3, first, 3, 2, act=act)], first
    for kernel, stride, expand, outputs, count, squeezed, fused in rows:
        for i in range(count):
            before = inputs

            def squeeze(middle: int, before: int = before) -> nn.Module:
                return SqueezeExcitation(middle, max(before // 4, 1), nn.SiLU)

            step = stride if i == 0 else 1
            made = squeeze if squeezed else None
            layers.append(Inverted(inputs, outputs, kernel, step, expand, act, made, fused))
            inputs = outputs
    layers.append(conv_norm(inputs, last, 1, act=act))
    return Classifier(nn.Sequential(*layers), last, *head)


def mobilenet_v2() -> nn.Module:
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    rows += [(6, 160, 3, 2), (6, 320, 1, 1)]
    blocks = [(3, s, t, c, n, False, False) for t, c, n, s in rows]
    return _inverted(32, blocks, nn.ReLU6, [nn.Dropout(0.2), nn.Linear(1280, CLASSES)], 1280)


def mnasnet1_0() -> nn.Module:
    rows = [(3, 1, 1, 16, 1), (3, 2, 3, 24, 3), (5, 2, 3, 40, 3), (5, 2, 6, 80, 3)]
    rows += [(3, 1, 6, 96, 2), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]
    blocks = [(*row, False, False) for row in rows]
    return _inverted(32, blocks, nn.ReLU, [nn.Dropout(0.2), nn.Linear(1280, CLASSES)], 1280)


def efficientnet_b0() -> nn.Module:
    rows = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)]
    rows += [(5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]
    blocks = [(*row, True, False) for row in rows]
    return _inverted(32, blocks, nn.SiLU, [nn.Dropout(0.2), nn.Linear(1280, CLASSES)], 1280)


def efficientnet_v2_s() -> nn.Module:
    fused = [(3, 1, 1, 24, 2), (3, 2, 4, 48, 4), (3, 2, 4, 64, 4)]
    plain = [(3, 2, 4, 128, 6), (3, 1, 6, 160, 9), (3, 2, 6, 256, 15)]
    blocks = [(*row, False, True) for row in fused] + [(*row, True, False) for row in plain]
    return _inverted(24, blocks, nn.SiLU, [nn.Dropout(0.2), nn.Linear(1280, CLASSES)], 1280)


class MobileNetV3(nn.Module):
    """Of the small kind; its blocks differ in width, gate and activation."""

    def __init__(self) -> None:
        super().__init__()
        rows = [(3, 16, 16, True, 0, 2), (3, 72, 24, False, 0, 2), (3, 88, 24, False, 0, 1)]
        rows += [(5, 96, 40, True, 1, 2), (5, 240, 40, True, 1, 1), (5, 240, 40, True, 1, 1)]
        rows += [(5, 120, 48, True, 1, 1), (5, 144, 48, True, 1, 1), (5, 288, 96, True, 1, 2)]
        rows += [(5, 576, 96, True, 1, 1), (5, 576, 96, True, 1, 1)]
        layers, inputs = [conv_norm(3, 16, 3, 2, act=nn.Hardswish)], 16
        for kernel, middle, outputs, squeezed, hard, stride in rows:
            act = nn.Hardswish if hard else nn.ReLU
            block = [conv_norm(inputs, middle, 1, act=act)] if middle != inputs else []
            block.append(conv_norm(middle, middle, kernel, stride, middle, act))
            if squeezed:
                width = max(8, int(middle / 4 + 4) // 8 * 8)
                block.append(SqueezeExcitation(middle, width, gate=nn.Hardsigmoid))
            block.append(conv_norm(middle, outputs, 1, act=None))
            same = stride == 1 and inputs == outputs
            whole = nn.Sequential(*block)
            layers.append(Residual(whole, None, nn.Identity()) if same else whole)
            inputs = outputs
        layers.append(conv_norm(96, 576, 1, act=nn.Hardswish))
        head = [nn.Linear(576, 1024), nn.Hardswish(True), nn.Dropout(0.2)]
        self.body = Classifier(nn.Sequential(*layers), 576, *head, nn.Linear(1024, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def convnext_tiny() -> nn.Module:
    return convnext((96, 192, 384, 768), (3, 3, 9, 3), CLASSES)


def vit_b_16() -> nn.Module:
    return ViT(768, 16, 224, layers=12, heads=12, wider=4, classes=CLASSES)


def swin_t() -> nn.Module:
    return swin(96, (2, 2, 6, 2), (3, 6, 12, 24), window=7, wider=4, classes=CLASSES)


FULL_SIZE: dict[str, Callable[[], nn.Module]] = {
    "alexnet": alexnet,
    "vgg11_bn": vgg11_bn,
    "vgg16": vgg16,
    "resnet18": resnet18,
    "resnext50_32x4d": resnext50_32x4d,
    "wide_resnet50_2": wide_resnet50_2,
    "densenet121": densenet121,
    "googlenet": googlenet,
    "inception_v3": inception_v3,
    "squeezenet1_1": squeezenet1_1,
    "shufflenet_v2_x1_0": shufflenet_v2_x1_0,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_small": MobileNetV3,
    "mnasnet1_0": mnasnet1_0,
    "regnet_y_400mf": regnet_y_400mf,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_v2_s": efficientnet_v2_s,
    "convnext_tiny": convnext_tiny,
    "vit_b_16": vit_b_16,
    "swin_t": swin_t,
}
PIXELS = {"inception_v3": 299}  # a side; all others take 224
