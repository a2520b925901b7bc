"""The choice of masks in the course of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nplight.pruning.masks import NeuronMasks
from nplight.pruning.schedule import PruningSchedule
from nplight.shrinking import shrink
from nplight.shrinking.replaced import copied, linear_like
from nplight.vit import OpenViT, open_vit

Reactivation = Literal["free", "rigl"]

REACTIVATIONS: tuple[Reactivation, ...] = ("free", "rigl")

# Of RigL (Evci et al., ICML 2020): the largest exchanged share, and where in the training the exchange has ended.
_EXCHANGED = 0.3
_EXCHANGE_ENDS = 0.75


class Pruner:
    """Chooses the mask of every layer by scores, as a schedule says.

    Without re-activation a pruned neuron stays pruned: the best of those still in use are kept. With `free` the best of
    all neurons are kept each time. With `rigl` at most `0.3 / 2 · (1 + cos(π t / T))` of the kept neurons are exchanged
    for others, T three quarters of the training: the schedule of RigL (Evci et al., ICML 2020), whose dropping and
    growing of weights is here that of neurons by one criterion. The definitions are this project's.

    Args:
        masks: of the model.
        schedule: of the pruning.
        reactivation: one of `REACTIVATIONS`, or `None`.

    Attributes:
        chosen: masks chosen so far.
        reactivated: share of the kept neurons, over all layers, that the last mask took back.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.pruning import NeuronMasks, Pruner, PruningSchedule
        >>> vit = nplight.open_vit(build_planted(PLANTED["chain"]).model)
        >>> schedule = PruningSchedule(share=0.75, kind="linear", begin=0, end=1, every=1, total=10)
        >>> pruner = Pruner(NeuronMasks(vit), schedule)
        >>> pruner.choose(1, scores=[torch.arange(256.0)] * 4)
        >>> nplight.open_vit(pruner.small_model()).widths
        (64, 64, 64, 64)
    """

    def __init__(
        self, masks: NeuronMasks, schedule: PruningSchedule, *, reactivation: Reactivation | None = None
    ) -> None:
        self.masks, self.schedule, self.reactivation = masks, schedule, reactivation
        self.chosen = 0
        self.reactivated = 0.0

    def due(self, step: int) -> bool:
        """Whether a mask is chosen before a step, and prunes something."""
        return self.schedule.masks_until(step) > self.chosen and self.schedule.share_at(step) > 0

    def choose(self, step: int, scores: Sequence[Tensor]) -> None:
        """Choose the masks before a step by scores, per layer (width,); a neuron of larger score is kept."""
        before = self.masks.kept
        kept = [self._kept(layer.cpu(), mask, step) for layer, mask in zip(scores, before)]
        back = sum(int((now & ~was).sum()) for now, was in zip(kept, before))
        self.reactivated = back / sum(int(mask.sum()) for mask in kept)
        self.masks.set(kept)
        self.chosen = self.schedule.masks_until(step)

    def small_model(self) -> nn.Module:
        """The Vision Transformer without the pruned neurons; see `nplight.shrink`."""
        return shrink(plain_copy(self.masks.vit), self.masks.kept)

    def _kept(self, scores: Tensor, before: Tensor, step: int) -> Tensor:
        count = max(1, round((1 - self.schedule.share_at(step)) * len(before)))
        if self.reactivation is None:
            scores = scores.masked_fill(~before, -math.inf)
        order = scores.argsort(descending=True, stable=True)
        if self.reactivation == "rigl" and not before.all():
            order = self._exchanging(order, before, count, step)
        return torch.zeros_like(before).index_fill(0, order[:count], True)

    def _exchanging(self, order: Tensor, before: Tensor, count: int, step: int) -> Tensor:
        """The order in which neurons are kept where only some may be exchanged, best first."""
        progress = min(
            1.0, (step - self.schedule.begin) / (_EXCHANGE_ENDS * (self.schedule.total - self.schedule.begin))
        )
        most = int(_EXCHANGED / 2 * (1 + math.cos(math.pi * progress)) * count)
        kept, others = order[before[order]], order[~before[order]]
        staying, leaving = kept[: max(0, count - most)], kept[max(0, count - most) :]
        rank = torch.empty_like(order).index_copy(0, order, torch.arange(len(order)))
        rivals = torch.cat([leaving, others[:most]])
        return torch.cat([staying, rivals[rank[rivals].argsort()], others[most:]])


def plain_copy(vit: OpenViT) -> OpenViT:
    """A copy of the Vision Transformer whose down projections are plain layers, with the masks in their weights."""
    layers: dict[nn.Module, nn.Module] = {
        down.linear: linear_like(down.linear, down.linear.weight, down.linear.bias) for down in vit.down
    }
    return open_vit(copied(vit.transformer, layers))
