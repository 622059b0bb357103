"""Batch normalization that no layer is left to be folded into, in quantization-aware training.

Its statistics stay, as those do that were folded: the network starts as the one that was trained,
whatever the size of a batch. Its factors and offsets are trained.
"""

from typing import Self

from torch import nn


class _Fixed:
    """Keeps a normalization in eval mode."""

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)  # type: ignore[misc]


class FixedNorm1d(_Fixed, nn.BatchNorm1d):
    """A `BatchNorm1d` whose statistics stay."""


class FixedNorm2d(_Fixed, nn.BatchNorm2d):
    """A `BatchNorm2d` whose statistics stay."""


class FixedSyncNorm(_Fixed, nn.SyncBatchNorm):
    """A `SyncBatchNorm` whose statistics stay."""


FIXED: dict[type, type] = {
    nn.BatchNorm1d: FixedNorm1d,
    nn.BatchNorm2d: FixedNorm2d,
    nn.SyncBatchNorm: FixedSyncNorm,
}


def fix_norms(network: nn.Module) -> None:
    """Let the statistics of all batch normalization in a network stay, in place."""
    for module in network.modules():
        if type(module) in FIXED:
            module.__class__ = FIXED[type(module)]
            module.eval()
