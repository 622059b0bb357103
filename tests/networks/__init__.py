"""Classification networks as the literature has them, narrow: random weights, three channels in.

Each is written from its paper, with all the kinds of layers and connections that it has, and as few
channels and repetitions as show them.
"""

from collections.abc import Callable

from torch import nn

from networks.branched import densenet, googlenet, inception, shufflenet, squeezenet
from networks.plain import alexnet, regnet, resnet, resnext, vgg, wide_resnet
from networks.separable import efficientnet, efficientnet_v2, mnasnet, mobilenet_v2, mobilenet_v3
from networks.transformers import convnext, swin, vit

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "alexnet": alexnet,
    "vgg11_bn": vgg,
    "resnet18": resnet,
    "resnext50_32x4d": resnext,
    "wide_resnet50_2": wide_resnet,
    "densenet121": densenet,
    "googlenet": googlenet,
    "inception_v3": inception,
    "squeezenet1_1": squeezenet,
    "shufflenet_v2_x1_0": shufflenet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_small": mobilenet_v3,
    "mnasnet1_0": mnasnet,
    "regnet_y_400mf": regnet,
    "efficientnet_b0": efficientnet,
    "efficientnet_v2_s": efficientnet_v2,
}
WITH_ISLANDS: dict[str, Callable[[], nn.Module]] = {
    "convnext_tiny": convnext,
    "vit_b_16": vit,
    "swin_t": swin,
}
