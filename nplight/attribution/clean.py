"""The clean pass: the results of one unedited forward pass, which every method starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from nplight.attribution.objective import at_least_float32, target_probability
from nplight.errors import NonFiniteError
from nplight.neurons import record
from nplight.vit import OpenViT, refuse_hooks

Clean = TypeVar("Clean", bound="CleanPass")


@dataclass(frozen=True, slots=True)
class CleanPass:
    """One unedited forward pass.

    Attributes:
        images: (images, channels, height, width), the input.
        values: layer -> (images, path tokens, width), the clean neurons; float32 at least.
        first: (images, tokens, features), the stream that leaves block 0; in a `FrozenPass`, at the class token only.
        logits: (images, categories), float32 at least.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import clean_pass
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> clean = clean_pass(vit, planted.images)
        >>> clean.values[0].shape, clean.logits.shape  # (images, path tokens, width), (images, categories)
        (torch.Size([16, 1, 256]), torch.Size([16, 4]))
    """

    images: Tensor
    values: Mapping[int, Tensor]
    first: Tensor
    logits: Tensor

    def of(self: Clean, images: Tensor) -> Clean:
        """The clean pass of some of the images: (images,) int64, positions."""
        values = {layer: value[images] for layer, value in self.values.items()}
        return replace(
            self, images=self.images[images], values=values, first=self.first[images], logits=self.logits[images]
        )

    def probability(self, targets: Tensor) -> Tensor:
        """Softmax probability of each image's target, (images,)."""
        return target_probability(self.logits, targets)


def clean_pass(vit: OpenViT, images: Tensor) -> CleanPass:
    """Run the opened model once, unedited, without a graph.

    Raises:
        UnsupportedModelError: the model has a hook at a place that the search bypasses.
        NonFiniteError: an image, a neuron or a logit is NaN or infinite, naming the positions.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import clean_pass
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> clean = clean_pass(vit, planted.images)
        >>> clean.logits.argmax(1).eq(planted.labels).all()
        tensor(True)
    """
    refuse_hooks(vit)
    check_finite("`images` has NaN or infinite pixels", images)
    with torch.no_grad(), record(vit) as values:
        first = vit.block(0, vit.embed(images))
        logits = at_least_float32(vit.forward_from(1, first))
    check_finite("the clean pass gave NaN or infinite values", logits, *values.values())
    return CleanPass(images, {layer: at_least_float32(value) for layer, value in values.items()}, first, logits)


def check_finite(what: str, *values: Tensor) -> None:
    """Refuse values that are not finite, naming the images (first dimension) that hold them.

    Raises:
        NonFiniteError: with the positions.

    Examples:
        >>> import torch
        >>> from nplight.attribution import check_finite
        >>> check_finite("`images` has NaN or infinite pixels", torch.tensor([[0.0], [float("nan")]]))
        Traceback (most recent call last):
            ...
        nplight.errors.NonFiniteError: `images` has NaN or infinite pixels for the images at positions 1 of the batch
    """
    # Checking the extremes costs a tenth of checking every value.
    flat = [value.reshape(len(value), -1) for value in values]
    finite = torch.stack([value.amax(1).isfinite() & value.amin(1).isfinite() for value in flat]).all(0)
    if not finite.all():
        raise NonFiniteError(what, (~finite).nonzero().flatten().tolist())
