"""Named searches: the searches that a run compares, each with its settings, checked before work starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from torch import Tensor

from nplight.errors import ArgumentError, check_choice, described, listed
from nplight.methods import METHODS
from nplight.paths import PathBatch
from nplight.searching.options import SearchOptions, check_patch_stream, frozen_for, ignored, joint_methods
from nplight.searching.search import GRANULARITIES, search
from nplight.vit import OpenViT

_OPTIONS = ("steps", "rule", "patch_stream", "seed", "candidates", "objective", "tolerance", "tokens")
# Settings that the first run folders lack, and what they imply: recorded where they differ.
_IMPLIED = {"candidates": 20, "objective": "probability", "tolerance": 0, "tokens": "path"}
_KEYS = ("name", "method", "granularity", "search_per_t", *_OPTIONS)


@dataclass(frozen=True, slots=True)
class ImageSearch:
    """A search of every image, whose paths are stored under a name.

    Attributes:
        name: the value of the column `search`.
        method: one of `METHODS`.
        options: its settings.
        sizes: neurons per layer of each of the category paths that are formed from its ranking.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.searching import ImageSearch, SearchOptions
        >>> planted = build_planted(PLANTED["chain"])
        >>> search = ImageSearch("fine", "jas", SearchOptions(steps=40), sizes=(1,))
        >>> search.paths(nplight.open_vit(planted.model), planted.images[:2], planted.labels[:2]).neurons.shape
        torch.Size([2, 4, 1])
    """

    name: str
    method: str
    options: SearchOptions
    sizes: tuple[int, ...]

    def paths(self, vit: OpenViT, images: Tensor, targets: Tensor | None) -> PathBatch:
        """The paths of images; arguments and errors as `nplight.search`."""
        return search(vit, images, targets, method=self.method, **asdict(self.options))


@dataclass(frozen=True, slots=True)
class NamedSearch:
    """A method of `METHODS` with its settings, under a name.

    Attributes:
        name: its name in results.
        method: one of `METHODS`.
        granularity: `image`, one path per image, and category paths from these; or `category`, one joint path for the
            images of a category.
        search_per_t: run one search per number of neurons kept, as the published program does, instead of taking the
            first neurons of a single ranking.
        options: the settings of `nplight.search`.

    Examples:
        >>> from nplight.searching import NamedSearch, SearchOptions
        >>> search = NamedSearch("fine", "jas", SearchOptions(steps=40))
        >>> [(one.name, one.sizes) for one in search.image_searches((1, 5))]
        [('fine', (1, 5))]
    """

    name: str
    method: str
    options: SearchOptions
    granularity: Literal["image", "category"] = "image"
    search_per_t: bool = False

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("granularity", self.granularity, GRANULARITIES)
        if not isinstance(self.search_per_t, bool):
            raise ArgumentError(f"`search_per_t` must be true or false, got {described(self.search_per_t)}")
        # The name is part of file names, and `@` separates it from the sizes of `search_per_t`.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ArgumentError(
                f"the `name` of a search must be of letters, digits, '_', '-' and '.', got {described(self.name)}"
            )
        if self.granularity == "category" and (METHODS[self.method].joint is None or self.search_per_t):
            raise ArgumentError(
                f"granularity 'category' is for method {joint_methods()} without `search_per_t`, got {self.method!r}"
                + (" with it" if self.search_per_t else "")
            )
        check_patch_stream(self.options.patch_stream, self.method, self.granularity)

    def image_searches(self, sizes: Sequence[int]) -> tuple[ImageSearch, ...]:
        """The image searches for category paths of these sizes; the first is the search of the path of `top_k`."""
        options, top_k = self.options, self.options.top_k
        if not self.search_per_t:
            return (ImageSearch(self.name, self.method, replace(options, ranked=max(sizes)), tuple(sizes)),)
        other_sizes = (size for size in sizes if size != top_k)
        return (
            ImageSearch(self.name, self.method, replace(options, ranked=top_k), (top_k,)),
            *(
                ImageSearch(f"{self.name}@{size}", self.method, replace(options, top_k=size, ranked=size), (size,))
                for size in other_sizes
            ),
        )

    def settings(self) -> dict[str, Any]:
        """The settings that its results depend on, as plain values; one that the method ignores has its default."""
        defaults, unused = asdict(SearchOptions()), ignored(self.method, self.granularity, self.options.tokens)
        values = {name: defaults[name] if name in unused else value for name, value in asdict(self.options).items()}
        values["tolerance"] = self.options.tolerance or 0
        recorded = [name for name in ("top_k", *_OPTIONS) if values[name] != _IMPLIED.get(name)]
        options = {name: value for name, value in values.items() if name in recorded}
        return {"method": self.method, "granularity": self.granularity, "search_per_t": self.search_per_t, **options}


def named_searches(entries: Sequence[str | Mapping[str, Any]], defaults: SearchOptions) -> tuple[NamedSearch, ...]:
    """Read a list of searches from a configuration file.

    Args:
        entries: names of `METHODS`, or mappings with `method` and optionally `name` (default: the method),
            `granularity`, `search_per_t`, `steps`, `rule`, `patch_stream`, `seed`,
            `candidates`, `objective`, `tolerance`, `tokens`.
        defaults: the settings that an entry does not give; a `patch_stream` other than `exact` applies to the searches
            that support it.

    Raises:
        ArgumentError: no entry, an unknown key or value, two entries with one name, or a `patch_stream` that no search
            supports.

    Examples:
        >>> from nplight.searching import SearchOptions, named_searches
        >>> entries = ["jas", {"name": "fine", "method": "jas", "steps": 40}]
        >>> [(search.name, search.options.steps) for search in named_searches(entries, SearchOptions())]
        [('jas', 20), ('fine', 40)]
    """
    if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
        raise ArgumentError(f"`methods` must be a list of searches, got {described(entries)}")
    searches = tuple(_named_search(entry, defaults) for entry in entries)
    names = [search.name for search in searches]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not searches or repeated:
        raise ArgumentError(
            "`methods` must be at least one search, each with a unique name (give `name`), got "
            + (f"{listed(repeated)} more than once" if repeated else "none")
        )
    stream = defaults.patch_stream
    if stream != "exact" and all(search.options.patch_stream == "exact" for search in searches):
        raise ArgumentError(
            f"`patch_stream` must be 'exact' where no search uses it, got {stream!r} with {listed(names)}; "
            + frozen_for()
        )
    return searches


def _named_search(entry: str | Mapping[str, Any], defaults: SearchOptions) -> NamedSearch:
    if not isinstance(entry, (str, Mapping)):
        raise ArgumentError(
            f"an entry of `methods` must be a method's name, or a mapping with `method`, got {described(entry)}"
        )
    values: dict[str, Any] = {"method": entry} if isinstance(entry, str) else dict(entry)
    _check_keys(values)
    granularity = values.get("granularity", "image")
    check_choice("method", values["method"], METHODS)
    check_choice("granularity", granularity, GRANULARITIES)
    if "patch_stream" in ignored(values["method"], granularity, values.get("tokens", defaults.tokens)):
        values = {"patch_stream": "exact", **values}
    options = replace(defaults, **{key: values[key] for key in _OPTIONS if key in values})
    return NamedSearch(
        name=str(values.get("name", values["method"])),
        method=values["method"],
        options=options,
        granularity=granularity,
        search_per_t=values.get("search_per_t", False),
    )


def _check_keys(keys: Collection[str]) -> None:
    unknown = [key for key in keys if key not in _KEYS]
    if unknown or "method" not in keys:
        raise ArgumentError(
            f"an entry of `methods` must have a `method` and may have {listed(_KEYS, 20)}, "
            f"got {listed(map(described, keys))}"
        )
