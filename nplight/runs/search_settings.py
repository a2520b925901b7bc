"""The settings of a search run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nplight.errors import ArgumentError, check_at_least, check_choice, listed
from nplight.searching import CATEGORY_METHODS, NamedSearch, SearchOptions, named_searches

TARGETS = ("label", "prediction")


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search run searches, and what it makes of the paths.

    Attributes:
        searches: what is searched, by name.
        top_k: neurons per layer on the path.
        kept: further numbers of neurons per layer for which category paths are formed, from the ranking of one search.
        target: the category whose probability is attributed: `label` or `prediction`.
        category_method: `frequency`, `rank-mode` or `mean-score`.
        labelled: whether the images have labels. Without, each is searched for its predicted category, and no category
            paths are formed.

    Raises:
        ArgumentError: a setting is wrong.

    Examples:
        >>> from nplight.runs import SearchSettings
        >>> settings = SearchSettings.of(["jas", {"name": "fine", "method": "jas", "steps": 40}], kept=(1, 5))
        >>> [search.name for search in settings.searches]
        ['jas', 'fine']
    """

    searches: tuple[NamedSearch, ...] = (NamedSearch("jas", "jas", SearchOptions()),)
    top_k: int = 1
    kept: tuple[int, ...] = ()
    target: Literal["label", "prediction"] = "label"
    category_method: str = "frequency"
    labelled: bool = True

    def __post_init__(self) -> None:
        check_choice("target", self.target, TARGETS)
        check_choice("category_method", self.category_method, CATEGORY_METHODS)
        for size in self.kept:
            check_at_least("kept", size, 1)
        by_category = [search.name for search in self.searches if search.granularity == "category"]
        if by_category and not self.labelled:
            raise ArgumentError(f"predict has no labels for granularity 'category', asked for by {listed(by_category)}")

    @classmethod
    def of(
        cls,
        methods: Sequence[str | Mapping[str, Any]] = ("jas",),
        *,
        top_k: int = 1,
        kept: Sequence[int] = (),
        target: Literal["label", "prediction"] = "label",
        category_method: str = "frequency",
        labelled: bool = True,
        **options: Any,
    ) -> SearchSettings:
        """Settings from plain values.

        Args:
            methods: names of `nplight.METHODS`, or mappings as `named_searches` takes them.
            top_k: neurons per layer on the path.
            kept: further numbers of neurons per layer.
            target: as the attribute.
            category_method: as the attribute.
            labelled: as the attribute.
            **options: `steps`, `rule`, `tokens`, `patch_stream`, `chunk_size` and `seed` of `SearchOptions`, for every
                search.

        Raises:
            ArgumentError: a setting is wrong.
        """
        # The sizes first: else they would be refused under the name of the ranking made for them.
        for size in kept:
            check_at_least("kept", size, 1)
        defaults = SearchOptions(top_k=top_k, ranked=max([top_k, *kept]), **options)
        searches = named_searches(methods, defaults)
        return cls(searches, top_k, tuple(kept), target, category_method, labelled)

    @property
    def names(self) -> list[str]:
        """The names of the searches."""
        return [search.name for search in self.searches]

    @property
    def ranked(self) -> int:
        """Candidates per layer that one ranking must hold, in a model that is wide enough."""
        return max([self.top_k, *self.kept])

    @property
    def predicted(self) -> bool:
        """Whether each image's predicted category is its target, not its label."""
        return self.target == "prediction" or not self.labelled

    def sizes(self, ranked: int) -> tuple[int, ...]:
        """Numbers of neurons per layer of the category paths: `top_k` and `kept`, capped at `ranked`."""
        return tuple(sorted({min(size, ranked) for size in (self.top_k, *self.kept)}))

    def to_dict(self, ranked: int) -> dict[str, Any]:
        """What all results depend on, as plain values; each search has its own besides."""
        return {
            "command": "validate" if self.labelled else "predict",
            "top_k": self.top_k,
            "ranked": ranked,
            "target": "prediction" if self.predicted else "label",
            "category_method": self.category_method,
            "kept": list(self.kept),
        }
