"""Measure inside a Lightning run which share of a path survives perturbations of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from rich.console import RenderableType

from nplight.callbacks.path_sample import SampleCallback
from nplight.callbacks.trainer_context import trainer_context
from nplight.data import PERTURBATIONS, PathDataModule, PixelScale
from nplight.errors import ArgumentError
from nplight.report.sanity_tables import stability_table
from nplight.runs import StabilityRun, StabilitySettings


class PathStability(SampleCallback[StabilityRun]):
    """Measures which share of an image's path survives noise, blur, JPEG and brightness on the image.

    In `validate`, when all discover images have been searched, it perturbs a sample of them in five severities and
    searches each again for the same target, by every search that searches image by image: 20 searches per image and
    search with all perturbations. Beside the surviving share stand the share that random paths have in common, and that
    of different images of the same and of different categories. Writes `stability.json` and prints a table.

    Args:
        perturbations: names of `nplight.data.PERTURBATIONS`.
        images: maximum number of images, equally many of every category.
        searches: names of the searches that are measured; `None`: all that search image by image.
        mean: by which the images were normalised, one number per channel; `None`: as the data module of nplight says.
        std: as `mean`.
        seed: of the choice of images and of the noise.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        result: the content of `stability.json`, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathStability
        >>> callbacks = [NeuronPathSearch(), PathEvaluation(), PathStability(perturbations=["noise"], images=20)]
    """

    purpose = "Measuring stability"

    def __init__(
        self,
        *,
        perturbations: Sequence[str] = tuple(PERTURBATIONS),
        images: int = 256,
        searches: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        read_batch: str | Callable[[Any], Any] | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        super().__init__(read_batch, run_dir, vit)
        self.settings = StabilitySettings(perturbations, images, seed, searches)
        if (mean is None) != (std is None):
            raise ArgumentError("`mean` and `std` must be given together, got one of them")
        self.scale = None if mean is None or std is None else PixelScale(tuple(mean), tuple(std))
        self.result: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if self.follows(trainer):
            self._scale(trainer)

    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> StabilityRun:
        return StabilityRun(
            self.search(trainer).start(trainer, pl_module),
            self._scale(trainer),
            self.settings,
            trainer_context(trainer, pl_module, self.read, loader=self.loader),
        )

    def tables(self, result: dict[str, Any]) -> list[RenderableType]:
        return [stability_table(result)]

    def scalars(self, result: dict[str, Any]) -> dict[str, float]:
        return {f"paths/stability/{name}": search["overall"]["value"] for name, search in result["searches"].items()}

    def _scale(self, trainer: Trainer) -> PixelScale:
        data = getattr(trainer, "datamodule", None)
        scale = self.scale or (data.pixel_scale if isinstance(data, PathDataModule) else None)
        if scale is None:
            raise ArgumentError(
                "`mean` and `std` of PathStability must be those that the images were normalised by, which are known "
                "of nplight's data modules alone, got none; give one number per channel each"
            )
        return scale
