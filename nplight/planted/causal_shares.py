"""What a found path does to the prediction, as a share of what the planted path does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.neurons import Operation, intervene
from nplight.planted.planted_model import PlantedModel


class CausalEffects(NamedTuple):
    """What a path does to the label's probability, (images,) float64.

    Attributes:
        removed: its fall where the path is removed.
        kept: its rise above a model without any neuron at the path tokens where only the path is kept.

    Examples:
        >>> from nplight.planted import PLANTED, CausalScale, build_planted
        >>> effects = CausalScale.of(build_planted(PLANTED["chain"])).planted
        >>> bool((effects.removed > 0).all()), bool((effects.kept > 0).all())
        (True, True)
    """

    removed: Tensor
    kept: Tensor


class CausalShares(NamedTuple):
    """What a found path does, and what the planted one does.

    Shares are ratios of means: a mean of ratios would be that of the images for which the planted path does little.

    Attributes:
        found: effects of the found path.
        planted: effects of the planted path.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted, causal_shares
        >>> planted = build_planted(PLANTED["chain"])
        >>> shares = causal_shares(planted, planted.paths)  # the path itself
        >>> float(shares.removed), float(shares.kept)
        (1.0, 1.0)
    """

    found: CausalEffects
    planted: CausalEffects

    @property
    def removed(self) -> Tensor:
        """Mean effect of the found path's removal over that of the planted one's, () float64; no bounds."""
        return self.found.removed.mean() / self.planted.removed.mean()

    @property
    def kept(self) -> Tensor:
        """Mean effect of keeping the found path alone over that of keeping the planted one."""
        return self.found.kept.mean() / self.planted.kept.mean()


@dataclass(frozen=True, slots=True)
class CausalScale:
    """What effects are measured from, and those of the planted path: no method changes them.

    Attributes:
        clean: the label's probabilities without an edit, (images,) float64.
        none: those without any neuron at the path tokens.
        planted: effects of the planted path.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> from nplight.planted import CausalScale, causal_shares
        >>> scale = CausalScale.of(planted)
        >>> shares = causal_shares(planted, planted.paths, scale)
    """

    clean: Tensor
    none: Tensor
    planted: CausalEffects

    @classmethod
    def of(cls, planted: PlantedModel) -> CausalScale:
        """That of a model."""
        every_neuron = torch.arange(planted.width).expand(planted.depth, -1)
        clean, none = clean_probability(planted), edited_probability(planted, every_neuron, "remove")
        return cls(clean, none, _effects(planted, planted.paths, clean, none))


def causal_shares(planted: PlantedModel, neurons: Tensor, scale: CausalScale | None = None) -> CausalShares:
    """The causal gap between a found path and the planted one is what is missing to shares of 1.

    Args:
        planted: the model with its images and paths.
        neurons: (images, layers, K) int64, the found path of each image.
        scale: that of the model, where it is known; `None`: measured.

    Raises:
        ArgumentError: `neurons` are not paths of the model's images.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> from nplight.planted import causal_shares
        >>> shares = causal_shares(planted, planted.paths)
        >>> bool((shares.found.removed == shares.planted.removed).all())
        True
    """
    scale = CausalScale.of(planted) if scale is None else scale
    return CausalShares(_effects(planted, neurons, scale.clean, scale.none), scale.planted)


def _effects(planted: PlantedModel, neurons: Tensor, clean: Tensor, none: Tensor) -> CausalEffects:
    removed, kept = edited_probability(planted, neurons, "remove"), edited_probability(planted, neurons, "keep")
    return CausalEffects(clean - removed, kept - none)


def edited_probability(planted: PlantedModel, neurons: Tensor, operation: Operation) -> Tensor:
    """The label's probability under an `intervene` of zeros: (images,) float64."""
    with intervene(planted.model, neurons, operation):
        return clean_probability(planted)


def clean_probability(planted: PlantedModel) -> Tensor:
    """The label's probability, (images,) float64."""
    with torch.no_grad():
        probabilities: Tensor = planted.model(planted.images).double().softmax(1)
    return probabilities.gather(1, planted.labels[:, None])[:, 0]
