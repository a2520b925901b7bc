"""`record`: the neurons of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from nplight.neurons.sites import SiteFunction, Tokens, at_sites
from nplight.vit import OpenViT, open_vit


@contextmanager
def record(model: nn.Module | OpenViT, *, tokens: Tokens = "path") -> Iterator[dict[int, Tensor]]:
    """Record the neurons of every layer, at the path tokens or at all tokens.

    Opened inside an `intervene` it records the edited values, outside of it the unedited values.

    Args:
        model: a supported model.
        tokens: `path`: the tokens at which paths are searched; `all`: every token.

    Yields:
        A dictionary that a forward pass fills: layer -> (images, tokens, width), detached. A second forward pass
        replaces the values of the first.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: `tokens` is neither.
        EditNotAppliedError: on leaving, if a layer never ran.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> import torch
        >>> with torch.no_grad(), nplight.record(planted.model) as values:
        ...     logits = planted.model(planted.images)
        ...
        >>> {layer: tuple(recorded.shape) for layer, recorded in values.items()}
        {0: (16, 1, 256), 1: (16, 1, 256), 2: (16, 1, 256), 3: (16, 1, 256)}
    """
    vit = open_vit(model)
    values: dict[int, Tensor] = {}

    def read(layer: int) -> SiteFunction:
        def keep(neurons: Tensor) -> Tensor:
            values[layer] = neurons.detach().clone()
            return neurons

        return keep

    with at_sites(vit, {layer: read(layer) for layer in range(vit.depth)}, tokens=tokens):
        yield values
