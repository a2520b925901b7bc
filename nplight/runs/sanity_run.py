"""Sanity checks of paths: randomised weights, exchanged targets, and the read-out of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nplight.data import ImageBatch, SampledImages
from nplight.errors import ArgumentError, check_at_least
from nplight.metrics import mean_share, pair_shares, path_shares, random_share, shares_in_common
from nplight.paths import PathBatch
from nplight.results.read_out import CAVEAT, random_rows, read_out
from nplight.runs.context import RunContext
from nplight.runs.other_targets import TARGETS, OtherTargets
from nplight.runs.sampled_run import Advance, Columns, SampledRun, stacked
from nplight.runs.search_run import SearchRun
from nplight.seeds import hashes
from nplight.vit import cascade_steps, cascading_randomisation, weights_of_pieces

NEAREST = ("own", "wrong", "others")
"""The categories whose path may be the nearest: the image's target, the wrong target, all others."""


class SanityRun(SampledRun):
    """Tests whether paths depend on what the model learned and on the target, and writes the result.

    After Adebayo et al. ("Sanity checks for saliency maps", NeurIPS 2018): a sample of images is searched again while
    the weights are randomised piece by piece from the head down, and for a wrong target. From the paths of all images
    it is measured how well the category is told from the path alone. Images whose predicted category is not their label
    are searched for the other of the two also, under the name `SEARCH@prediction` or `SEARCH@label`.

    Args:
        searched: the search run, whose folder takes the result.
        images: maximum number of images that are searched again, equally many of every category.
        searches: names of the searches that are checked; `None`: all that search image by image.
        seed: of the choice of images, of the order of the weights, of the wrong targets, of the halves of the read-out.
        context: of the loop.

    Raises:
        ArgumentError: no search of the run searches image by image, or the model has a single category.
        RunFolderError: the folder holds a result of other settings.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SanityRun, SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"])) as search, SanityRun(search, images=4) as sanity:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...     sanity.update(batch)
        ...     result = sanity.conclude()
        ...
        >>> result["images"], result["steps"]
        (4, ['head', 'block 3', 'block 2', 'block 1', 'block 0', 'embedding'])
    """

    kind = "sanity"

    def __init__(
        self,
        searched: SearchRun,
        *,
        images: int = 128,
        searches: Sequence[str] | None = None,
        seed: int = 0,
        context: RunContext | None = None,
    ) -> None:
        check_at_least("images", images, 1)
        check_at_least("seed", seed, 0)
        if searched.vit.num_classes < 2:
            raise ArgumentError(
                "PathSanity needs a model of at least two categories, to exchange the target for a wrong one, got one"
            )
        super().__init__(
            searched, images=images, searches=searches, seed=seed, context=context or RunContext(), settings={}
        )
        self._steps = cascade_steps(self.vit.depth)
        self._others = OtherTargets(searched, list(self.searches.values()))

    def searches_per_image(self) -> int:
        """One for the right target, one for a wrong one, one for each step of the randomisation."""
        return len(self.searches) * (2 + len(self._steps))

    def take(self, batch: ImageBatch, sums: Sequence[int]) -> None:
        """Also search the images whose prediction is not their label for the other of the two."""
        super().take(batch, sums)
        with self.context.forward_context():
            self._others.search(batch, sums)

    def measure(self, batches: Sequence[SampledImages], advance: Advance) -> Columns:
        """Per search the clean `neurons`, which share of them is `kept`, and whose path is `nearest`.

        `randomised SEARCH` is (images, steps); `wrong SEARCH` is (images,); `nearest …` are (images, 3), `NEAREST`.
        """
        clean = [self._search(batch, self.targets(batch.labels), advance) for batch in batches]
        parts = [self._exchanged(batch, paths, advance) for batch, paths in zip(batches, clean)]
        with self.context.forward_context():
            pieces = weights_of_pieces(self.vit, batches[0].images)
        with cascading_randomisation(self.vit, pieces, seed=self.seed) as randomise:
            for step in range(len(self._steps)):
                randomise()
                for batch, paths, columns in zip(batches, clean, parts):
                    for name, before in paths.items():
                        after = self.paths(name, batch.images, before.targets, advance)
                        columns[f"randomised {name}"][:, step] = path_shares(before.neurons, after.neurons)
        return stacked(parts)

    def result(self, columns: Columns) -> dict[str, Any]:
        """Per search the results of the checks, and what to compare them with."""
        return {
            "images": len(columns["index"]),
            "steps": self._steps,
            "random": random_share(self.searched.top_k, self.vit.widths),
            "searches": {name: self._of_search(name, columns) for name in self.searches},
            "read_out": self._read_outs(),
        }

    def _search(self, batch: SampledImages, targets: Tensor | None, advance: Advance) -> dict[str, PathBatch]:
        return {name: self.paths(name, batch.images, targets, advance) for name in self.searches}

    def _exchanged(self, batch: SampledImages, clean: dict[str, PathBatch], advance: Advance) -> Columns:
        columns: Columns = {}
        for name, paths in clean.items():
            wrong = wrong_targets(paths.targets, batch.checksums, self.vit.num_classes, seed=self.seed)
            after = self.paths(name, batch.images, wrong, advance)
            sizes = self.searched.category_paths[name]
            category_paths = sizes[min(self.searched.top_k, max(sizes))].neurons
            columns |= {
                f"neurons {name}": paths.neurons,
                f"wrong {name}": path_shares(paths.neurons, after.neurons),
                f"nearest {name}": nearest(after.neurons, category_paths, paths.targets, wrong),
                f"nearest before {name}": nearest(paths.neurons, category_paths, paths.targets, wrong),
                f"randomised {name}": torch.zeros(len(batch), len(self._steps), dtype=torch.float64),
            }
        return columns

    def _of_search(self, name: str, columns: Columns) -> dict[str, Any]:
        neurons = columns[f"neurons {name}"]
        trials = neurons.shape[1] * neurons.shape[2]
        pairs = pair_shares(neurons, columns["label"])
        return {
            "randomised": [mean_share(step, trials).to_dict() for step in columns[f"randomised {name}"].unbind(1)],
            "wrong_target": mean_share(columns[f"wrong {name}"], trials).to_dict(),
            "nearest": _by_category(columns[f"nearest {name}"]),
            "nearest_before": _by_category(columns[f"nearest before {name}"]),
            "same_category": pairs.within.to_dict(),
            "other_category": pairs.between.to_dict(),
        }

    def _read_outs(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "num_classes": self.vit.num_classes, "widths": self.vit.widths, "seed": self.seed,
        }  # fmt: skip
        rows = {name: {target: self._others.rows(name, target) for target in TARGETS} for name in self.searches}
        first = next(iter(rows.values()))
        return {
            "caveat": CAVEAT,
            "searches": {
                name: {target: read_out(paths, **settings).to_dict() for target, paths in of_search.items()}
                for name, of_search in rows.items()
            },
            "control": {
                target: read_out(random_rows(paths, self.vit.widths, seed=self.seed), **settings).to_dict()
                for target, paths in first.items()
            },
        }


