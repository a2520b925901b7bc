"""Data passes that gather the references of a fill."""

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
    """One data pass towards the references of a fill, exact on any number of processes.

    `update` takes every image once, in any batches and order; then every process calls `finish`, which returns the next
    data pass, over the same images, or the references::

        step = gathering(vit, "peak")
        while isinstance(step, Gathering):
            for images in batches:
                step.update(images)
            step = step.finish()

    Args:
        vit: the opened model.
        tokens: the tokens at which neurons are read, `path` or `all`.
        seed: for fills that draw random images.

    Raises:
        ArgumentError: `tokens` is neither.

    Examples:
        >>> import nplight
        >>> from nplight.neurons import Gathering, gathering
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> step = gathering(nplight.open_vit(planted.model), "peak")
        >>> passes = 0
        >>> while isinstance(step, Gathering):
        ...     step.update(planted.images)
        ...     step, passes = step.finish(), passes + 1
        >>> passes, step.of(planted.images)[0].shape
        (3, torch.Size([1, 1, 256]))
    """

    # Not a torchmetrics.Metric: that imports transformers, and would gather the states of all processes.

    def __init__(self, vit: OpenViT, *, tokens: Tokens = "path", seed: int = 0) -> None:
        tokens_of(vit, tokens)
        self.vit = vit
        self.tokens: Tokens = tokens
        self.seed = seed

    @property
    def device(self) -> torch.device:
        """The model's device, on which images must be."""
        return self.vit.down[0].linear.weight.device

    @abstractmethod
    def update(self, images: Tensor) -> None:
        """Add images (images, channels, height, width) on the model's device."""

    @abstractmethod
    def finish(self) -> Gathering | References:
        """The next data pass or the references, from the images of all processes; every process must call it.

        Raises:
            ArgumentError: there were no images, or they give no finite values.
        """


class NeuronGathering(Gathering):
    """A data pass over the neurons of every layer; its statistics hold the neurons of all layers, concatenated."""

    def update(self, images: Tensor) -> None:
        """Run the unedited model on images, and add the neurons of every layer as the layer runs."""
        self.vit.check_images(images)
        ends = itertools.accumulate(self.vit.widths)
        slices = [slice(end - width, end) for width, end in zip(self.vit.widths, ends)]
        readers = {layer: self._reader(positions) for layer, positions in enumerate(slices)}
        with (
            undisturbed(self.vit.model),
            torch.no_grad(),
            named_dtypes(self.vit.model),
            at_sites(self.vit, readers, tokens=self.tokens),
        ):
            self.vit.forward(images)

    def _reader(self, positions: slice) -> SiteFunction:
        def read(neurons: Tensor) -> Tensor:
            self.add(positions, neurons)
            return neurons

        return read

    @abstractmethod
    def add(self, positions: slice, values: Tensor) -> None:
        """Add the neurons of one layer, (images, tokens, width), to the statistics at `positions`."""

    def for_all(self, value: float, dtype: torch.dtype) -> Tensor:
        """`value` for every neuron of the model, (neurons,)."""
        return torch.full((sum(self.vit.widths),), value, dtype=dtype, device=self.device)

    def by_layer(self, values: Tensor) -> Mapping[int, Tensor]:
        """Values of all neurons, (neurons,), as references: layer -> (1, 1, width).

        Raises:
            ArgumentError: a value is NaN or infinite.
        """
        layers = dict(enumerate(values.view(1, 1, -1).split(self.vit.widths, dim=2)))
        not_finite = [layer for layer, reference in layers.items() if not reference.isfinite().all()]
        if not_finite:
            raise ArgumentError(
                f"references must be gathered from finite neurons, got NaN or infinite neurons in layers "
                f"{listed(not_finite)}; leave out the images that cause them"
            )
        return layers


def refuse_none() -> NoReturn:
    """Refuse to gather without images; for use when no process has any.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError("`batches` must hold at least one image, got none")
