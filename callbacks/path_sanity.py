"""Sanity checks of paths inside a Lightning run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from rich.console import RenderableType

from nplight.callbacks.path_sample import SampleCallback
from nplight.callbacks.trainer_context import trainer_context
from nplight.errors import check_at_least
from nplight.report.sanity_tables import read_out_table, sanity_table
from nplight.runs import SanityRun


class PathSanity(SampleCallback[SanityRun]):
    """Tests whether paths depend on what the model learned and on the target.

    In `validate`, when all discover images have been searched, a sample of them is searched again by every search that
    searches image by image: while the weights are randomised from the head down, after which a path should be gone, and
    for a wrong target, whose category's path should then be the nearest. From the paths of all images it is measured
    how well the category is told from the path alone, for paths searched for the label and for the prediction: images
    whose two differ are also searched for the other, under the name `SEARCH@prediction` or `SEARCH@label`. Writes
    `sanity.json` and prints two tables. The weights are restored bit for bit.

    Args:
        images: maximum number of images that are searched again, equally many of every category.
        searches: names of the searches that are checked; `None`: all that search image by image.
        seed: of all that is drawn.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        result: the content of `sanity.json`, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSanity
        >>> callbacks = [NeuronPathSearch(), PathEvaluation(), PathSanity(images=40)]
    """

    purpose = "Checking sanity"

    def __init__(
        self,
        *,
        images: int = 128,
        searches: Sequence[str] | None = None,
        seed: int = 0,
        read_batch: str | Callable[[Any], Any] | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        super().__init__(read_batch, run_dir, vit)
        check_at_least("images", images, 1)
        check_at_least("seed", seed, 0)
        self.images = images
        self.searches = searches
        self.seed = seed
        self.result: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit)

    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> SanityRun:
        return SanityRun(
            self.search(trainer).start(trainer, pl_module),
            images=self.images,
            searches=self.searches,
            seed=self.seed,
            context=trainer_context(trainer, pl_module, self.read, loader=self.loader),
        )

    def tables(self, result: dict[str, Any]) -> list[RenderableType]:
        return [sanity_table(result), read_out_table(result)]

    def scalars(self, result: dict[str, Any]) -> dict[str, float]:
        scalars: dict[str, float] = {}
        for name, search in result["searches"].items():
            told = result["read_out"]["searches"][name]["label"]["value"]
            values = {
                "randomised": search["randomised"][-1]["value"],
                "wrong_target": search["wrong_target"]["value"],
                "read_out": told,
            }
            scalars |= {f"paths/sanity/{name}/{key}": value for key, value in values.items() if value is not None}
        return scalars