def wrong_targets(targets: Tensor, checksums: Tensor, num_classes: int, *, seed: int = 0) -> Tensor:
    """Another category for each image, drawn by its pixels: (images,) int64 -> (images,) int64.

    Args:
        targets: (images,) int64.
        checksums: (images,) int64, of each image's pixels.
        num_classes: number of categories, at least 2.
        seed: of the draw.
    """
    # Another seed than that of the choice of images, which takes the smallest hashes.
    return (targets + 1 + hashes(checksums, seed=seed + 2) % (num_classes - 1)) % num_classes


def nearest(neurons: Tensor, category_paths: Tensor, targets: Tensor, wrong: Tensor) -> Tensor:
    """Whose category's path shares the most neurons with each path; of several that share as many, each in equal parts.

    Args:
        neurons: (images, layers, K) int64.
        category_paths: (categories, layers, K) int64.
        targets: (images,) int64, the target of each image.
        wrong: (images,) int64, the wrong target.

    Returns:
        (images, 3) float64, which add up to 1: the target, the wrong target, the other categories (`NEAREST`).
    """
    shares = shares_in_common(neurons, category_paths)
    is_nearest = (shares == shares.amax(1, keepdim=True)).double()
    part = is_nearest / is_nearest.sum(1, keepdim=True)
    own, other = (part.gather(1, categories[:, None])[:, 0] for categories in (targets, wrong))
    return torch.stack([own, other, 1 - own - other], 1)


def _by_category(shares: Tensor) -> dict[str, Any]:
    return {name: mean_share(share, 1).to_dict() for name, share in zip(NEAREST, shares.clamp(0, 1).unbind(1))}
