"""Poisson bootstrap: intervals from one pass over the images, on any number of devices.

Every replicate gives every image a weight drawn from Poisson(1), which for many images is resampling with replacement
(Hanley & MacGibbon 2006; for streams: Chamandy et al. 2012, "Estimating uncertainty for massive data streams").
The weights depend on the image alone. So replicates are the same in any order, batch size and number of processes,
and two methods tested on the same images share them, which makes their differences paired.

torchmetrics' `BootStrapper` has none of this: it copies the metric once a replicate and resamples each batch from the
global random state, which differs between processes and devices.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.drawing import Drawing, draw_estimates
from nplight.metrics.replicates import Replicates, estimate
from nplight.processes import sum_over_processes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# SplitMix64 (Steele, Lea & Flood 2014): the odd increment, and (shift, multiplier) of the finaliser.
_INCREMENT = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_BITS = 53
_CDF = [math.fsum(math.exp(-1) / math.factorial(i) for i in range(k + 1)) for k in range(18)]
_THRESHOLDS = [math.floor(below * (1 << _BITS)) for below in _CDF]


def poisson_weights(keys: Tensor, *, replicates: int = 1000, seed: int = 0) -> Tensor:
    """Poisson(1) weights of images, from the key of each image, the replicate and the seed alone.

    An image's key and the seed start a SplitMix64 generator, whose successive outputs are inverted through the
    distribution function. Integers only: bit by bit the same on every device.

    Args:
        keys: (images,) int64, what names an image: its index, say. Images of one key have the same weights.
        replicates: number of weightings.
        seed: changes all weights.

    Returns:
        (images, replicates) int32, on the device of `keys`.

    Raises:
        ArgumentError: `keys` of another kind, or negative `replicates`.
    """
    if keys.dtype != torch.int64 or keys.ndim != 1:
        raise ArgumentError(f"`keys` must be (images,) int64, got {tuple(keys.shape)} {keys.dtype}")
    check_at_least("replicates", replicates, 0)
    state = _mix(keys ^ _mix(torch.tensor(_signed(seed), device=keys.device)))
    steps = torch.arange(1, replicates + 1, device=keys.device) * _signed(_INCREMENT)
    uniform = _shifted(_mix(state[:, None] + steps), 64 - _BITS)
    return torch.bucketize(uniform, torch.tensor(_THRESHOLDS, device=keys.device), right=True, out_int32=True)


def all_summed(value: Tensor, group: Any = None) -> list[Tensor]:
    """Sum a state over all processes, as a `dist_sync_fn`; torchmetrics' own gathers a copy of each process first."""
    return [sum_over_processes(value, group)]


class BootstrapMetric(Metric):
    """Base of metrics that are means over images, with their replicates. Memory does not depend on how many images.

    Args:
        shape: of the values that every image has.
        replicates: number of weightings; 0 for none.
        seed: of the weights.
        **kwargs: torchmetrics' own.

    Raises:
        ArgumentError: negative `replicates`.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    total: Tensor
    weight: Tensor

    def __init__(self, shape: tuple[int, ...] = (), *, replicates: int = 1000, seed: int = 0, **kwargs: Any) -> None:
        check_at_least("replicates", replicates, 0)
        super().__init__(**{"dist_sync_fn": all_summed, **kwargs})
        self.replicates, self.seed = replicates, seed
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros(*shape, 1 + replicates, dtype=torch.float64), dist_reduce_fx="sum")

    def weights(self, keys: Tensor) -> Tensor:
        """For each image 1, for the mean itself, then its weights: (images, 1 + replicates) float64."""
        drawn = poisson_weights(keys, replicates=self.replicates, seed=self.seed)
        return pad(drawn, (1, 0), value=1).double()

    def add(self, values: Tensor, weights: Tensor) -> None:
        """Add images: values (images, *shape), NaN where an image has none; weights (images, 1 + replicates)."""
        if len(values) != len(weights):
            raise ArgumentError(f"`keys` must be one for each of the {len(values)} images, got {len(weights)}")
        missing = values.isnan()
        self.total += torch.tensordot(values.double().masked_fill(missing, 0), weights, ([0], [0]))
        self.weight += torch.tensordot((~missing).double(), weights, ([0], [0]))

    def means(self) -> Replicates:
        """The means over images: values (*shape, 1 + replicates), images (*shape); NaN for no images."""
        return Replicates(self.total / self.weight, self.weight[..., 0].long())


class BootstrapMean(BootstrapMetric):
    """Mean over images of one value, or of several, with its replicates: the mean joint score, for instance.

    `estimate(metric.compute())` gives the mean with its interval.
    """

    def update(self, values: Tensor, keys: Tensor) -> None:
        """Add images: values (images, *shape), NaN left out; keys (images,) int64, what names each image."""
        self.add(values, self.weights(keys))

    def compute(self) -> Replicates:
        """Values (*shape, 1 + replicates) and images (*shape); NaN for no images."""
        return self.means()

    def plot(self, val: Replicates | None = None, ax: Axes | None = None) -> Drawing:
        """Draw every mean with its 95% interval; `val=None`: what `compute` gives; `ax=None`: new axes."""
        means: Replicates = self.compute() if val is None else val
        values, images = means.values.reshape(-1, means.values.shape[-1]), means.images.reshape(-1)
        estimates = [estimate(Replicates(mean, count)) for mean, count in zip(values, images)]
        return draw_estimates(list(map(str, range(len(estimates)))), estimates, ax, unit="mean over images")


def _mix(state: Tensor) -> Tensor:
    for shift, multiplier in _ROUNDS:
        state = (state ^ _shifted(state, shift)) * _signed(multiplier)
    return state


def _shifted(value: Tensor, bits: int) -> Tensor:
    # `>>` copies the sign bit of an int64; the mask makes it a shift of unsigned numbers.
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The int64 of the same 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
