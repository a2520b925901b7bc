"""Results of a run: category paths from image paths, the comparison of methods, the paper's claims."""

from nplight.results.by_category import category_columns, category_rows, condition_fields
from nplight.results.claims import PROTOCOLS, Claim, paper_claims
from nplight.results.comparison import ComparedMeasure, Comparison, ComparisonRow, MethodResult, compare
from nplight.results.differences import ControlDifference
from nplight.results.findings import Findings, findings
from nplight.results.forming import form_category_paths
from nplight.results.measured_paths import MeasuredPaths
from nplight.results.neuron_names import ConceptName, concept_names, neuron_values
from nplight.results.path_measures import PATH_MEASURES, PathMeasure
from nplight.results.path_resampling import category_path_stability
from nplight.results.path_statistics import PathStatistics, path_statistics, selectivity_to_dict, table_agreement
from nplight.results.rationales import Rationale
from nplight.results.removed_alone import RemovedAlone, removed_alone
from nplight.results.strange_paths import StrangePath, strangeness, strangest_paths
from nplight.results.verdict import ControlledTest, controlled_tests, verdict

__all__ = [
    "PATH_MEASURES",
    "PROTOCOLS",
    "Claim",
    "ComparedMeasure",
    "Comparison",
    "ComparisonRow",
    "ConceptName",
    "ControlDifference",
    "ControlledTest",
    "Findings",
    "MethodResult",
    "PathMeasure",
    "PathStatistics",
    "category_path_stability",
    "Rationale",
    "RemovedAlone",
    "MeasuredPaths",
    "category_columns",
    "StrangePath",
    "category_rows",
    "compare",
    "concept_names",
    "condition_fields",
    "controlled_tests",
    "findings",
    "neuron_values",
    "form_category_paths",
    "paper_claims",
    "path_statistics",
    "removed_alone",
    "selectivity_to_dict",
    "strangeness",
    "strangest_paths",
    "table_agreement",
    "verdict",
]
