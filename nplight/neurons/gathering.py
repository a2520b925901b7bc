"""Passes over images that gather what a fill writes."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor

from nplight.errors import ArgumentError, listed
from nplight.neurons.fills import References
from nplight.neurons.sites import SiteFunction, Tokens, at_sites, tokens_of
from nplight.vit import OpenViT, named_dtypes, undisturbed


class Gathering(ABC):
    """One pass over images towards the references of a fill, exact on any number of processes.

    Every image passes once in `update`, in whatever batches and order; then every process calls `finish`, which gives
    the next pass, for the same images, or the references::

        step = gathering(vit, "peak")
        while isinstance(step, Gathering):
            for images in batches:
                step.update(images)
            step = step.finish()

    Args:
        vit: the opened model.
        tokens: the tokens at which neurons are read, `path` or `all`.
        seed: chooses, where there is something to choose.

    Raises:
        ArgumentError: `tokens` is neither.
    """

    # No torchmetrics.Metric: importing that imports transformers, and it would gather every state of every process.

    def __init__(self, vit: OpenViT, *, tokens: Tokens = "path", seed: int = 0) -> None:
        tokens_of(vit, tokens)
        self.vit = vit
        self.tokens: Tokens = tokens
        self.seed = seed

    @property
    def device(self) -> torch.device:
        """The model's device, on which images are taken."""
        return self.vit.down[0].linear.weight.device

    @abstractmethod
    def update(self, images: Tensor) -> None:
        """Add images (images, channels, height, width) on the model's device."""

    @abstractmethod
    def finish(self) -> Gathering | References:
        """The next pass or the references, from the images of all processes; every process must call it.

        Raises:
            ArgumentError: there were no images, or they give no finite values.
        """


class NeuronGathering(Gathering):
    """A pass that looks at the neurons of every layer; it holds statistics of all neurons, layer after layer."""

    def update(self, images: Tensor) -> None:
        """Run the model on images, unedited, and add the neurons of every layer as the layer runs."""
        self.vit.check_images(images)
        ends = itertools.accumulate(self.vit.widths)
        places = [slice(end - width, end) for width, end in zip(self.vit.widths, ends)]
        readers = {layer: self._reader(place) for layer, place in enumerate(places)}
        with (
            undisturbed(self.vit.model),
            torch.no_grad(),
            named_dtypes(self.vit.model),
            at_sites(self.vit, readers, tokens=self.tokens),
        ):
            self.vit.forward(images)

    def _reader(self, place: slice) -> SiteFunction:
        def read(found: Tensor) -> Tensor:
            self.add(place, found)
            return found

        return read

    @abstractmethod
    def add(self, place: slice, values: Tensor) -> None:
        """Add the neurons of one layer, (images, tokens, width), to the statistics of the neurons at `place`."""

    def for_all(self, value: float, dtype: torch.dtype) -> Tensor:
        """`value` for each neuron of the model, (neurons,)."""
        return torch.full((sum(self.vit.widths),), value, dtype=dtype, device=self.device)

    def by_layer(self, values: Tensor) -> Mapping[int, Tensor]:
        """Values of all neurons, (neurons,), as references: layer -> (1, 1, width).

        Raises:
            ArgumentError: some are NaN or infinite.
        """
        layers = dict(enumerate(values.view(1, 1, -1).split(self.vit.widths, dim=2)))
        broken = [layer for layer, found in layers.items() if not found.isfinite().all()]
        if broken:
            raise ArgumentError(
                f"references must be gathered from finite neurons, got NaN or infinite neurons in layers "
                f"{listed(broken)}; leave out the images that give them"
            )
        return layers


def refuse_none() -> NoReturn:
    """Refuse to gather from nothing, in the process that finds that there were no images in any.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError("`batches` must hold at least one image, got none")
