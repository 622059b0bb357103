"""GoogLeNet (Szegedy et al. 2015) and Inception-v3 (Szegedy et al. 2016) at full size."""

from typing import Any

from torch import nn

from networks.branched import InputTransform
from networks.parts import Classifier, Joined, conv_norm

CLASSES = 1000


def _norm(*sizes: Any) -> nn.Module:
    return conv_norm(*sizes, eps=0.001)


def _unpadded(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    block: Any = _norm(inputs, outputs, kernel, stride)
    block[0].padding = (0, 0)
    return block


def googlenet() -> nn.Module:
    def block(inputs: int, one: int, *widths: int) -> nn.Module:
        before3, three, before5, five, pooled = widths
        return Joined(
            _norm(inputs, one, 1),
            nn.Sequential(_norm(inputs, before3, 1), _norm(before3, three)),
            nn.Sequential(_norm(inputs, before5, 1), _norm(before5, five)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), _norm(inputs, pooled, 1)),
        )

    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    layers = [InputTransform(), _norm(3, 64, 7, 2), pool, _norm(64, 64, 1), _norm(64, 192), pool]
    layers += [block(192, 64, 96, 128, 16, 32, 32), block(256, 128, 128, 192, 32, 96, 64), pool]
    layers += [block(480, 192, 96, 208, 16, 48, 64), block(512, 160, 112, 224, 24, 64, 64)]
    layers += [block(512, 128, 128, 256, 24, 64, 64), block(512, 112, 144, 288, 32, 64, 64)]
    layers += [block(528, 256, 160, 320, 32, 128, 128), nn.MaxPool2d(2, 2, ceil_mode=True)]
    layers += [block(832, 256, 160, 320, 32, 128, 128), block(832, 384, 192, 384, 48, 128, 128)]
    head = [nn.Dropout(0.2), nn.Linear(1024, CLASSES)]
    return Classifier(nn.Sequential(*layers), 1024, *head)


def inception_v3() -> nn.Module:
    """For images of 299 pixels."""

    def pooled(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), _norm(inputs, outputs, 1))

    def first(inputs: int, last: int) -> nn.Module:
        return Joined(
            _norm(inputs, 64, 1),
            nn.Sequential(_norm(inputs, 48, 1), _norm(48, 64, 5)),
            nn.Sequential(_norm(inputs, 64, 1), _norm(64, 96), _norm(96, 96)),
            pooled(inputs, last),
        )

    def flat(width: int) -> nn.Module:
        twice = [(width, width, (7, 1)), (width, width, (1, 7)), (width, width, (7, 1))]
        return Joined(
            _norm(768, 192, 1),
            nn.Sequential(
                _norm(768, width, 1), _norm(width, width, (1, 7)), _norm(width, 192, (7, 1))
            ),
            nn.Sequential(
                _norm(768, width, 1), *(_norm(*s) for s in twice), _norm(width, 192, (1, 7))
            ),
            pooled(768, 192),
        )

    def forked(*before: nn.Module) -> nn.Module:
        both = Joined(_norm(384, 384, (1, 3)), _norm(384, 384, (3, 1)))
        return nn.Sequential(*before, both)

    def last(inputs: int) -> nn.Module:
        return Joined(
            _norm(inputs, 320, 1),
            forked(_norm(inputs, 384, 1)),
            forked(_norm(inputs, 448, 1), _norm(448, 384)),
            pooled(inputs, 192),
        )

    smaller = Joined(
        _unpadded(288, 384, 3, 2),
        nn.Sequential(_norm(288, 64, 1), _norm(64, 96), _unpadded(96, 96, 3, 2)),
        nn.MaxPool2d(3, 2),
    )
    sevens = [_norm(192, 192, (1, 7)), _norm(192, 192, (7, 1))]
    smallest = Joined(
        nn.Sequential(_norm(768, 192, 1), _unpadded(192, 320, 3, 2)),
        nn.Sequential(_norm(768, 192, 1), *sevens, _unpadded(192, 192, 3, 2)),
        nn.MaxPool2d(3, 2),
    )
    layers = [InputTransform(), _unpadded(3, 32, 3, 2), _unpadded(32, 32, 3), _norm(32, 64)]
    layers += [nn.MaxPool2d(3, 2), _unpadded(64, 80, 1), _unpadded(80, 192, 3), nn.MaxPool2d(3, 2)]
    layers += [first(192, 32), first(256, 64), first(288, 64), smaller]
    layers += [flat(128), flat(160), flat(160), flat(192), smallest, last(1280), last(2048)]
    head = [nn.Dropout(), nn.Linear(2048, CLASSES)]
    return Classifier(nn.Sequential(*layers), 2048, *head)
