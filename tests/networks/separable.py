"""Depthwise separable convolutions: mobile and efficient networks."""

from torch import Tensor, nn

from networks.parts import Classifier, SqueezeExcitation, conv_norm


class Inverted(nn.Module):
    """Wide in the middle, one convolution a channel there, and linear at the end."""

    def __init__(self, inputs, outputs, kernel, stride, expand, act, squeeze=None, fused=False):
        super().__init__()
        middle = inputs * expand
        self.is_residual = stride == 1 and inputs == outputs
        if fused and expand == 1:
            self.block = conv_norm(inputs, outputs, kernel, stride, act=act)
            return
        if fused:
            layers = [conv_norm(inputs, middle, kernel, stride, act=act)]
        else:
            layers = [conv_norm(inputs, middle, 1, act=act)] if expand > 1 else []
            layers.append(conv_norm(middle, middle, kernel, stride, middle, act))
        if squeeze:
            layers.append(squeeze(middle))
        self.block = nn.Sequential(*layers, conv_norm(middle, outputs, 1, act=None))

    def forward(self, x: Tensor) -> Tensor:
        result = self.block(x)
        if self.is_residual:
            result += x
        return result


def network(width, blocks, act, head, *, last=64) -> nn.Module:
    layers, inputs = [conv_norm(3, width, 3, 2, act=act)], width
    for outputs, kernel, stride, expand, squeeze, fused in blocks:
        layers.append(Inverted(inputs, outputs, kernel, stride, expand, act, squeeze, fused))
        inputs = outputs
    layers.append(conv_norm(inputs, last, 1, act=act))
    return Classifier(nn.Sequential(*layers), last, *head)


def mobilenet_v2() -> nn.Module:
    """Sandler et al. 2018."""
    blocks = [(8, 3, 1, 1), (12, 3, 2, 4), (12, 3, 1, 4), (16, 3, 2, 4), (16, 3, 1, 4)]
    blocks = [(*block, None, False) for block in blocks]
    return network(16, blocks, nn.ReLU6, [nn.Dropout(0.2), nn.Linear(64, 10)])


def mobilenet_v3() -> nn.Module:
    """Howard et al. 2019: hard swish, and gates with a hard sigmoid."""

    def squeeze(channels: int) -> nn.Module:
        return SqueezeExcitation(channels, 8, nn.ReLU, nn.Hardsigmoid)

    blocks = [(16, 3, 2, 1, squeeze), (24, 3, 2, 4, None), (24, 5, 1, 4, squeeze)]
    blocks = [(*block, False) for block in blocks]
    head = [nn.Linear(64, 64), nn.Hardswish(inplace=True), nn.Dropout(0.2), nn.Linear(64, 10)]
    return network(16, blocks, lambda: nn.Hardswish(inplace=True), head)


def mnasnet() -> nn.Module:
    """Tan et al. 2019."""
    blocks = [(8, 3, 1, 1), (12, 3, 2, 3), (12, 3, 1, 3), (16, 5, 2, 3), (16, 5, 1, 3)]
    blocks = [(*block, None, False) for block in blocks]
    head = [nn.Dropout(0.2, inplace=True), nn.Linear(64, 10)]
    return network(16, blocks, lambda: nn.ReLU(inplace=True), head)


def _squeeze(channels: int) -> nn.Module:
    return SqueezeExcitation(channels, max(channels // 16, 4), nn.SiLU)


def efficientnet() -> nn.Module:
    """Tan and Le 2019."""
    blocks = [(8, 3, 1, 1), (12, 3, 2, 4), (12, 3, 1, 4), (16, 5, 2, 4), (16, 5, 1, 4)]
    blocks = [(*block, _squeeze, False) for block in blocks]
    return network(16, blocks, nn.SiLU, [nn.Dropout(0.2), nn.Linear(64, 10)])


def efficientnet_v2() -> nn.Module:
    """Tan and Le 2021: fused at the beginning."""
    blocks = [(12, 3, 1, 2, None, True), (12, 3, 1, 2, None, True), (16, 3, 2, 4, None, True)]
    blocks += [(24, 3, 2, 4, _squeeze, False), (24, 3, 1, 4, _squeeze, False)]
    return network(12, blocks, nn.SiLU, [nn.Dropout(0.2), nn.Linear(64, 10)])
