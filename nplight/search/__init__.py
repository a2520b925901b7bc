"""Finding paths: of images by a method of `METHODS`, of categories from those of their images or jointly."""

from nplight.search.category_paths import CATEGORY_METHODS, CategoryVotes, category_paths
from nplight.search.category_search import CategorySearch
from nplight.search.options import SearchOptions
from nplight.search.plan import NamedSearch, Rows, named_searches
from nplight.search.search import GRANULARITIES, METHODS, Granularity, joint_score, search

__all__ = [
    "CATEGORY_METHODS",
    "GRANULARITIES",
    "METHODS",
    "CategorySearch",
    "CategoryVotes",
    "Granularity",
    "NamedSearch",
    "Rows",
    "SearchOptions",
    "category_paths",
    "joint_score",
    "named_searches",
    "search",
]
