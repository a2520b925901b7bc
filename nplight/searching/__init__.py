"""Searching paths: of images by a method of `METHODS`, of categories from their images' paths or jointly."""

from nplight.searching.category_paths import CATEGORY_METHODS, CategoryVotes, category_paths
from nplight.searching.category_search import CategorySearch
from nplight.searching.named_search import ImageSearch, NamedSearch, named_searches
from nplight.searching.options import SearchOptions
from nplight.searching.search import GRANULARITIES, Granularity, joint_score, search

__all__ = [
    "CATEGORY_METHODS",
    "GRANULARITIES",
    "CategorySearch",
    "CategoryVotes",
    "Granularity",
    "ImageSearch",
    "NamedSearch",
    "SearchOptions",
    "category_paths",
    "joint_score",
    "named_searches",
    "search",
]
