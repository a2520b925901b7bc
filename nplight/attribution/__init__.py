"""Joint attribution scores: quadrature, the slow oracle, the fast engine, chunks of node rows."""

from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.chunk import resolve_chunk_size
from nplight.attribution.clean import CleanPass, check_finite, clean_pass
from nplight.attribution.engine import progressive_search
from nplight.attribution.frozen import FrozenPass, frozen_pass
from nplight.attribution.gate_oracle import plain_gate_path_score, plain_gate_scores
from nplight.attribution.gate_rows import GateRows
from nplight.attribution.joint_score import path_score
from nplight.attribution.layer_scores import layer_scores
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
from nplight.attribution.quadrature import RULES, Rule, integral, quadrature
from nplight.attribution.ranking import Best, PathScores, best_first
from nplight.attribution.removal_rows import RemovalRows
from nplight.attribution.straight_line import streams_on_line
from nplight.attribution.token_gradients import clean_streams, token_gradients

__all__ = [
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
]
