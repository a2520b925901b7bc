"""Joint attribution scores: quadrature, the slow oracle, the fast engine."""

from nplight.attribution.chunk import resolve_chunk_size
from nplight.attribution.clean import CleanPass, at_least_float32, check_finite, clean_pass, target_probability
from nplight.attribution.engine import PathScores, progressive_search
from nplight.attribution.frozen import FrozenPass, frozen_pass
from nplight.attribution.joint_score import path_score
from nplight.attribution.layer_scores import layer_scores
from nplight.attribution.oracle import plain_joint_score, plain_search
from nplight.attribution.passes import Passes
from nplight.attribution.quadrature import RULES, Rule, integral, quadrature

__all__ = [
    "RULES",
    "CleanPass",
    "FrozenPass",
    "Passes",
    "PathScores",
    "Rule",
    "at_least_float32",
    "check_finite",
    "clean_pass",
    "frozen_pass",
    "integral",
    "layer_scores",
    "path_score",
    "plain_joint_score",
    "plain_search",
    "progressive_search",
    "quadrature",
    "resolve_chunk_size",
    "target_probability",
]
