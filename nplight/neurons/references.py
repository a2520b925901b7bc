"""`references`: gather the values that a fill writes over neurons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, check_at_least, check_choice, check_dense, described
from nplight.neurons.donor_images import DonorImages
from nplight.neurons.fills import Fill, References
from nplight.neurons.gathering import Gathering
from nplight.neurons.mean_reference import MeanReference
from nplight.neurons.peak_reference import PeakReference
from nplight.neurons.sites import Tokens
from nplight.vit import OpenViT, open_vit

_FIRST_PASS: Mapping[str, type[Gathering]] = MappingProxyType(
    {"mean": MeanReference, "peak": PeakReference, "resample": DonorImages}
)


@torch.inference_mode(False)
def gathering(model: nn.Module | OpenViT, fill: Fill, *, tokens: Tokens = "path", seed: int = 0) -> Gathering:
    """The first data pass towards the references of a fill, on the model's device, for a custom loop.

    `Gathering` shows the loop. With several processes each takes its share of the images.

    Args:
        model: a supported model.
        fill: `mean`, `peak` (three data passes) or `resample`.
        tokens: the tokens at which neurons are read and edited, `path` or `all`.
        seed: for `resample`, chooses the donors.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> from nplight.neurons import gathering
        >>> mean = gathering(planted.model, "mean")
        >>> type(mean).__name__
        'MeanReference'
    """
    check_choice("fill", fill, _FIRST_PASS)
    check_at_least("seed", seed, 0)
    return _FIRST_PASS[fill](open_vit(model), tokens=tokens, seed=seed)


def references(
    model: nn.Module | OpenViT,
    batches: Iterable[Tensor | Sequence[Tensor]],
    fill: Fill,
    *,
    tokens: Tokens = "path",
    seed: int = 0,
) -> References:
    """Gather the values of a fill from images, for `intervene(..., references=...)`.

    The mean and the peak of a neuron are over all images and all edited tokens. For `resample` a pool of 64 images is
    held, and each image gets the neurons of another image at the same tokens: `references.of(images)`.

    Args:
        model: a supported model, in any mode; left unchanged.
        batches: batches of images (images, channels, height, width), normalised, or tuples that begin with them, on
            any device; a list or a DataLoader, since `peak` iterates over them three times.
        fill: `mean`, `peak` or `resample`.
        tokens: the tokens to be edited: `path` or `all`.
        seed: for `resample`, chooses the donors.

    Returns:
        The references. With several processes, each with its share of the images, those of all images.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong, there are no images, or their neurons are not finite.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> mean = nplight.references(planted.model, [planted.images], "mean")
        >>> mean.of()[0].shape  # of layer 0
        torch.Size([1, 1, 256])
        >>> with nplight.intervene(planted.model, planted.paths, "keep", fill="mean", references=mean):
        ...     logits = planted.model(planted.images)
        ...
    """
    step: Gathering | References = gathering(model, fill, tokens=tokens, seed=seed)
    if isinstance(batches, (Iterator, Tensor)) or not isinstance(batches, Iterable):
        raise ArgumentError(
            f"`batches` must be something to go through several times, such as a list or a DataLoader, "
            f"got {described(batches)}"
        )
    while isinstance(step, Gathering):
        for batch in batches:
            step.update(_images(batch).to(step.device))
        step = step.finish()
    return step


def _images(batch: object) -> Tensor:
    images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(images, Tensor):
        raise ArgumentError(
            f"`batches` must hold tensors of images, or tuples that begin with one, got a {type(images).__name__}"
        )
    check_dense("batches", images)
    return images
