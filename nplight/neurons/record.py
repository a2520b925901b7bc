"""Read the neurons of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from nplight.neurons.sites import SiteFunction, at_sites
from nplight.vit import OpenViT, open_vit


@contextmanager
def record(model: nn.Module | OpenViT) -> Iterator[dict[int, Tensor]]:
    """Record the neurons at the path tokens of every layer.

    Opened inside an `intervene`, it sees the edited values; around one, the unedited values.

    Args:
        model: a supported model.

    Yields:
        A dictionary that a forward pass fills: layer -> (images, path tokens, width), detached. A second pass replaces
        the values of the first.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        EditNotAppliedError: on leaving, when no forward pass reached some layer.
    """
    vit = open_vit(model)
    values: dict[int, Tensor] = {}

    def read(layer: int) -> SiteFunction:
        def keep(found: Tensor) -> Tensor:
            values[layer] = found.detach().clone()
            return found

        return keep

    with at_sites(vit, {layer: read(layer) for layer in range(vit.depth)}):
        yield values
