"""A ViT whose neuron paths are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from nplight.errors import check_at_least
from nplight.planted.case import PlantedCase
from nplight.planted.compiled import compiled
from nplight.planted.layer_plan import layer_plans
from nplight.planted.patterned_images import PixelPatterns, patterned_images
from nplight.planted.saturation import scale_head
from nplight.seeds import seeded_generator
from nplight.vit import open_vit

IMAGES = 16


@dataclass(frozen=True, slots=True)
class PlantedModel:
    """A model with images and the paths that carry its decisions for them; see `nplight.planted.structures`.

    Attributes:
        name: that of its case.
        model: in evaluation mode; right about every image.
        images: (images, channels, height, width).
        labels: (images,) int64.
        truth: (categories, layers, K) int64, the path of each category.
        decoys: (layers, decoys) int64, inert neurons by design; other inert neurons are the background.
        needed: (layers, K) bool, which of the path's neurons recall counts; `None`: all.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> planted.paths.shape, planted.width
        (torch.Size([16, 4, 1]), 256)
        >>> planted.truth.shape  # (categories, layers, K)
        torch.Size([4, 4, 1])
    """

    name: str
    model: nn.Module
    images: Tensor
    labels: Tensor
    truth: Tensor
    decoys: Tensor
    needed: Tensor | None = None

    @property
    def paths(self) -> Tensor:
        """(images, layers, K) int64, the path of each image: that of its label."""
        return self.truth[self.labels]

    @property
    def needed_paths(self) -> Tensor:
        """`paths` with -1 for neurons that recall does not count."""
        return self.paths if self.needed is None else self.paths.where(self.needed, -1)

    def with_needed(self, needed: Tensor) -> PlantedModel:
        """The same with other `needed`."""
        return replace(self, needed=needed)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.truth.shape[1]

    @property
    def top_k(self) -> int:
        """Planted neurons per layer, K."""
        return self.truth.shape[2]

    @property
    def width(self) -> int:
        """Neurons in a layer."""
        return open_vit(self.model).widths[0]


def build_planted(case: PlantedCase, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> PlantedModel:
    """Compile the model of a case: nothing is trained.

    Args:
        case: its settings.
        seed: changes directions, neuron indices and images.
        dtype: of model and images. The weights are computed in float64.

    Raises:
        ArgumentError: a negative seed.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> planted.model(planted.images).argmax(-1).tolist() == planted.labels.tolist()
        True
    """
    check_at_least("seed", seed, 0)
    generator = seeded_generator(seed, 0)
    patterns = PixelPatterns.drawn(generator)
    images, labels = patterned_images(patterns, IMAGES, generator)
    plans = layer_plans(case, generator)
    model = compiled(case, patterns, plans, generator)
    with torch.no_grad():
        logits = model(images)
    scale_head(cast(nn.Linear, model.head), logits, labels, case.probability)
    truth = torch.stack([plan.truth for plan in plans], 1)
    decoys = torch.stack([plan.decoys for plan in plans])
    return PlantedModel(case.name, model.to(dtype), images.to(dtype), labels, truth, decoys)
