"""The published program's protocol: each image's own path removed and enhanced, on the images it was found with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from nplight.data import labels_of
from nplight.metrics import ConditionForward, ConditionMetrics, RandomPaths, own_conditions
from nplight.runs.context import RunContext, discover_pass
from nplight.runs.evaluation_settings import EvaluationSettings
from nplight.seeds import checksums
from nplight.store import PathTable, RowLookup
from nplight.vit import OpenViT, undisturbed

RANDOM = "random"


class OwnPathTests:
    """Predicts the discover images with their own paths removed and enhanced, beside random paths of their own.

    Args:
        vit: the opened model.
        tables: search -> its stored rows.
        settings: of the run.
        top_k: neurons per layer of the paths.
        objectives: of the searches, whose measures are added.

    Attributes:
        searches: search -> its metrics, whose conditions are `own_conditions`.
        control: those of random paths, one per image and draw; `None` if `random` is not a control of the run.
    """

    def __init__(
        self,
        vit: OpenViT,
        tables: Mapping[str, PathTable],
        settings: EvaluationSettings,
        top_k: int,
        *,
        objectives: Sequence[str] = (),
    ) -> None:
        self._vit = vit
        self._top_k = top_k
        self._rows = {name: RowLookup(table, ["neurons"]) for name, table in tables.items()}
        self._conditions = own_conditions(top_k, tokens=settings.main_tokens)
        self._random = RandomPaths(vit.widths, top_k, seed=settings.seed)
        self._draws = settings.own_draws
        device = vit.down[0].linear.weight.device
        new = partial(
            ConditionMetrics,
            self._conditions,
            vit.num_classes,
            replicates=settings.replicates,
            objectives=objectives,
        )
        self.searches = {name: new(method=name).to(device) for name in tables}
        self.control = (
            new(method=RANDOM, draws=self._draws).to(device) if RANDOM in settings.names_of_controls else None
        )

    def run(self, context: RunContext) -> None:
        """Go over the discover images once; every process must call it.

        Raises:
            ArgumentError: the loop gives no further pass over the discover images, or they have no labels.
            RunFolderError: an image has no stored path.
        """
        count = 0
        for batch in discover_pass(context, "Testing images' own paths"):
            labels = labels_of(batch, "to test paths with")
            index = torch.arange(count, count + len(batch)) if batch.index is None else batch.index
            count += len(batch)
            keys = torch.tensor(checksums(batch.images), device=batch.images.device)
            with context.forward_context(), undisturbed(self._vit.model), torch.no_grad():
                self._update(ConditionForward(self._vit, batch.images), labels, index, keys)
        for metrics in (*self.searches.values(), *([] if self.control is None else [self.control])):
            metrics.compute()

    def _update(self, forward: ConditionForward, labels: Tensor, index: Tensor, keys: Tensor) -> None:
        for name, metrics in self.searches.items():
            neurons = self._rows[name].of(index, keys)["neurons"].to(labels.device)
            logits = forward.logits(self._conditions, {self._top_k: neurons})
            metrics.update(logits, labels, keys, logits=True)
        if self.control is not None:
            drawn = (
                forward.logits(self._conditions, {self._top_k: self._random.of(keys, draw)})
                for draw in range(self._draws)
            )
            self.control.update_draws(drawn, labels, keys, logits=True)
