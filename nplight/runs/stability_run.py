"""The share of a path that survives perturbations of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nplight.data import PERTURBATIONS, SEVERITIES, PixelScale, SampledImages, perturbed
from nplight.errors import ArgumentError, check_at_least, check_choice, described
from nplight.metrics import mean_share, pair_shares, path_shares, random_share, share_difference
from nplight.runs.context import RunContext
from nplight.runs.sampled_run import Advance, Columns, SampledRun, stacked
from nplight.runs.search_run import SearchRun


@dataclass(frozen=True, slots=True)
class StabilitySettings:
    """How the stability of paths is measured.

    Attributes:
        perturbations: names of `nplight.data.PERTURBATIONS`.
        images: maximum number of images, equally many of every category.
        seed: of the choice of images and of the noise.
        searches: names of the searches that are measured; `None`: all that search image by image.

    Raises:
        ArgumentError: a setting is wrong.

    Examples:
        >>> from nplight.runs import StabilitySettings
        >>> StabilitySettings(perturbations=("noise",), images=20).images
        20
    """

    perturbations: Sequence[str] = tuple(PERTURBATIONS)
    images: int = 256
    seed: int = 0
    searches: Sequence[str] | None = None

    def __post_init__(self) -> None:
        names = self.perturbations
        if not isinstance(names, (list, tuple)) or not names or len(set(map(str, names))) < len(names):
            raise ArgumentError(f"`perturbations` must be a list of distinct names, got {described(names)}")
        for name in names:
            check_choice("perturbations", name, PERTURBATIONS)
        check_at_least("images", self.images, 1)
        check_at_least("seed", self.seed, 0)


class StabilityRun(SampledRun):
    """Searches perturbed images for the targets of the clean ones, and writes which share of each path stays.

    Beside it stands what a surviving share must beat: the share that random paths have in common, and that of different
    images of the same category and of different categories.

    Args:
        searched: the search run, whose folder takes the result.
        scale: the normalisation of the images.
        settings: of the measurement.
        context: of the loop.

    Raises:
        ArgumentError: no search of the run searches image by image.
        RunFolderError: the folder holds a result of other settings.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch, PixelScale
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings, StabilityRun, StabilitySettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> scale, settings = PixelScale((0.5,) * 3, (0.1,) * 3), StabilitySettings(perturbations=("noise",), images=4)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"])) as search:
        ...     run = StabilityRun(search, scale, settings)
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...     run.update(batch)
        ...     result = run.conclude()
        ...
        >>> result["images"], list(result["searches"])
        (4, ['jas'])
    """

    kind = "stability"

    def __init__(
        self,
        searched: SearchRun,
        scale: PixelScale,
        settings: StabilitySettings | None = None,
        context: RunContext | None = None,
    ) -> None:
        settings = settings or StabilitySettings()
        self.scale = scale
        self.names = tuple(settings.perturbations)
        super().__init__(
            searched,
            images=settings.images,
            seed=settings.seed,
            searches=settings.searches,
            context=context or RunContext(),
            settings={"perturbations": list(self.names), "mean": list(scale.mean), "std": list(scale.std)},
        )

    def searches_per_image(self) -> int:
        """One for the clean image, one for each perturbation and severity."""
        return len(self.searches) * (1 + len(self.names) * len(SEVERITIES))

    def measure(self, batches: Sequence[SampledImages], advance: Advance) -> Columns:
        """`neurons SEARCH` of the clean images; `kept SEARCH` and `unchanged`: (images, perturbations, severities)."""
        return stacked([self._measure(batch, advance) for batch in batches])

    def result(self, columns: Columns) -> dict[str, Any]:
        """Per search and perturbation the surviving share at each severity, and what to compare it with."""
        return {
            "images": len(columns["index"]),
            "severities": list(SEVERITIES),
            "levels": {name: list(PERTURBATIONS[name].levels) for name in self.names},
            "random": random_share(self.searched.top_k, self.vit.widths),
            "prediction_unchanged": self._by_perturbation(columns["unchanged"], 1),
            "searches": {name: self._of_search(name, columns) for name in self.searches},
        }

    def _measure(self, batch: SampledImages, advance: Advance) -> Columns:
        clean = {name: self.paths(name, batch.images, self.targets(batch.labels), advance) for name in self.searches}
        shape = (len(batch), len(self.names), len(SEVERITIES))
        columns = {f"neurons {name}": paths.neurons for name, paths in clean.items()}
        columns |= {f"kept {name}": torch.zeros(shape, dtype=torch.float64) for name in clean}
        columns["unchanged"] = torch.zeros(shape, dtype=torch.float64)
        for row, name in enumerate(self.names):
            for column, severity in enumerate(SEVERITIES):
                images = self._perturbed(batch, name, severity)
                for search, paths in clean.items():
                    # The targets of the clean images: only the image changes.
                    after = self.paths(search, images, paths.targets, advance)
                    columns[f"kept {search}"][:, row, column] = path_shares(paths.neurons, after.neurons)
                    columns["unchanged"][:, row, column] = (after.predictions == paths.predictions).double()
        return columns

    def _perturbed(self, batch: SampledImages, name: str, severity: int) -> Tensor:
        sums = batch.checksums.tolist()
        return perturbed(batch.images, name, severity, scale=self.scale, checksums=sums, seed=self.seed)

    def _of_search(self, name: str, columns: Columns) -> dict[str, Any]:
        neurons, kept = columns[f"neurons {name}"], columns[f"kept {name}"]
        trials = neurons.shape[1] * neurons.shape[2]
        pairs = pair_shares(neurons, columns["label"])
        overall = mean_share(kept.mean((1, 2)), trials)
        return {
            "kept": self._by_perturbation(kept, trials),
            "overall": overall.to_dict(),
            "same_category": pairs.within.to_dict(),
            "other_category": pairs.between.to_dict(),
            "over_same_category": share_difference(overall, pairs.within).to_dict(),
        }

    def _by_perturbation(self, shares: Tensor, trials: int) -> dict[str, list[dict[str, float | int | None]]]:
        return {
            name: [mean_share(of_severity, trials).to_dict() for of_severity in of_perturbation.unbind(1)]
            for name, of_perturbation in zip(self.names, shares.unbind(1))
        }
