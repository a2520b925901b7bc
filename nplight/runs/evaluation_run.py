"""A test of category paths on many images, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from nplight.data import ImageBatch, ImageDigest, labels_of
from nplight.errors import NonFiniteError, check_at_least, check_choice
from nplight.metrics import ConditionMetrics, all_conditions, predictions
from nplight.neurons import FILLS, TOKENS, Fill, Gathering, References, Tokens, gathering
from nplight.processes import on_first_process
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.results import Findings, findings
from nplight.runs.context import RunContext, check_discover_pass, discover_pass
from nplight.runs.counted_images import CountedImages
from nplight.runs.images_of_run import claim_held_out, images_of_processes
from nplight.runs.path_source import PathSource, StoredPaths
from nplight.runs.run import Run
from nplight.seeds import checksums
from nplight.store import RunFolder
from nplight.store.file_names import COMPARISON_LATEX, COMPARISON_MARKDOWN
from nplight.vit import OpenViT, fingerprint


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How an evaluation run tests paths.

    Attributes:
        fractions: shares of the other neurons that are pruned, in [0, 1].
        fill: what stands in a pruned neuron: `zero`; or, gathered over the discover images, its `mean` or `peak`, or
            `resample`, its value in another image.
        tokens: the tokens that are edited: `path`, as the paper, or `all`.
        seed: chooses which neurons a fraction below 1 prunes, and the images of `resample`.
        replicates: of the bootstrap over images that gives every measure its 95% interval.

    Raises:
        ArgumentError: a setting is wrong.
    """

    fractions: Sequence[float] = (0.1, 0.3, 0.5, 1.0)
    fill: Fill = "zero"
    tokens: Tokens = "path"
    seed: int = 0
    replicates: int = 1000

    def __post_init__(self) -> None:
        all_conditions(1, (), self.fractions)
        check_choice("fill", self.fill, FILLS)
        check_choice("tokens", self.tokens, TOKENS)
        check_at_least("replicates", self.replicates, 0)

    def notes(self) -> list[str]:
        """What a reader of the results must know."""
        notes = []
        if self.fill != "zero":
            notes.append(f"pruned neurons hold their fill {self.fill!r}, not 0")
        if self.tokens == "all":
            notes.append("neurons are edited at every token, not at the path tokens alone")
        return notes


class EvaluationRun(Run):
    """Predicts images under every condition, each image edited along the path of its category, and writes the results.

    Of several processes every one makes a run, gives it its share of the images, and calls `conclude`.

        with EvaluationRun(vit, RunFolder("neuron_paths"), StoredPaths("neuron_paths")) as run:
            for batch in held_out_batches:
                run.update(batch)
            findings = run.conclude()

    Args:
        vit: the opened model.
        folder: where results go; no other run can use it until `release`.
        paths: what is tested: a `SearchRun`, or `StoredPaths`.
        settings: of the run.
        context: of the loop; a fill that is not `zero` needs its `discover_pass`.
        overwrite: replace the results that the folder holds, also those of other settings.

    Raises:
        ArgumentError: the paths do not fit the model.
        RunFolderError: the folder is in use, or holds results of other settings.
    """

    def __init__(
        self,
        vit: OpenViT,
        folder: RunFolder,
        paths: PathSource,
        settings: EvaluationSettings | None = None,
        context: RunContext | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        super().__init__(vit, folder)
        self.paths = paths
        self.settings = settings or EvaluationSettings()
        self.context = context or RunContext()
        if self.settings.fill != "zero":
            check_discover_pass(self.context, f"`fill` {self.settings.fill!r}")
        weights = fingerprint(vit.searched)
        if isinstance(paths, StoredPaths):
            paths.check_model(vit)
            paths.compare_weights(weights)
        self._conditions = all_conditions(paths.top_k, list(paths.sizes), self.settings.fractions)
        self._metrics = self._new_metrics()
        self._counted, self._images = CountedImages(), ImageDigest()
        try:
            settings_of_run = self._settings_of_run(weights)
            on_first_process(lambda: folder.claim("evaluation", settings_of_run, overwrite=overwrite))
            self._references = self._gather()
        except BaseException:
            self.release()
            raise

    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Predict the images of a batch under every condition.

        Args:
            batch: with labels, on the device of the model.
            loader: the number of the loader, each of which numbers its images anew.

        Raises:
            ArgumentError: the batch lacks labels, or has labels that are no categories of the model.
            NonFiniteError: the clean pass gave NaN or infinite values.
        """
        labels = labels_of(batch, "to evaluate paths with")
        self.vit.check_targets(labels, len(batch), "labels")
        self._counted.add(batch, loader)
        with self.context.forward_context():
            probabilities = predictions(
                self.vit,
                batch.images,
                labels,
                self._conditions,
                self.paths.category_paths,
                seed=self.settings.seed,
                references=self._references,
                tokens=self.settings.tokens,
            )
        keys = torch.tensor(checksums(batch.images), device=batch.images.device)
        self._images.update(batch.index, batch.labels, keys)
        for method, metrics in self._metrics.items():
            clean = probabilities[method][0]
            broken = (~clean.isfinite().all(1)).nonzero().flatten().tolist()
            if broken:
                raise NonFiniteError("the clean pass gave NaN or infinite values", broken)
            metrics.update(probabilities[method], labels, keys)

    def conclude(self) -> Findings:
        """Put the results together and write `metrics.json`, `metrics.csv` and, of several searches, the comparison.

        Every process must call it, also one that had no images.

        Raises:
            ArgumentError: no process had an image, or an image came twice.
            RunFolderError: the folder holds results of other images.
        """
        images = images_of_processes(self._images)
        self._counted.refuse_repeated()
        claim_held_out(self.folder, images, "PathEvaluation")
        for metrics in self._metrics.values():
            metrics.compute()  # on every process; the first then needs no other
        return on_first_process(self._write_findings)

    def _new_metrics(self) -> dict[str, ConditionMetrics]:
        device, replicates = self.vit.down[0].linear.weight.device, self.settings.replicates
        return {
            name: ConditionMetrics(self._conditions, self.vit.num_classes, method=name, replicates=replicates).to(
                device
            )
            for name in self.paths.names
        }

    def _settings_of_run(self, weights: str) -> dict[str, Any]:
        return {
            "methods": list(self.paths.names),
            "fractions": list(self.settings.fractions),
            "fill": self.settings.fill,
            "tokens": self.settings.tokens,
            "seed": self.settings.seed,
            "replicates": self.settings.replicates,
            "paths": self.paths.digest(),
            "model": weights,
            **self.context.data,
        }

    def _gather(self) -> References | None:
        """What the fill writes, from the discover images of all processes."""
        settings = self.settings
        if settings.fill == "zero":
            return None
        step: Gathering | References = gathering(self.vit, settings.fill, tokens=settings.tokens, seed=settings.seed)
        with isolate_rng():
            while isinstance(step, Gathering):
                for batch in discover_pass(self.context, "Gathering references"):
                    with self.context.forward_context():
                        step.update(batch.images)
                step = step.finish()
        return step

    def _write_findings(self) -> Findings:
        result = findings(
            self._metrics,
            self.paths.image_paths(),
            top_k=self.paths.top_k,
            widths=self.vit.widths,
            num_classes=self.vit.num_classes,
            notes=[*self.paths.notes, *self.settings.notes()],
        )
        self.folder.write_metrics([row.to_dict() for row in result.results], result.to_dict())
        if len(self._metrics) > 1:
            self.folder.write(COMPARISON_MARKDOWN, findings_to_markdown(result))
            self.folder.write(COMPARISON_LATEX, to_latex(result.comparison))
        return result
