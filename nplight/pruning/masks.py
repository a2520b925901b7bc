"""Masks of neurons as parametrizations of the down projections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nplight.errors import ArgumentError, listed
from nplight.vit import OpenViT


class NeuronMasks:
    """The masks of the neurons of a model in training: a pruned neuron writes nothing to the residual stream.

    The mask of a layer is a `torch.nn.utils.parametrize` of the weight of its down projection, whose columns of pruned
    neurons are 0. Parameters stay the same objects, in the same order, so that optimizers and averaged copies work as
    before. Masks are part of the model's `state_dict`, as extra state: neither parameters nor buffers, which averaging
    would blur.

    Args:
        vit: the opened model, changed in place until `remove`.
        straight_through: whether the columns of pruned neurons get gradients too, as if they were in use. The rows of
            their up projections get none: they rest until the neuron returns.

    Raises:
        ArgumentError: a down projection has a parametrization already.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> from nplight.pruning import NeuronMasks
        >>> masks = NeuronMasks(nplight.open_vit(planted.model))
        >>> masks.remove()
    """

    def __init__(self, vit: OpenViT, *, straight_through: bool = False) -> None:
        self.vit = vit
        taken = [layer for layer, down in enumerate(vit.down) if parametrize.is_parametrized(down.linear)]
        if taken:
            raise ArgumentError(
                f"`model` must have no parametrization of its down projections, to be given masks, but layers "
                f"{listed(taken)} have one; remove it first"
            )
        self._masks = [NeuronMask(down.width, straight_through=straight_through) for down in vit.down]
        for down, mask in zip(vit.down, self._masks):
            parametrize.register_parametrization(down.linear, "weight", mask)
            if down.linear.bias is not None:
                # A parametrized weight would come after a plain bias, by whose order optimizers tell parameters apart.
                parametrize.register_parametrization(down.linear, "bias", _Unchanged())

    @property
    def kept(self) -> list[Tensor]:
        """Per layer (width,) bool, on the CPU."""
        return [mask.kept.cpu().clone() for mask in self._masks]

    @property
    def pruned_share(self) -> float:
        """The share of all neurons that is pruned."""
        kept = torch.cat(self.kept)
        return 1 - kept.float().mean().item()

    def set(self, kept: Sequence[Tensor]) -> None:
        """Keep other neurons: per layer (width,) bool."""
        for mask, values in zip(self._masks, kept):
            mask.kept.copy_(values)

    def copy_to(self, model: nn.Module) -> bool:
        """Set the masks in a copy of the model that was made with masks; `False` if it has others or none."""
        copies = [module for module in model.modules() if isinstance(module, NeuronMask)]
        if [mask.kept.shape for mask in copies] != [mask.kept.shape for mask in self._masks]:
            return False
        for mask, copied in zip(self._masks, copies):
            copied.kept.copy_(mask.kept)
        return True

    @contextmanager
    def open(self) -> Iterator[None]:
        """Use every neuron inside the `with`."""
        kept = self.kept
        self.set([torch.ones_like(values) for values in kept])
        try:
            yield
        finally:
            self.set(kept)

    @torch.inference_mode(False)
    def remove(self) -> None:
        """Write the masks into the weights, and leave plain layers behind."""
        for down in self.vit.down:
            linear: Any = down.linear
            for name in ("weight", "bias"):
                if parametrize.is_parametrized(linear, name):
                    parametrize.remove_parametrizations(linear, name, leave_parametrized=True)


class NeuronMask(nn.Module):
    """The weight of a down projection, (features, width), with zeros in the columns of pruned neurons.

    Args:
        width: neurons.
        straight_through: whether gradients reach all columns.

    Attributes:
        kept: (width,) bool.
    """

    def __init__(self, width: int, *, straight_through: bool = False) -> None:
        super().__init__()
        self.straight_through = straight_through
        self.kept = torch.ones(width, dtype=torch.bool)

    def forward(self, weight: Tensor) -> Tensor:
        """Zeros instead of a product: the kept columns keep their bits."""
        kept = self.kept.to(weight.device)
        if self.straight_through:
            masked: Tensor = _StraightThrough.apply(weight, kept)
            return masked
        return torch.where(kept, weight, 0)

    def get_extra_state(self) -> Tensor:
        """The mask itself, so that a copy of the model's state is one of the mask."""
        return self.kept

    def set_extra_state(self, state: Tensor) -> None:
        """Take a mask of a `state_dict`.

        Raises:
            ArgumentError: it is of another width.
        """
        if not isinstance(state, Tensor) or state.shape != self.kept.shape:
            shape = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise ArgumentError(
                f"the mask of a layer must be {tuple(self.kept.shape)}, one entry a neuron, got {shape}"
            )
        self.kept.copy_(state)


class _StraightThrough(torch.autograd.Function):
    """Zeros at the masked columns, whose gradient passes as if there were none."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, kept: Tensor) -> Tensor:
        return torch.where(kept, weight, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Unchanged(nn.Module):
    def forward(self, bias: Tensor) -> Tensor:
        return bias
