"""How far the sum of a Gauss rule is from that of all nodes: an estimate from how its coefficients decay.

The values of a function at the n nodes of a Gauss rule give its coefficients c_0 … c_{n-1} in the rule's orthonormal
polynomials. c_0 is the sum. What it lacks are coefficients of degree 2n and above, which the last ones tell of: they
decay geometrically where the function is analytic (Trefethen, "Approximation Theory and Approximation Practice", 2013,
chapters 8 and 19), and do not decay where it has a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LAST = 2  # coefficients that stand for the last one, which may vanish by chance
_RATES = 3  # coefficients of which the slowest decay counts; one may vanish by chance too
_SAFETY = 30.0  # with it nothing that counted as settled was wrong; see docs/performance.md


def error_estimate(coefficients: Tensor) -> Tensor:
    """Estimated error of every neuron's score: (images, n, width) -> (images, width).

    The last coefficients of the neuron, times the decay of the layer's coefficients from degree n - 1 to degree 2n.

    Examples:
        >>> import torch
        >>> from nplight.attribution import error_estimate
        >>> smooth = torch.tensor([1.0, 0.1, 0.01, 0.001])[None, :, None]  # (images, n, width)
        >>> rough = torch.tensor([1.0, 0.9, 0.8, 0.7])[None, :, None]
        >>> bool(error_estimate(smooth) < 1e-4), bool(error_estimate(rough) > 1e-2)
        (True, True)
    """
    count = coefficients.shape[1]
    sizes = coefficients.abs()
    largest = sizes.amax(2)
    tiny = torch.finfo(sizes.dtype).tiny
    degrees = torch.arange(1, count, device=sizes.device, dtype=sizes.dtype)
    rates = (largest[:, 1:] / largest[:, :1].clamp_min(tiny)).pow(1 / degrees)
    rate = rates[:, -_RATES:].amax(1).clamp(max=1)
    return _SAFETY * sizes[:, -_LAST:].amax(1) * rate.pow(count + 1).unsqueeze(1)


def unsettled(coefficients: Tensor, *, top_k: int, ranked: int, tolerance: float) -> Tensor:
    """The images of which fewer nodes do not decide: (images, n, width) -> (images,) bool.

    An image is settled if the `top_k` neurons of largest score are clear of all others by the estimated errors, their
    scores are within `tolerance` of the sum relative to themselves, and those of the first `ranked` relative to the
    layer's largest score. With `top_k` 0 nothing is chosen, and the errors alone decide. What is NaN or infinite is not
    settled.

    Examples:
        >>> import torch
        >>> from nplight.attribution import unsettled
        >>> smooth, rough = torch.tensor([1.0, 1e-3, 1e-6, 1e-9]), torch.tensor([1.0, 0.9, 0.8, 0.7])
        >>> coefficients = torch.stack([smooth, rough])[..., None] * torch.tensor([3.0, 1.0])  # (images, n, width)
        >>> unsettled(coefficients, top_k=1, ranked=1, tolerance=1e-3).tolist()
        [False, True]
    """
    scores, errors = coefficients[:, 0], error_estimate(coefficients)
    rounding = 16 * torch.finfo(scores.dtype).eps
    allowed = max(tolerance, rounding)
    size = scores.abs().amax(1, keepdim=True)
    order = scores.topk(min(max(ranked, top_k), scores.shape[1]), dim=1).indices
    chosen = order[:, :top_k]
    certain = (errors.gather(1, chosen) <= allowed * scores.gather(1, chosen).abs()).all(1)
    certain &= (errors.gather(1, order) <= allowed * size).all(1)
    if 0 < top_k < scores.shape[1]:
        lowest = (scores - errors).gather(1, chosen).amin(1)
        highest = (scores + errors).scatter(1, chosen, -torch.inf).amax(1)
        certain &= lowest - highest > rounding * size.squeeze(1)
    return ~certain
