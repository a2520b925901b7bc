"""Training of some neurons of a model, while everything else in it stays as it is."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import Self

from nplight.shrinking.layer_neurons import Neurons, layer_neurons
from nplight.shrinking.shrink import feed_forwards
from nplight.vit import OpenViT, open_vit


class PathTuning:
    """Makes a model train the chosen neurons alone, in place, until `remove` or the end of a `with`.

    What trains are additions to the rows of the up projections (and of the gate) and to the columns of the down
    projections that belong to the neurons, by `torch.nn.utils.parametrize`. They start at 0. No other weight gets a
    gradient or changes by a bit; optimizers, checkpoints and mixed precision work as for any parameter.

        with PathTuning(model, paths) as tuning:
            optimizer = torch.optim.AdamW(tuning.parameters(), lr=1e-3)
            ...

    Args:
        model: a supported model, in any mode.
        neurons: as for `shrink`, of at least one layer; paths of any tokens, since the weights of a neuron are the same
            at every token.

    Raises:
        UnsupportedModelError: the model cannot be opened, or the layers of its FFNs are not known.
        ArgumentError: the neurons are not those of the model.

    Examples:
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import PathTuning
        >>> planted = build_planted(PLANTED["chain"])
        >>> with PathTuning(planted.model, planted.truth[0]) as tuning:  # one neuron per layer
        ...     number = sum(parameter.numel() for parameter in tuning.parameters())
        ...
        >>> number < sum(parameter.numel() for parameter in planted.model.parameters()) / 100
        True
    """

    def __init__(self, model: nn.Module | OpenViT, neurons: Neurons) -> None:
        vit = open_vit(model)
        chosen = layer_neurons(vit, neurons, every_layer=False, any_tokens=True)
        ffns = feed_forwards(vit)
        self._trained = [parameter for parameter in vit.model.parameters() if parameter.requires_grad]
        self._additions: list[tuple[nn.Linear, str, _Addition]] = []
        for parameter in self._trained:
            parameter.requires_grad_(False)
        for ffn, numbers in zip(ffns, chosen):
            numbers = numbers.to(ffn.down.weight.device)
            if len(numbers):
                for up in ffn.up:
                    self._add(up, "weight", ffn.rows(numbers), axis=0)
                    if up.bias is not None:
                        self._add(up, "bias", ffn.rows(numbers), axis=0)
                self._add(ffn.down, "weight", numbers, axis=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def parameters(self) -> list[nn.Parameter]:
        """What trains: the additions."""
        return [addition.values for _, _, addition in self._additions]

    @torch.inference_mode(False)
    def remove(self) -> None:
        """Fold the additions into the weights, and let the parameters train that did before; once or more often."""
        while self._additions:
            linear, name, _ = self._additions.pop()
            parametrize.remove_parametrizations(linear, name, leave_parametrized=True)
            _restore_order(linear)
        while self._trained:
            self._trained.pop().requires_grad_(True)

    def _add(self, linear: nn.Linear, name: str, numbers: Tensor, axis: int) -> None:
        addition = _Addition(getattr(linear, name), numbers, axis)
        parametrize.register_parametrization(linear, name, addition)
        self._additions.append((linear, name, addition))


def _restore_order(linear: nn.Linear) -> None:
    """Register weight and bias in the order of a linear layer, by which optimizers tell parameters apart."""
    weight, bias = linear.weight, linear.bias
    if not parametrize.is_parametrized(linear) and bias is not None:
        del linear.weight, linear.bias
        linear.weight, linear.bias = weight, bias


class _Addition(nn.Module):
    """Adds trained values to some rows or columns of a weight.

    Args:
        weight: to be added to.
        numbers: (K,) int64, of the rows or columns.
        axis: 0 for rows, 1 for columns.
    """

    numbers: Tensor

    def __init__(self, weight: Tensor, numbers: Tensor, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("numbers", numbers)
        with torch.inference_mode(False):
            self.values = nn.Parameter(torch.zeros_like(weight.detach().index_select(axis, numbers)))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with the values added; all other entries keep their bits."""
        return weight.index_add(self.axis, self.numbers, self.values)
