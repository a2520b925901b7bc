"""The spread of random draws in the uncertainty of their average."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.stats import norm, t
from torch import Tensor

from nplight.metrics.bootstrap import poisson_weights


class DrawSpread(NamedTuple):
    """How the average of several random draws varies with the draws.

    Attributes:
        deviations: (…, replicates), what each replicate of the draws adds to the average.
        variance: (…), of the average.
    """

    deviations: Tensor
    variance: Tensor


def draw_spread(means: Tensor, residual: Tensor | float = 0.0, *, replicates: int, seed: int = 0) -> DrawSpread:
    """The spread of the average of random draws, e.g. of control paths.

    A draw's weight in a replicate is a Poisson(1) number determined by the seed and the number of the draw alone. The
    draws' own variance is what remains of the variance of their means after the residual (two-way random effects:
    Cornfield & Tukey 1956, Ann. Math. Stat. 27, 907). It is known from few draws, so its 95% quantile is Student's.

    Args:
        means: (draws, …), each draw's mean over the same images; at least two draws.
        residual: (…), the variance of these means that is due to the images within a draw, and is in the replicates of
            the images already.
        replicates: number of weightings.
        seed: of the weights.
    """
    draws = len(means)
    # Negative, so that no image has the key of a draw.
    keys = -1 - torch.arange(draws, device=means.device)
    weights = poisson_weights(keys, replicates=replicates, seed=seed).double() - 1
    centred = means - means.mean(0)
    between = centred.square().sum(0) / (draws - 1)
    own = (between - residual).clamp(min=0)
    stretch = float(t.ppf(0.975, draws - 1) / norm.ppf(0.975))
    scale = torch.where(between > 0, own / between, 0.0).sqrt() * (stretch / math.sqrt(draws * (draws - 1)))
    return DrawSpread(torch.tensordot(centred, weights, ([0], [0])) * scale[..., None], own / draws * stretch**2)


def residual_variance(squares: Tensor, image_squares: Tensor, means: Tensor, images: Tensor) -> Tensor:
    """The variance of a draw's mean over images that neither the images nor the draws explain.

    Args:
        squares: (…), sum over images and draws of the squared values.
        image_squares: (…), sum over images of the squared means over draws.
        means: (draws, …), each draw's mean over images.
        images: (…), number of images.

    Returns:
        (…); 0 for a single image.
    """
    draws = len(means)
    within = squares - draws * image_squares - images * means.square().sum(0) + draws * images * means.mean(0).square()
    return (within / ((images - 1).clamp(min=1) * (draws - 1) * images.clamp(min=1))).clamp(min=0)
