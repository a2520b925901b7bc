"""A test of category paths on many images, batch by batch."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from nplight.data import ImageBatch, ImageDigest, labels_of
from nplight.metrics import CONTROLS
from nplight.processes import on_first_process
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.results import Findings, MeasuredPaths, category_columns, category_rows, findings
from nplight.runs.condition_tests import ConditionTests
from nplight.runs.context import RunContext, check_discover_pass
from nplight.runs.counted_images import CountedImages
from nplight.runs.evaluation_settings import EvaluationSettings
from nplight.runs.gathered_references import gathered_references
from nplight.runs.images_of_run import claim_held_out, images_of_processes
from nplight.runs.own_paths import OwnPathTests
from nplight.runs.path_source import PathSource, StoredPaths
from nplight.runs.run import Run
from nplight.searching import CATEGORY_METHODS
from nplight.seeds import checksums
from nplight.store import RunFolder
from nplight.store.file_names import BY_CATEGORY, COMPARISON_LATEX, COMPARISON_MARKDOWN
from nplight.vit import OpenViT, fingerprint


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

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import EvaluationRun, EvaluationSettings, SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> settings = EvaluationSettings(fractions=(1.0,), tokens="path", replicates=10, draws=2)
        >>> with EvaluationRun(vit, folder, search, settings) as evaluation:
        ...     evaluation.update(batch)
        ...     findings = evaluation.conclude()
        ...
        >>> findings.searches
        ('jas',)
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
        self.settings = (settings or EvaluationSettings()).for_paths(paths.tokens)
        self.context = context or RunContext()
        if self.settings.fill != "zero":
            check_discover_pass(self.context, f"`fill` {self.settings.fill!r}")
        if gathering := [name for name in self.settings.names_of_controls if CONTROLS[name].gathers]:
            check_discover_pass(self.context, f"control {gathering[0]!r}")
        weights = fingerprint(vit.searched)
        if isinstance(paths, StoredPaths):
            paths.check_model(vit)
            paths.compare_weights(weights)
        self._counted, self._images = CountedImages(), ImageDigest()
        try:
            settings_of_run = self._settings_of_run(weights)
            on_first_process(lambda: folder.claim("evaluation", settings_of_run, overwrite=overwrite))
            references, activations = gathered_references(vit, self.settings, self.context)
            self._tests = ConditionTests(vit, paths, self.settings, references, activations)
        except BaseException:
            self.release()
            raise

    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Predict the images of a batch under every condition.

        Args:
            batch: with labels, on the device of the model.
            loader: the number of the loader, each of which numbers its images anew.

        Raises:
            ArgumentError: the batch lacks labels, or has labels that are not categories of the model.
            NonFiniteError: the clean pass gave NaN or infinite values.
        """
        labels = labels_of(batch, "to evaluate paths with")
        self.vit.check_targets(labels, len(batch), "labels")
        self._counted.add(batch, loader)
        keys = torch.tensor(checksums(batch.images), device=batch.images.device)
        self._images.update(batch.index, batch.labels, keys)
        with self.context.forward_context():
            self._tests.update(batch.images, labels, keys)

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
        self._tests.compute()
        own = self._test_own_paths()
        return on_first_process(lambda: self._write_findings(own))

    def _test_own_paths(self) -> OwnPathTests | None:
        """Test each image's own path on the discover images, where both are at hand."""
        table = self.paths.image_paths() if self.settings.own else None
        if table is None or self.context.discover_pass is None:
            return None
        tables = {name: table.where(search=name) for name in self.paths.names if name in table.searches}
        tests = OwnPathTests(self.vit, tables, self.settings, self.paths.top_k, objectives=self.paths.objectives)
        with isolate_rng():
            tests.run(self.context)
        return tests

    def _category_methods(self) -> dict[str, str]:
        """Search -> how its category paths were formed from image paths; joint paths were not."""
        methods = {name: next(iter(sizes.values())).method for name, sizes in self.paths.category_paths.items()}
        return {name: method for name, method in methods.items() if method in CATEGORY_METHODS}

    def _notes(self) -> list[str]:
        """What a reader of the results must know."""
        notes = [*self.paths.notes, *self.settings.notes()]
        if self.settings.own and self.context.discover_pass is None and self.paths.digest() is None:
            notes.append("images' own paths were not tested: the loop gives no further pass over the discover images")
        return notes

    def _settings_of_run(self, weights: str) -> dict[str, Any]:
        return {
            "methods": list(self.paths.names),
            **self.settings.to_dict(),
            "paths": self.paths.digest(),
            "model": weights,
            **self.context.data,
        }

    def _write_findings(self, own: OwnPathTests | None) -> Findings:
        tests = self._tests
        tested = MeasuredPaths(
            searches=tests.searches,
            controls=tests.controls,
            own={} if own is None else own.searches,
            own_control=None if own is None else own.control,
            names=tuple(self.paths.names),
        )
        result = findings(
            tested,
            self.paths.image_paths(),
            top_k=self.paths.top_k,
            widths=self.vit.widths,
            num_classes=self.vit.num_classes,
            replicates=self.settings.replicates,
            category_methods=self._category_methods(),
            notes=self._notes(),
        )
        self.folder.write_csv(BY_CATEGORY, category_rows(tested, self.vit.num_classes), category_columns(tested))
        self.folder.write_metrics(result.rows(), result.to_dict())
        if len(result.comparison.methods) > 1:
            self.folder.write(COMPARISON_MARKDOWN, findings_to_markdown(result))
            self.folder.write(COMPARISON_LATEX, to_latex(result.comparison))
        return result
