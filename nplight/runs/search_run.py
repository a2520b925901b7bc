"""A search of many images, batch by batch, into a run folder."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng

from nplight.data import ImageBatch, ImageDigest, labels_of, with_index
from nplight.errors import ArgumentError, RunFolderError, listed
from nplight.path_checks import Tokens
from nplight.paths import CategoryPaths
from nplight.processes import objects_of_processes, on_first_process, process_count
from nplight.results import form_category_paths
from nplight.runs.category_passes import search_categories
from nplight.runs.context import RunContext, check_discover_pass
from nplight.runs.evaluation_note import evaluation_note
from nplight.runs.image_rows import ImageRows
from nplight.runs.images_of_run import images_of_processes
from nplight.runs.run import Run
from nplight.runs.search_settings import SearchSettings
from nplight.searching import SearchOptions
from nplight.seeds import checksums
from nplight.store import (
    PathTable,
    RunFolder,
    StoredImages,
    compact,
    finish_compaction,
    read_searches,
    stored_images,
)
from nplight.vit import OpenViT, fingerprint, refuse_hooks


class SearchRun(Run):
    """Searches images, stores a row per image and search, and at the end forms the category paths.

    Images that the run folder already holds are not searched again. Of several processes every one makes a run, gives
    it its share of the images, and calls `conclude`.

        with SearchRun(open_vit(model), RunFolder("neuron_paths"), SearchSettings.of(["jas"], top_k=5)) as run:
            for batch in batches:
                run.update(batch)
            category_paths = run.conclude()

    Args:
        vit: the opened model.
        folder: where results go; no other run can use it until `release`.
        settings: of the run.
        context: of the loop.
        overwrite: replace the results that the folder holds, also those of other settings.

    Attributes:
        category_paths: search -> neurons per layer -> category paths, after `conclude`.

    Raises:
        ArgumentError: the settings do not fit the model or the data.
        UnsupportedModelError: the model has hooks that the search would not see.
        RunFolderError: the folder is in use, or holds results of other settings.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> settings = SearchSettings.of(["joint_integrated_gradients"], kept=(1,))
        >>> with SearchRun(nplight.open_vit(planted.model), folder, settings) as run:
        ...     run.update(ImageBatch(planted.images, planted.labels))
        ...     paths = run.conclude()
        ...
        >>> len(nplight.read_paths(folder.path))
        16
    """

    def __init__(
        self,
        vit: OpenViT,
        folder: RunFolder,
        settings: SearchSettings | None = None,
        context: RunContext | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        super().__init__(vit, folder)
        self.settings = settings or SearchSettings()
        self.context = context or RunContext()
        check_searchable(vit, self.settings)
        self._ranked = min(self.settings.ranked, min(vit.widths))
        self._images = ImageDigest()
        self._concluded = False
        self.category_paths: dict[str, dict[int, CategoryPaths]] = {}
        try:
            settings_of_run = self._settings_of_run()
            self._rows: dict[str, list[ImageRows]] = on_first_process(lambda: self._claim(settings_of_run, overwrite))
        except BaseException:
            self.release()
            raise

    @property
    def names(self) -> list[str]:
        """The names of the searches."""
        return self.settings.names

    @property
    def top_k(self) -> int:
        """Neurons per layer on the path."""
        return self.settings.top_k

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of neurons per layer of the category paths, capped at the narrowest layer."""
        return self.settings.sizes(self._ranked)

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the searches attribute, each one of `OBJECTIVES` once."""
        return tuple(dict.fromkeys(search.options.objective for search in self.settings.searches))

    @property
    def tokens(self) -> dict[str, Tokens]:
        """Search -> the tokens at which it reads and edits neurons."""
        return {search.name: search.options.tokens for search in self.settings.searches}

    @property
    def notes(self) -> list[str]:
        """What a reader of the results must know."""
        notes = []
        if capped := [size for size in self.settings.kept if size > self._ranked]:
            notes.append(
                f"{listed(capped)} neurons a layer were asked for; the narrowest layer has {self._ranked}, kept instead"
            )
        frozen = [search.name for search in self.settings.searches if search.options.patch_stream == "frozen"]
        if frozen:
            notes.append(f"{listed(frozen)}: an approximation, with the patch tokens frozen at their clean values")
        at_all = [name for name, tokens in self.tokens.items() if tokens == "all"]
        if at_all:
            notes.append(f"{listed(at_all)}: neurons were read and edited at every token, not at the path tokens alone")
        for search in self.settings.searches:
            if search.options.objective != SearchOptions().objective:
                notes.append(f"{search.name}: its scores are of the {search.options.objective}, not of the probability")
        if self._concluded:
            half = "16" in self._precision
            note = evaluation_note(self.image_paths(), self.settings.searches, self.vit.depth, half_precision=half)
            notes += [] if note is None else [note]
        return notes

    def image_paths(self) -> PathTable:
        """The stored paths of the images, one row per image and search."""
        return read_searches(self.folder, self.names)

    def digest(self) -> str | None:
        """None: an evaluation of these paths is one of the same run."""
        return None

    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Search the images of a batch that are not stored yet, and store their paths.

        Args:
            batch: on the device of the model; without an `index`, images are numbered in the order in which they come.
            loader: not used: images of several loaders are told apart by their index.

        Raises:
            ArgumentError: the batch lacks labels, or an index that several processes need.
            RunFolderError: other images are stored under these numbers, or the folder cannot be written to.
            NonFiniteError: NaN or infinite values appeared, naming the files.
        """
        if self.settings.labelled:
            labels_of(batch, "from which category paths are formed")
        if batch.index is None and process_count() > 1:
            raise ArgumentError(
                "a batch must carry the `index` of each image when several processes share the images; "
                "add it to the samples, as (image, label, index), or use one device"
            )
        batch = with_index(batch, self._images.images)
        sums = checksums(batch.images)
        self._images.update(batch.index, batch.labels, sums)
        for search in self.settings.searches:
            if search.granularity == "image":
                for rows in self._rows[search.name]:
                    with self.context.forward_context():
                        rows.search(self.vit, batch, sums, predicted=self.settings.predicted)

    def conclude(self) -> dict[str, dict[int, CategoryPaths]]:
        """Search the categories, where granularity `category` asks for it, compact the parts, form the category paths.

        A shard forms none: `nplight.runs.merge_shards` puts the rows of all together. Every process must call it, also
        one that had no images; more than once does no harm.

        Returns:
            `category_paths`.

        Raises:
            ArgumentError: no process had an image, or a category has none.
            RunFolderError: the folder holds paths of other images.
        """
        if self._concluded:
            return self.category_paths
        self._concluded = True
        images = images_of_processes(self._images)
        if images.images == 0 and self.settings.labelled:
            raise ArgumentError("the first validation loader must give images to find paths with, but it gave none")
        for search in self.settings.searches:
            if search.granularity == "category":
                (rows,) = self._rows[search.name]
                with isolate_rng():
                    search_categories(self.vit, rows, images, self.context, predicted=self.settings.predicted)
        objects_of_processes(None)  # now every process has written its paths
        on_first_process(lambda: self._finish_rows(images))
        if self.settings.labelled and self.context.shard is None:
            self.category_paths = on_first_process(lambda: self._form_category_paths(images))
        return self.category_paths

    @property
    def _precision(self) -> str:
        """Lightning's name of the precision, or the dtype of the weights: both have a 16 in half precision."""
        return self.context.precision or str(self.vit.down[0].linear.weight.dtype).removeprefix("torch.")

    def _settings_of_run(self) -> dict[str, Any]:
        context, vit = self.context, self.vit
        categories = context.data.get("categories", vit.num_classes)
        if self.settings.labelled and categories != vit.num_classes:
            raise ArgumentError(
                f"the model must tell apart the {categories} categories of the data, each of which gets a path, but it "
                f"knows {vit.num_classes}; give it a head for them, or other data"
            )
        if context.shard is not None:
            self._check_shard(context)
        by_category = [search.name for search in self.settings.searches if search.granularity == "category"]
        if by_category:
            check_discover_pass(context, f"granularity 'category' of {listed(by_category)}")
        return {
            **self.settings.to_dict(self._ranked),
            "precision": self._precision,
            "model": fingerprint(vit.searched),
            **context.data,
            **({} if context.shard is None else {"shard": str(context.shard)}),
        }

    def _check_shard(self, context: RunContext) -> None:
        by_category = [search.name for search in self.settings.searches if search.granularity == "category"]
        if by_category:
            raise ArgumentError(
                f"`shard` {context.shard} cannot search with granularity 'category' ({listed(by_category)}), which "
                f"needs all images of a category at once; search these in a run without shards"
            )
        if limits := [name for name in context.data if name.startswith("limit_")]:
            raise ArgumentError(
                f"`{limits[0]}` must not be set with `shard` {context.shard}, as it would leave out images of every "
                f"shard; limit the data, as max_per_category does"
            )

    def _claim(self, settings: dict[str, Any], overwrite: bool) -> dict[str, list[ImageRows]]:
        """Take the folder, list the files that the data left out, and find out which images the folder holds."""
        self.folder.claim("search", settings, overwrite=overwrite)
        finish_compaction(self.folder)
        for search in self.settings.searches:
            self.folder.claim(f"search {search.name}", search.settings())
        if self.context.skipped:
            self.folder.write_skipped(self.context.skipped)
        rows = {}
        for search in self.settings.searches:
            digest = self.folder.search_fingerprint(search.name)
            rows[search.name] = [
                ImageRows(self.folder, image_search, stored_images(self.folder, image_search.name, digest), digest)
                for image_search in search.image_searches(self.sizes)
            ]
        self._warn_of_parts_set_aside([image_rows.stored for several in rows.values() for image_rows in several])
        return rows

    def _warn_of_parts_set_aside(self, stored: list[StoredImages]) -> None:
        damaged = [path.name for images in stored for path in images.damaged]
        foreign = [path.name for images in stored for path in images.foreign]
        kinds = (("damaged parts", damaged), ("parts of another run, or of one that they do not name,", foreign))
        for kind, names in kinds:
            if names:
                rank_zero_warn(
                    f"{kind} in {self.folder.parts} were set aside as {listed(names)}; their images are searched again"
                )

    def _finish_rows(self, images: ImageDigest) -> None:
        for name in (rows.image_search.name for several in self._rows.values() for rows in several):
            compact(self.folder, name)
        if self.context.shard is not None:
            self.folder.write_shard(str(self.context.shard), str(images))

    def _form_category_paths(self, images: ImageDigest) -> dict[str, dict[int, CategoryPaths]]:
        names = [rows.image_search.name for several in self._rows.values() for rows in several]
        table, paths = read_searches(self.folder, names), {}
        for search in self.settings.searches:
            sizes: dict[int, CategoryPaths] = {}
            for rows in self._rows[search.name]:
                part = table.where(search=rows.image_search.name)
                self._refuse_other_images(part, images)
                sizes |= form_category_paths(
                    part,
                    rows.image_search.sizes,
                    num_classes=self.vit.num_classes,
                    category_method=self.settings.category_method,
                )
            paths[search.name] = dict(sorted(sizes.items()))
        self.folder.write_category_paths(paths, self.top_k)
        return paths

    def _refuse_other_images(self, table: PathTable, images: ImageDigest) -> None:
        """Refuse stored paths of images that this run lacks or labels otherwise: category paths would count them."""
        stored = ImageDigest()
        for rows in table.batches(["index", "label", "checksum"]):
            stored.update(rows["index"], rows["label"], rows["checksum"])
        if stored != images:
            raise RunFolderError(
                f"`run_dir` {self.folder.path} holds paths of other images than this run's ({stored} there, {images} "
                f"now); name another --run_dir, or replace its results with --overwrite"
            )


def check_searchable(vit: OpenViT, settings: SearchSettings) -> None:
    """Refuse a model that cannot be searched with these settings.

    Raises:
        ArgumentError: a layer has fewer neurons than `top_k`.
        UnsupportedModelError: it has hooks that the search would not see.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> from nplight.runs import SearchSettings, check_searchable
        >>> check_searchable(nplight.open_vit(planted.model), SearchSettings.of(["jas"], kept=(1, 5)))
    """
    refuse_hooks(vit)
    vit.check_top_k(settings.top_k)
