"""How much of known paths a method finds, over images and seeds, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import check_at_least
from nplight.metrics import Replicates, estimate
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.drawing import Drawing, draw_estimates
from nplight.paths import PathBatch
from nplight.planted.causal_shares import CausalShares
from nplight.planted.recovery import path_precision, path_recall, ranking_auroc

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Recovery(NamedTuple):
    """How much of the planted paths was found, each value for `estimate`.

    Attributes:
        recall: share of the planted neurons on the found path, mean over layers and images.
        precision: share of the found path's neurons that are planted.
        auroc: area under the ROC curve of the ranking, mean over layers and images.
        removed: `CausalShares.removed`.
        kept: `CausalShares.kept`.
        layer_recall: recall of each layer: values (layers, 1 + replicates), images (layers,).
        layer_auroc: area of each layer, likewise.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.metrics import estimate
        >>> from nplight.planted import PLANTED, PathRecovery, build_planted, causal_shares
        >>> planted, metric = build_planted(PLANTED["chain"]), PathRecovery(depth=4)
        >>> paths = nplight.search(planted.model, planted.images, planted.labels, ranked=planted.width)
        >>> shares = causal_shares(planted, paths.neurons)
        >>> metric.update(paths, planted.paths, shares, torch.arange(16), width=planted.width)
        >>> estimate(metric.compute().recall).value
        1.0
    """

    recall: Replicates
    precision: Replicates
    auroc: Replicates
    removed: Replicates
    kept: Replicates
    layer_recall: Replicates
    layer_auroc: Replicates


class PathRecovery(BootstrapMetric):
    """Mean recovery of planted paths over the images of one model or several, with replicates.

    Of several models, made with different seeds, the replicates weight models and images by Poisson weights that are
    multiplied (the product-reweighted bootstrap of Owen and Eckles, 2012), so that intervals hold both. They grow with
    fewer seeds, and two or three are too few for 95% to be exact. Where every image has the same value, 1 say, the
    interval is that point.

    Args:
        depth: number of layers.
        **kwargs: `replicates`, `seed`, and torchmetrics' own.

    Raises:
        ArgumentError: `depth` below 1.

    Examples:
        >>> from nplight.planted import PathRecovery
        >>> metric = PathRecovery(depth=4)
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        check_at_least("depth", depth, 1)
        super().__init__((7 + 2 * depth,), **kwargs)
        self.depth = depth

    def update(
        self,
        paths: PathBatch,
        truth: Tensor,
        shares: CausalShares,
        keys: Tensor,
        *,
        width: int,
        model: int | None = None,
    ) -> None:
        """Add the images of a model.

        Args:
            paths: those that a method found.
            truth: (images, layers, K) int64, the planted ones; -1 where a layer has fewer. Layers without
                any count in no mean.
            shares: of the found paths.
            keys: (images,) int64, what names each image.
            width: neurons in a layer.
            model: names the model where the metric is of several; `None`: intervals over images alone.

        Raises:
            ArgumentError: different images or layers, or `keys` of another kind or number.
        """
        recall = path_recall(paths.neurons, truth)
        precision = path_precision(paths.neurons, truth)
        auroc = ranking_auroc(paths.ranking, paths.ranking_scores, truth, width=width)
        means = torch.stack([values.nanmean(1) for values in (recall, precision, auroc)], 1)
        weights = self.weights(keys)
        if model is not None:
            # Negative, so that no image has the key of a model.
            weights = weights * self.weights(torch.full_like(keys, -1 - model))
        self.add(torch.cat([means, torch.stack([*shares.found, *shares.planted], 1), recall, auroc], 1), weights)

    def compute(self) -> Recovery:
        """The recovery over all devices; NaN for no images."""
        means = self.means()._replace(interval="fraction")
        found, planted = means.of(slice(3, 5)), means.of(slice(5, 7))
        shares = Replicates(found.values / planted.values, found.images)  # may be below 0 or above 1
        layers = (means.of(slice(start, start + self.depth)) for start in (7, 7 + self.depth))
        recall, precision, auroc = (means.of(measure) for measure in range(3))
        return Recovery(recall, precision, auroc, shares.of(0), shares.of(1), *layers)

    def plot(self, val: Recovery | None = None, ax: Axes | None = None) -> Drawing:
        """Draw the recall layer by layer; `val=None`: what `compute` gives; `ax=None`: a new figure."""
        recovery: Recovery = self.compute() if val is None else val
        layers = [estimate(recovery.layer_recall.of(layer)) for layer in range(len(recovery.layer_recall.images))]
        figure, ax = draw_estimates(list(map(str, range(len(layers)))), layers, ax, unit="recall of planted neurons")
        ax.set_xlabel("layer")
        return figure, ax
