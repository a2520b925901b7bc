"""Checks of a module's submodules, forward and hooks."""

from __future__ import annotations

from collections.abc import Collection

from timm.layers import DropPath, LayerNormFp32, RmsNorm, activations, activations_me
from torch import nn

from nplight.vit.dual_ops import LAYER_NORMS
from nplight.vit.site_hook import SiteHook
from nplight.vit.torch_private import hooks_of

_IDENTITIES = (nn.Identity, nn.Dropout, DropPath)
_TOKEN_WISE = (*LAYER_NORMS, LayerNormFp32, RmsNorm, nn.RMSNorm, nn.Identity)
# By name: some are missing in early versions of timm, and importing transformers is slow.
_ELEMENT_WISE = {
    "torch.nn.modules.activation": (
        "CELU ELU GELU Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish ReLU ReLU6 SELU SiLU Sigmoid Softplus "
        "Softsign Tanh"
    ),
    "torch.nn.modules.linear": "Identity",
    activations.__name__: "GELU GELUTanh HardMish HardSigmoid HardSwish Mish QuickGELU Sigmoid Swish Tanh",
    activations_me.__name__: "HardMishMe HardSigmoidMe HardSwishMe MishMe SwishMe",
    "transformers.activations": (
        "AccurateGELUActivation ClippedGELUActivation FastGELUActivation GELUActivation GELUTanh LaplaceActivation "
        "LinearActivation MishActivation NewGELUActivation PytorchGELUTanh QuickGELUActivation ReLUSquaredActivation "
        "SiLUActivation SqrtSoftplusActivation"
    ),
}


def only(module: nn.Module, names: Collection[str]) -> bool:
    """Whether a module holds no submodules except those of `names`, and its forward is that of its class."""
    return {name for name, _ in module.named_children()} <= set(names) and "forward" not in vars(module)


def hooked(*modules: nn.Module) -> bool:
    """Whether the modules or their submodules have user hooks that act in this thread."""
    return any(hooked_itself(inner) for module in modules for inner in module.modules())


def hooked_itself(module: nn.Module) -> bool:
    """Whether a module, without its submodules, has user hooks that act in this thread."""
    return any(not isinstance(hook, SiteHook) or hook.acts for hook in hooks_of(module))


def identity(*modules: nn.Module | None) -> bool:
    """Whether modules are the identity in evaluation mode; `None` stands for no module."""
    return all(module is None or (type(module) in _IDENTITIES and only(module, ())) for module in modules)


def token_wise(*norms: nn.Module | None) -> bool:
    """Whether norms treat every token separately; `None` stands for no norm."""
    return all(norm is None or (type(norm) in _TOKEN_WISE and only(norm, ())) for norm in norms)


def element_wise(activation: object) -> bool:
    """Whether an activation is known to treat every value separately; other classes, and functions, are not known.

    A `PReLU` is not: with several slopes it takes the tokens for channels.
    """
    kind = type(activation)
    known = kind.__name__ in _ELEMENT_WISE.get(kind.__module__, "").split()
    return known and isinstance(activation, nn.Module) and only(activation, ())
