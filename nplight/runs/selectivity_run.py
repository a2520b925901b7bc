"""A test of every category under every category's path, batch by batch."""

from __future__ import annotations

import json

import torch

from nplight.data import ImageBatch, ImageDigest, labels_of
from nplight.metrics import Selectivity, SelectivityMatrix, path_predictions, selectivity_summary
from nplight.paths import CategoryPaths
from nplight.processes import on_first_process
from nplight.results import selectivity_to_dict
from nplight.runs.context import RunContext
from nplight.runs.images_of_run import claim_held_out, images_of_processes
from nplight.runs.path_source import PathSource
from nplight.runs.run import Run
from nplight.seeds import checksums
from nplight.store import RunFolder
from nplight.store.file_names import SELECTIVITY
from nplight.vit import OpenViT


class SelectivityRun(Run):
    """Predicts images under the path of every category, all other neurons pruned to zero, and writes the result.

    Args:
        vit: the opened model.
        folder: where results go.
        paths: what is tested.
        search: the name of the search whose paths are tested.
        kept: neurons per layer of the paths, a size that was searched.
        replicates: of the bootstrap over images.
        context: of the loop.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings, SelectivityRun
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> with SelectivityRun(vit, folder, search, search="jas", kept=2) as selectivity:
        ...     selectivity.update(batch)
        ...     matrix = selectivity.conclude()
        ...
        >>> matrix.accuracy.shape  # of category c under the path of p
        torch.Size([4, 4])
    """

    def __init__(
        self,
        vit: OpenViT,
        folder: RunFolder,
        paths: PathSource,
        *,
        search: str,
        kept: int = 1,
        replicates: int = 1000,
        context: RunContext | None = None,
    ) -> None:
        super().__init__(vit, folder)
        self.paths = paths
        self.search = search
        self.kept = kept
        self.context = context or RunContext()
        device = vit.down[0].linear.weight.device
        self._metric = Selectivity(vit.num_classes, replicates=replicates).to(device)
        self._images = ImageDigest()

    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Predict the images of a batch under every path.

        Args:
            batch: with labels, on the device of the model.
            loader: not used.

        Raises:
            ArgumentError: the batch lacks labels, or has labels that are not categories of the model.
        """
        labels = labels_of(batch, "to test paths with")
        self.vit.check_targets(labels, len(batch), "labels")
        with self.context.forward_context():
            predicted = path_predictions(self.vit, batch.images, self._category_paths())
        keys = torch.tensor(checksums(batch.images), device=batch.images.device)
        self._images.update(batch.index, labels, keys)
        self._metric.update(torch.arange(len(predicted)), predicted, labels, keys)

    def conclude(self) -> SelectivityMatrix:
        """Compute the matrix and write `selectivity.json`; every process must call it, also one without images.

        Raises:
            ArgumentError: no process had an image.
            RunFolderError: the folder holds results of other images.
        """
        claim_held_out(self.folder, images_of_processes(self._images), "PathSelectivity")
        matrix: SelectivityMatrix = self._metric.compute()
        content = {
            "search": self.search,
            "kept": self.kept,
            **selectivity_to_dict(matrix, selectivity_summary(matrix)),
        }
        on_first_process(lambda: self.folder.write(SELECTIVITY, json.dumps(content) + "\n"))
        return matrix

    def _category_paths(self) -> CategoryPaths:
        sizes = self.paths.category_paths[self.search]
        return sizes[min(self.kept, max(sizes))]
