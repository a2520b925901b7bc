"""Poisson bootstrap: intervals from a single data pass, on any number of devices.

Each replicate gives each image a weight drawn from Poisson(1), which approximates resampling with replacement for many
images (Hanley & MacGibbon 2006; for streams: Chamandy et al. 2012, "Estimating uncertainty for massive data streams").
The weights depend on the image alone. Replicates are therefore independent of the order of the images, the batch size
and the number of processes, and two methods tested on the same images share them, so that their differences are paired.

torchmetrics' `BootStrapper` has none of these properties: it copies the metric once per replicate and resamples each
batch from the global random state, which differs between processes and devices.
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
from nplight.metrics.intervals import Interval
from nplight.metrics.replicates import Replicates, estimate
from nplight.processes import sum_over_processes
from nplight.seeds import INCREMENT, finalised, shifted, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BITS = 53
_CDF = [math.fsum(math.exp(-1) / math.factorial(i) for i in range(k + 1)) for k in range(18)]
_THRESHOLDS = [math.floor(below * (1 << _BITS)) for below in _CDF]


def poisson_weights(keys: Tensor, *, replicates: int = 1000, seed: int = 0) -> Tensor:
    """Poisson(1) weights of images, determined by the key of each image, the replicate and the seed.

    An image's key and the seed initialise a SplitMix64 generator, whose outputs are mapped through the inverse
    distribution function. The arithmetic is in integers and therefore identical on every device.

    Args:
        keys: (images,) int64, identifies each image, e.g. its index. Images with equal keys have equal weights.
        replicates: number of weightings.
        seed: of all weights.

    Returns:
        (images, replicates) int32, on the device of `keys`.

    Raises:
        ArgumentError: `keys` has another dtype or shape, or `replicates` is negative.

    Examples:
        >>> import torch
        >>> from nplight.metrics import poisson_weights
        >>> poisson_weights(torch.tensor([0, 1]), replicates=5).shape
        torch.Size([2, 5])
    """
    if keys.dtype != torch.int64 or keys.ndim != 1:
        raise ArgumentError(f"`keys` must be (images,) int64, got {tuple(keys.shape)} {keys.dtype}")
    check_at_least("replicates", replicates, 0)
    state = finalised(keys ^ finalised(torch.tensor(signed(seed), device=keys.device)))
    steps = torch.arange(1, replicates + 1, device=keys.device) * signed(INCREMENT)
    uniform = shifted(finalised(state[:, None] + steps), 64 - _BITS)
    return torch.bucketize(uniform, torch.tensor(_THRESHOLDS, device=keys.device), right=True, out_int32=True)


def all_summed(value: Tensor, group: Any = None) -> list[Tensor]:
    """Sum a state over all processes, as a `dist_sync_fn`; torchmetrics' default gathers one copy per process."""
    return [sum_over_processes(value, group)]


class BootstrapMetric(Metric):
    """Base class of metrics that are means over images, with replicates; memory is independent of the number of images.

    Args:
        shape: of the values of an image.
        replicates: number of weightings; 0 for none.
        seed: of the weights.
        **kwargs: of torchmetrics' `Metric`.

    Raises:
        ArgumentError: `replicates` is negative.
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
        """Per image 1, for the mean itself, then its replicate weights: (images, 1 + replicates) float64."""
        drawn = poisson_weights(keys, replicates=self.replicates, seed=self.seed)
        return pad(drawn, (1, 0), value=1).double()

    def add(self, values: Tensor, weights: Tensor) -> None:
        """Add images: values (images, *shape), NaN where an image has no value; weights (images, 1 + replicates)."""
        if len(values) != len(weights):
            raise ArgumentError(f"`keys` must be one for each of the {len(values)} images, got {len(weights)}")
        missing = values.isnan()
        self.total += torch.tensordot(values.double().masked_fill(missing, 0), weights, ([0], [0]))
        self.weight += torch.tensordot((~missing).double(), weights, ([0], [0]))

    def means(self) -> Replicates:
        """The means over images: values (*shape, 1 + replicates), images (*shape); NaN without images."""
        return Replicates(self.total / self.weight, self.weight[..., 0].long())


class BootstrapMean(BootstrapMetric):
    """Mean over images of one or several values, with replicates, e.g. the mean joint score.

    `estimate(metric.compute())` gives the mean with its interval.

    Args:
        shape: of the values of an image.
        interval: what an image's value is, a row of `INTERVALS`.
        **kwargs: `replicates`, `seed`, and those of torchmetrics' `Metric`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import BootstrapMean, estimate
        >>> metric = BootstrapMean()
        >>> metric.update(torch.tensor([0.2, 0.4, 0.6]), torch.tensor([0, 1, 2]))
        >>> round(estimate(metric.compute()).value, 6)
        0.4
    """

    def __init__(self, shape: tuple[int, ...] = (), *, interval: Interval = "mean", **kwargs: Any) -> None:
        super().__init__(shape, **kwargs)
        self.interval: Interval = interval

    def update(self, values: Tensor, keys: Tensor) -> None:
        """Add images: values (images, *shape), NaN is left out; keys (images,) int64, identifies each image."""
        self.add(values, self.weights(keys))

    def compute(self) -> Replicates:
        """Values (*shape, 1 + replicates) and images (*shape); NaN without images."""
        return self.means()._replace(interval=self.interval)

    def plot(self, val: Replicates | None = None, ax: Axes | None = None) -> Drawing:
        """Plot each mean with its 95% interval; `val=None`: the result of `compute`; `ax=None`: a new figure."""
        means: Replicates = self.compute() if val is None else val
        values, images = means.values.reshape(-1, means.values.shape[-1]), means.images.reshape(-1)
        estimates = [estimate(means._replace(values=mean, images=count)) for mean, count in zip(values, images)]
        return draw_estimates(list(map(str, range(len(estimates)))), estimates, ax, unit="mean over images")
