"""Predictions of one batch under conditions, along one path per image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from nplight.metrics.conditions import Condition
from nplight.metrics.edited_forward import EditedForward
from nplight.neurons import (
    Edit,
    References,
    Tokens,
    first_layers,
    path_masks,
    prune_order,
    pruned_masks,
    replacing,
    scaling,
)
from nplight.vit import OpenViT

_NO_REFERENCES: Mapping[Tokens, References] = MappingProxyType({})


class ConditionForward:
    """The logits of a batch under conditions; what several paths and conditions share is computed once.

    Args:
        vit: the opened model, inside `undisturbed` and `torch.no_grad`.
        images: (images, channels, height, width).
        priority: per layer (images, width), of the neurons that a share below 1 prunes, the smallest first; `None` if
            no condition prunes such a share.
        references: edited tokens -> the fill of pruned neurons there; without, they are 0.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionForward
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> with torch.no_grad():
        ...     forward = ConditionForward(nplight.open_vit(planted.model), planted.images[:1])
        ...     clean, removed = forward.probabilities(conditions, {1: planted.truth[:1]})
        ...
        >>> bool(removed[0, planted.labels[0]] < clean[0, planted.labels[0]])
        True
    """

    def __init__(
        self,
        vit: OpenViT,
        images: Tensor,
        *,
        priority: Sequence[Tensor] | None = None,
        references: Mapping[Tokens, References] = _NO_REFERENCES,
    ) -> None:
        self._vit = vit
        self._images = images
        self._priority = priority
        self._values = {tokens: reference.of(images) for tokens, reference in references.items()}
        self._forwards: dict[Tokens, EditedForward] = {}
        self._without_path: dict[Condition, Tensor] = {}

    def probabilities(self, conditions: Sequence[Condition], paths: Mapping[int, Tensor]) -> list[Tensor]:
        """The softmax of `logits`, arguments as there."""
        return [logits.softmax(-1) for logits in self.logits(conditions, paths)]

    def logits(self, conditions: Sequence[Condition], paths: Mapping[int, Tensor]) -> list[Tensor]:
        """The logits under each condition, (images, categories), at least float32.

        Those of conditions without a path are the same tensors for all paths.

        Args:
            conditions: the conditions.
            paths: neurons per layer -> the path of each image, (images, layers, neurons per layer) int64.
        """
        found: dict[Condition, Tensor] = {}
        for tokens in dict.fromkeys(condition.tokens for condition in conditions):
            edited = [one for one in conditions if one.tokens == tokens and one.kept is not None]
            logits = self._forward(tokens).edited(self._edits(edited, paths))
            found.update(zip(edited, logits, strict=True))
        return [self._pathless(one) if one.kept is None else found[one] for one in conditions]

    def _pathless(self, condition: Condition) -> Tensor:
        if condition not in self._without_path:
            forward = self._forward(condition.tokens)
            if condition.unedited:
                self._without_path[condition] = forward.clean()
            else:
                everything = [torch.ones(1, width, dtype=torch.bool) for width in self._vit.widths]
                edits = [self._pruning(everything, condition.tokens, shared=True)]
                (self._without_path[condition],) = forward.edited(edits)
        return self._without_path[condition]

    def _forward(self, tokens: Tokens) -> EditedForward:
        if tokens not in self._forwards:
            self._forwards[tokens] = EditedForward(self._vit, self._images, tokens)
        return self._forwards[tokens]

    def _edits(self, conditions: Sequence[Condition], paths: Mapping[int, Tensor]) -> Iterator[Edit]:
        masks: dict[int | None, list[Tensor]] = {}
        orders: dict[int | None, list[Tensor]] = {}
        for condition in conditions:
            size = condition.kept
            if size is not None and size not in masks:
                masks[size] = path_masks(paths[size], self._vit.widths)
            if condition.pruned not in (None, 1) and size not in orders and self._priority is not None:
                orders[size] = prune_order(masks[size], self._priority)
            edit = self._edit(condition, masks[size], orders.get(size))
            yield edit if condition.layers is None else first_layers(edit, condition.layers)

    def _edit(self, condition: Condition, path: list[Tensor], order: list[Tensor] | None) -> Edit:
        if condition.factor is not None:
            return scaling(path, condition.factor)
        share = 1.0 if condition.pruned is None else condition.pruned
        return self._pruning(pruned_masks(path, share, None if share == 1 else order), condition.tokens)

    def _pruning(self, masks: list[Tensor], tokens: Tokens, *, shared: bool = False) -> Edit:
        values = self._values.get(tokens)
        return scaling(masks, 0.0, shared=shared) if values is None else replacing(masks, values, shared=shared)
