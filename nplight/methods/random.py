"""The control: random neurons, the same for an image in every batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight import seeds
from nplight.attribution import Problem


def random(problem: Problem) -> list[Tensor]:
    """Score of a neuron: uniform in [0, 1), from the image's pixels and `seed`; independent of model and target."""
    clean = problem.clean
    drawn = random_scores(clean.images, problem.vit.widths, seed=problem.seed)
    return [values.to(clean.values[layer]) for layer, values in enumerate(drawn)]


def random_scores(images: Tensor, widths: Sequence[int], *, seed: int) -> list[Tensor]:
    """Uniform scores for every neuron, from one generator per image.

    A generator is seeded by the CRC-32 of the image's pixels in float32, so that the scores depend neither on the batch
    nor on the device and the precision of the model. Images with equal pixels have equal scores.

    Args:
        images: (images, channels, height, width).
        widths: neurons per layer.
        seed: changes every generator.

    Returns:
        Per layer (images, width) float32 in [0, 1), on the CPU.
    """
    drawn = torch.stack(
        [
            torch.rand(sum(widths), generator=seeds.seeded_generator(seed, crc), dtype=torch.float32)
            for crc in seeds.checksums(images)
        ]
    )
    return list(drawn.split(list(widths), dim=1))
