"""A copy of a network that nothing but its forward computes."""

import copy

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

# Hooks that compute a layer's weights before each call.
REPARAMETRIZATIONS = (BasePruningMethod, SpectralNorm, WeightNorm)


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a network whose weights are parameters, however they came about.

    What computes a weight before each call (`torch.nn.utils.parametrize`, pruning, weight and
    spectral normalization) has computed it for the last time. A network that is compiled or spread
    over devices (`DataParallel`) becomes the one inside.
    """
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module) or (
        isinstance(model, nn.DataParallel) and isinstance(inner := model.module, nn.Module)
    ):
        model = inner
    # A weight that a hook computed has a history, and cannot be copied as it is.
    computed = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and value.requires_grad and not value.is_leaf
    }
    plain = copy.deepcopy(model, computed)
    for module in plain.modules():
        if parametrize.is_parametrized(module):
            values = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
            # The class with computed weights is the original's, too, so it is left, not changed.
            module.__class__ = type(module).__bases__[0]
            del module.parametrizations
            for name, value in values.items():
                module.register_parameter(name, nn.Parameter(value))
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, REPARAMETRIZATIONS):
                hook.remove(module)
                del module._forward_pre_hooks[key]
    return plain
