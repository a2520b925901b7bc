"""Runs over many images without a Trainer: what callbacks delegate to, and what a plain loop can drive."""

from nplight.runs.context import DataPass, RunContext
from nplight.runs.evaluation_run import EvaluationRun
from nplight.runs.evaluation_settings import EvaluationSettings
from nplight.runs.merge import merge_shards
from nplight.runs.path_source import PathSource, StoredPaths
from nplight.runs.run import Run
from nplight.runs.sanity_run import SanityRun
from nplight.runs.search_run import SearchRun, check_searchable
from nplight.runs.search_settings import SearchSettings
from nplight.runs.selectivity_run import SelectivityRun
from nplight.runs.stability_run import StabilityRun, StabilitySettings

__all__ = [
    "DataPass",
    "EvaluationRun",
    "EvaluationSettings",
    "PathSource",
    "Run",
    "RunContext",
    "SanityRun",
    "SearchRun",
    "SearchSettings",
    "SelectivityRun",
    "StabilityRun",
    "StabilitySettings",
    "StoredPaths",
    "check_searchable",
    "merge_shards",
]
