"""The rows of shards put together as those of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nplight.data import ImageDigest, Shard
from nplight.errors import RunFolderError, listed
from nplight.store import PathTable, RunFolder, finish_compaction, part_files
from nplight.store.compaction import put_in_place
from nplight.store.part_listing import COMPACTING
from nplight.store.parts import Part, open_part, refuse_foreign, write_table
from nplight.store.sorted_parts import needs_compaction, read_rows, write_sorted

_AGAIN = "start the same command for it again, which goes on"


@dataclass(frozen=True, slots=True)
class _ShardRun:
    """A shard that has ended.

    Attributes:
        run: its run folder.
        shard: which it is.
        settings: of the search, by section, without the shard.
        images: the digest of its images.
    """

    run: RunFolder
    shard: Shard
    settings: Mapping[str, Mapping[str, Any]]
    images: str


def merge_shards(runs: Sequence[RunFolder], merged: RunFolder, *, overwrite: bool = False) -> None:
    """Write the rows of all shards of a run to one run folder, as a run without shards would have.

    A merge that was killed is begun again. No shard is changed.

    Args:
        runs: the run folders of the shards, in any order.
        merged: where the rows go; the same call again does nothing.
        overwrite: replace the results that `merged` holds, also those of other settings.

    Raises:
        RunFolderError: a shard is missing, is given twice, has not ended, or has other settings than the others; one is
            damaged; `merged` holds other results, is one of the shards, is in use, or cannot be written.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.data import ImageBatch, Shard
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import RunContext, SearchRun, SearchSettings, merge_shards
        >>> from nplight.store import RunFolder
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, images, labels = nplight.open_vit(planted.model), planted.images, planted.labels
        >>> shards = [RunFolder(tempfile.mkdtemp()) for _ in range(2)]
        >>> for number, folder in enumerate(shards):
        ...     batch = ImageBatch(images[number::2], labels[number::2], index=torch.arange(number, 16, 2))
        ...     context = RunContext(shard=Shard(number, 2))
        ...     with SearchRun(vit, folder, SearchSettings.of(["jas"]), context=context) as search:
        ...         search.update(batch)
        ...         paths = search.conclude()  # none yet: category paths need all images
        ...
        >>> merged = RunFolder(tempfile.mkdtemp())
        >>> merge_shards(shards, merged)
        >>> len(nplight.read_paths(merged.path))
        16
    """
    shards = sorted(map(_opened, runs), key=lambda one: one.shard)
    _refuse_incomplete(shards)
    if any(merged.path.resolve() == one.run.path.resolve() for one in shards):
        raise RunFolderError(f"`run_dir` must be another folder than the shards', got {merged.path}")
    parts = {name: [_checked_parts(one, name) for one in shards] for name in _searches(shards)}
    with merged:
        for section, settings in shards[0].settings.items():
            merged.claim(section, settings, overwrite=overwrite and section == "search")
        finish_compaction(merged)
        for name, parts_of_shards in parts.items():
            _write(merged, name, [part for several in parts_of_shards for part in several])


def _opened(run: RunFolder) -> _ShardRun:
    settings = run.settings()
    search = dict(settings.get("search", {}))
    name = search.pop("shard", None)
    if name is None:
        raise RunFolderError(f"{run.path} is not the run folder of a shard; merge takes those of --shard i/n")
    shard = Shard.parse(name)
    ended = run.read_shard()
    if ended is None or ended["shard"] != name:
        raise RunFolderError(f"shard {shard} in {run.path} has not ended; {_AGAIN}")
    sections = {section: settings[section] for section in settings if section.startswith("search ")}
    return _ShardRun(run, shard, {"search": search, **sections}, ended["images"])


def _refuse_incomplete(shards: Sequence[_ShardRun]) -> None:
    """Refuse shards that are not those of one run: other numbers, other settings, one missing or given twice."""
    first = shards[0]
    for other in shards[1:]:
        if other.shard.count != first.shard.count:
            raise RunFolderError(
                f"the shards must be of one number, but {first.run.path} is shard {first.shard} and {other.run.path} "
                f"is shard {other.shard}; leave those of other numbers out"
            )
    by_shard: dict[Shard, _ShardRun] = {}
    for one in shards:
        if one.shard in by_shard:
            raise RunFolderError(
                f"shard {one.shard} is given twice, as {by_shard[one.shard].run.path} and {one.run.path}; leave one out"
            )
        by_shard[one.shard] = one
    count = first.shard.count
    if missing := [shard for shard in (Shard(number, count) for number in range(count)) if shard not in by_shard]:
        raise RunFolderError(
            f"shards {listed(missing)} of {count} are missing; give their run folders too, or run them with "
            f"--shard {missing[0]}"
        )
    for other in shards[1:]:
        _refuse_other_settings(first, other)


def _refuse_other_settings(first: _ShardRun, other: _ShardRun) -> None:
    differences = []
    for section in dict.fromkeys([*first.settings, *other.settings]):
        here, there = first.settings.get(section), other.settings.get(section)
        if here is None or there is None:
            differences.append(f"{section} in {(first if there is None else other).run.path} alone")
        else:
            names = [name for name in dict.fromkeys([*here, *there]) if here.get(name) != there.get(name)]
            differences += [f"{name}: {here.get(name)} there, {there.get(name)} here" for name in names]
    if differences:
        raise RunFolderError(
            f"shard {other.shard} in {other.run.path} has other settings than {first.shard} in {first.run.path} "
            f"({listed(differences)}); run it again with the settings of the others"
        )


def _searches(shards: Sequence[_ShardRun]) -> list[str]:
    files = [(one, open_part(path)) for one in shards for path in part_files(one.run)]
    return list(dict.fromkeys(part.search for _, part in files))


def _checked_parts(one: _ShardRun, search: str) -> list[Part]:
    """The parts of a shard's search, once they hold the images that the shard ended with."""
    parts = [open_part(path, check_data=True) for path in part_files(one.run, search)]
    refuse_foreign(one.run, parts)
    if (images := _digest(parts)) != one.images:
        raise RunFolderError(
            f"shard {one.shard} in {one.run.path} holds other images for {search} ({images}) than those with which it "
            f"ended ({one.images}); {_AGAIN}"
        )
    return parts


def _digest(parts: Sequence[Part]) -> str:
    digest = ImageDigest()
    for rows in PathTable(parts).batches(["index", "label", "checksum"]) if parts else ():
        labels = None if bool((rows["label"] < 0).all()) else rows["label"]
        digest.update(rows["index"], labels, rows["checksum"])
    return str(digest)


def _write(merged: RunFolder, search: str, parts: Sequence[Part]) -> None:
    there = [open_part(path) for path in part_files(merged, search)]
    if there and _digest(there) == _digest(parts):
        return
    PathTable(parts)  # refuses an image that is stored twice
    hidden, fingerprint = merged.parts / f"{COMPACTING}{search}", merged.search_fingerprint(search)
    names = write_sorted(parts, hidden, fingerprint) if needs_compaction(parts) else None
    if names is None:
        names = [write_table(hidden, read_rows(part), fingerprint).name for part in parts]
    put_in_place(merged, search, names, there)
