"""What a run found: category paths from image paths, methods side by side, the paper's claims."""

from nplight.compare.claims import Claim, paper_claims
from nplight.compare.comparison import Comparison, Measure, MethodResult, compare
from nplight.compare.findings import Findings, findings
from nplight.compare.forming import form_category_paths, joint_score_mean
from nplight.compare.path_statistics import PathStatistics, path_statistics, selectivity_to_dict, table_agreement
from nplight.compare.text import claims_to_markdown, findings_to_markdown, paths_to_markdown, to_latex, to_markdown

__all__ = [
    "Claim",
    "Comparison",
    "Findings",
    "Measure",
    "MethodResult",
    "PathStatistics",
    "claims_to_markdown",
    "compare",
    "findings",
    "findings_to_markdown",
    "form_category_paths",
    "joint_score_mean",
    "paper_claims",
    "paths_to_markdown",
    "path_statistics",
    "selectivity_to_dict",
    "table_agreement",
    "to_latex",
    "to_markdown",
]
