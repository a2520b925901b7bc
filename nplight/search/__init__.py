"""Finding paths: of images by a method of `METHODS`, of categories from those of their images."""

from nplight.search.category_paths import CATEGORY_METHODS, CategoryVotes, category_paths
from nplight.search.options import SearchOptions
from nplight.search.search import METHODS, joint_score, search

__all__ = [
    "CATEGORY_METHODS",
    "METHODS",
    "CategoryVotes",
    "SearchOptions",
    "category_paths",
    "joint_score",
    "search",
]
