"""Contexts that change the state of a model or of autograd, and restore it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from nplight.errors import UnsupportedModelError
from nplight.vit.one_thread import changed, one_thread
from nplight.vit.torch_private import is_compiled, run_uncompiled


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients for the weights inside; all flags are restored, also after an error.

    Modules compiled in place run uncompiled inside, since compiled code does not see new hooks. Other threads wait to
    enter; Ctrl-C acts at an `interrupt_point` or at the end.

    Raises:
        UnsupportedModelError: the weights were created under `torch.inference_mode`, so that autograd cannot use them.

    Examples:
        >>> import torch
        >>> from nplight.vit import undisturbed
        >>> model = torch.nn.Dropout().train()
        >>> with undisturbed(model):
        ...     inside = model.training
        ...
        >>> inside, model.training
        (False, True)
    """
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise UnsupportedModelError(
            "`model` was built under torch.inference_mode, so that autograd cannot use it; build it outside"
        )
    with one_thread():
        training = [module for module in model.modules() if module.training]
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        compiled = [module for module in model.modules() if is_compiled(module)]
        recompiled: list[Callable[[], None]] = []

        def restore() -> None:
            for module in training:
                module.training = True
            for parameter in trainable:
                parameter.requires_grad_(True)
            for recompile in recompiled:
                recompile()

        with changed(restore):
            for module in compiled:
                recompiled.append(run_uncompiled(module))
            for module in training:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)
            yield


@contextmanager
def gradients() -> Iterator[None]:
    """Enable autograd in any mode of the caller: `inference_mode` silently disables both directions of AD.

    Examples:
        >>> import torch
        >>> from nplight.vit import gradients
        >>> with torch.inference_mode(), gradients():
        ...     enabled = torch.is_grad_enabled()
        ...
        >>> enabled
        True
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield
