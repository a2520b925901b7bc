"""The metrics of a test of category paths, and of the controls beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from nplight.errors import NonFiniteError
from nplight.metrics import (
    CONTROLS,
    ConditionForward,
    ConditionMetrics,
    ControlMetrics,
    ControlPaths,
    ControlSetting,
    category_priority,
    image_priority,
)
from nplight.neurons import References, Tokens
from nplight.paths import CategoryPaths
from nplight.runs.evaluation_settings import EvaluationSettings
from nplight.runs.path_source import PathSource
from nplight.vit import OpenViT, undisturbed


class ConditionTests:
    """Predicts batches under every condition, along the paths of every search and of the controls.

    A search that has the name of a control without paths of searches (`random`) is not tested: its figures are those of
    the control.

    Args:
        vit: the opened model.
        paths: what is tested.
        settings: of the run.
        references: edited tokens -> the fill of pruned neurons there.
        activations: per layer (width,), the mean of each neuron; empty if no control needs it.

    Attributes:
        searches: search -> its metrics.
        controls: control -> search -> the metrics of the control.
    """

    def __init__(
        self,
        vit: OpenViT,
        paths: PathSource,
        settings: EvaluationSettings,
        references: Mapping[Tokens, References],
        activations: Sequence[Tensor] = (),
    ) -> None:
        self._vit = vit
        self._paths = paths
        self._settings = settings
        self._references = references
        self.conditions = settings.conditions(vit, paths.top_k, paths.sizes)
        self._device = vit.down[0].linear.weight.device
        names = settings.names_of_controls
        tested = [name for name in paths.names if not (name in names and CONTROLS[name].drawn)]
        self.searches = {
            name: ConditionMetrics(
                self.conditions,
                vit.num_classes,
                method=name,
                replicates=settings.replicates,
                objectives=paths.objectives,
            ).to(self._device)
            for name in tested
        }
        setting = ControlSetting(vit.widths, tuple(paths.sizes), vit.num_classes, settings.seed, activations)
        self._control_paths: dict[str, ControlPaths] = {name: CONTROLS[name].make(setting) for name in names}
        self.controls = {name: self._controls(name, tested) for name in names}

    def update(self, images: Tensor, labels: Tensor, keys: Tensor) -> None:
        """Predict a batch under every condition.

        Args:
            images: (images, channels, height, width).
            labels: (images,) int64.
            keys: (images,) int64, checksums of the images.

        Raises:
            NonFiniteError: the clean pass gave NaN or infinite values.
        """
        with undisturbed(self._vit.model), torch.no_grad():
            forward = ConditionForward(
                self._vit, images, priority=self._priority(images, labels), references=self._references
            )
            (clean,) = forward.probabilities(self.conditions[:1], {})
            broken = (~clean.isfinite().all(1)).nonzero().flatten().tolist()
            if broken:
                raise NonFiniteError("the clean pass gave NaN or infinite values", broken)
            category_paths = self._paths.category_paths
            for name, metrics in self.searches.items():
                paths = {size: category.of(labels) for size, category in category_paths[name].items()}
                metrics.update(forward.logits(self.conditions, paths), labels, keys, logits=True)
            for name, of_searches in self.controls.items():
                for search, control in _distinct(of_searches).items():
                    control.update(forward, partial(self._drawn, name, category_paths[search], labels), labels, keys)

    def compute(self) -> None:
        """Sum the metrics over all processes, which must all call it; the first process then needs no other."""
        for metrics in self.searches.values():
            metrics.compute()
        for of_searches in self.controls.values():
            for control in _distinct(of_searches).values():
                control.compute()

    def _drawn(
        self, control: str, paths: Mapping[int, CategoryPaths], labels: Tensor, draw: int
    ) -> Mapping[int, Tensor]:
        return self._control_paths[control].of(paths, labels, draw)

    def _priority(self, images: Tensor, labels: Tensor) -> list[Tensor] | None:
        if all(condition.pruned in (None, 1) for condition in self.conditions):
            return None
        if self._settings.pruned_per == "image":
            return image_priority(self._vit.widths, images, self._settings.seed)
        return category_priority(self._vit.widths, labels, self._settings.seed)

    def _controls(self, name: str, searches: Sequence[str]) -> dict[str, ControlMetrics]:
        if CONTROLS[name].drawn:
            shared = self._control_metrics(name)
            return dict.fromkeys(searches or self._paths.names, shared)
        return {search: self._control_metrics(f"{name} of {search}") for search in searches}

    def _control_metrics(self, method: str) -> ControlMetrics:
        settings = self._settings
        return ControlMetrics(
            self.conditions,
            self._vit.num_classes,
            method=method,
            draws=settings.draws,
            replicates=settings.replicates,
            objectives=self._paths.objectives,
        ).to(self._device)


def _distinct(of_searches: Mapping[str, ControlMetrics]) -> dict[str, ControlMetrics]:
    """Search -> metrics, each metrics once."""
    seen = {id(metrics): (search, metrics) for search, metrics in of_searches.items()}
    return dict(seen.values())
