"""The control: neurons drawn at random, the same ones for the same image whatever its batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight import seeds
from nplight.attribution import CleanPass, PathScores
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def random(vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int) -> PathScores:
    """Score of a neuron: uniform in [0, 1), from the image's own pixels and `seed`; blind to model and target."""
    drawn = random_scores(clean.images, vit.widths, seed=options.seed)
    scores = [values.to(clean.values[layer]) for layer, values in enumerate(drawn)]
    return ranked(vit, clean, targets, scores, options, chunk_size)


def random_scores(images: Tensor, widths: Sequence[int], *, seed: int) -> list[Tensor]:
    """Uniform scores for every neuron, from a stream of its own for each image.

    The stream's number is the CRC-32 of the image's pixels in float32, so that neither the batch nor the device nor
    the precision of the model matters. Images of equal pixels have equal scores.

    Args:
        images: (images, channels, height, width).
        widths: neurons in each layer.
        seed: changes every stream.

    Returns:
        For each layer (images, width) float32 in [0, 1), on the CPU.
    """
    drawn = torch.stack(
        [
            torch.rand(sum(widths), generator=seeds.stream(seed, crc), dtype=torch.float32)
            for crc in seeds.checksums(images)
        ]
    )
    return list(drawn.split(list(widths), dim=1))
