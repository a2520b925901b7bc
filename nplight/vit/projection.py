"""The down projection: from a layer's neurons to the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nplight.vit import dual_ops


@dataclass(frozen=True, slots=True)
class DownProjection:
    """The down projection of one FFN, from neurons to the addition to the residual stream.

    The neurons of the layer are read and edited at its input. The addition is affine in the neurons:
    `scale * linear(z)`.

    Attributes:
        linear: the projection; a forward pre-hook on it is the site of the layer's neurons.
        scale: (features,), the layer scale of its output, or `None`.

    Examples:
        >>> import torch
        >>> from nplight.vit import DownProjection
        >>> down = DownProjection(torch.nn.Linear(8, 4))
        >>> down.pull_back(torch.ones(1, 1, 4)).shape
        torch.Size([1, 1, 8])
    """

    linear: nn.Linear
    scale: Tensor | None = None

    @property
    def width(self) -> int:
        """Neurons in the layer."""
        return self.linear.in_features

    def add(self, stream: Tensor, neurons: Tensor) -> Tensor:
        """The stream plus the addition, bias included: (…, features), (…, neurons) -> (…, features)."""
        return dual_ops.added(stream, neurons, self.linear.weight, self.linear.bias, self.scale)

    def increment(self, change: Tensor) -> Tensor:
        """The addition for a change of the neurons, without bias: (…, neurons) -> (…, features)."""
        with torch.autocast(change.device.type, enabled=False):
            added = change @ self.linear.weight.to(change.dtype).T
            return added if self.scale is None else added * self.scale.to(change.dtype)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """The VJP: a gradient of the stream (…, features) -> of the neurons (…, neurons)."""
        with torch.autocast(gradient.device.type, enabled=False):
            scaled = gradient if self.scale is None else gradient * self.scale.to(gradient.dtype)
            return scaled @ self.linear.weight.to(gradient.dtype)
