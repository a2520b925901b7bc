"""Joint attribution scores: quadrature, the slow oracle, the fast engine, chunks of node rows."""

from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.chunk import resolve_chunk_size
from nplight.attribution.clean import CleanPass, check_finite, clean_pass
from nplight.attribution.engine import progressive_search
from nplight.attribution.error_estimate import error_estimate, unsettled
from nplight.attribution.first_layer import settle_first_layer
from nplight.attribution.frozen import FrozenPass, frozen_pass
from nplight.attribution.gate_oracle import plain_gate_path_score, plain_gate_scores
from nplight.attribution.gate_rows import GateRows
from nplight.attribution.gauss_rules import GaussRule, gauss_rule
from nplight.attribution.joint_score import path_score, path_sums
from nplight.attribution.layer_scores import layer_scores, settled_layer
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import (
    OBJECTIVES,
    Objective,
    ObjectiveFunction,
    at_least_float32,
    check_objective,
    target_probability,
)
from nplight.attribution.oracle import plain_joint_score, plain_search
from nplight.attribution.path_effect import path_effect
from nplight.attribution.problem import Problem
from nplight.attribution.progressive import choose_layer_by_layer
from nplight.attribution.quadrature import RULES, Rule, integral, quadrature
from nplight.attribution.ranking import Best, PathScores, RankedLayers, best_first, choice_margin
from nplight.attribution.removal_rows import RemovalRows
from nplight.attribution.settling import (
    NODES_IN_FLIGHT,
    Evaluate,
    Settled,
    few_counts,
    first_counts,
    many_counts,
    settle,
)
from nplight.attribution.straight_line import streams_on_line
from nplight.attribution.token_gradients import clean_streams, token_gradients

__all__ = [
    "NODES_IN_FLIGHT",
    "choice_margin",
    "unsettled",
    "error_estimate",
    "settle",
    "settle_first_layer",
    "settled_layer",
    "few_counts",
    "first_counts",
    "many_counts",
    "path_sums",
    "choose_layer_by_layer",
    "gauss_rule",
    "RankedLayers",
    "GaussRule",
    "Settled",
    "OBJECTIVES",
    "RULES",
    "Best",
    "BlockRunner",
    "CleanPass",
    "FrozenPass",
    "GateRows",
    "NodeRows",
    "Objective",
    "ObjectiveFunction",
    "PathScores",
    "Problem",
    "RemovalRows",
    "Rule",
    "at_least_float32",
    "best_first",
    "check_finite",
    "check_objective",
    "clean_pass",
    "clean_streams",
    "frozen_pass",
    "integral",
    "layer_scores",
    "path_effect",
    "path_score",
    "plain_gate_path_score",
    "plain_gate_scores",
    "plain_joint_score",
    "plain_search",
    "progressive_search",
    "quadrature",
    "resolve_chunk_size",
    "streams_on_line",
    "target_probability",
    "token_gradients",
    "Evaluate",
]
