"""Tests of paths: conditions, predictions under each condition, and metric classes over plain functions.

`MEASURES` has one row per measure; files, tables, figures and the page show its rows. A measured value is passed on as
`Replicates`: the value itself and its value under each weighting of the images. `estimate` adds a 95% interval;
`difference` compares two methods image by image.
"""

from nplight.metrics.agreement import Agreement, PathAgreement, path_agreement
from nplight.metrics.bootstrap import BootstrapMean, poisson_weights
from nplight.metrics.condition_metrics import ConditionMetrics, ConditionResult
from nplight.metrics.conditions import Condition, all_conditions, path_predictions, predictions
from nplight.metrics.deviation import AccuracyDeviation, ProbabilityDeviation, probability_deviation
from nplight.metrics.distance import DistanceSummary, distance_summary, path_distance
from nplight.metrics.faithfulness import (
    FaithfulnessCurve,
    area,
    area_replicates,
    faithfulness_curve,
    pruned_accuracy,
)
from nplight.metrics.frequency import NeuronCounts, NeuronFrequency, neuron_frequency
from nplight.metrics.measures import JOINT_SCORE, MEASURES, ConditionMeasure, Measure
from nplight.metrics.path_shares import PairShares, pair_shares, path_shares, random_share, shares_in_common
from nplight.metrics.predicted_batch import PredictedBatch
from nplight.metrics.read_out import PathReadOut
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate
from nplight.metrics.selectivity import Selectivity, SelectivityMatrix, SelectivitySummary, selectivity_summary
from nplight.metrics.share_interval import counted_share, mean_share, share_difference, share_estimate
from nplight.metrics.similarity import category_similarity, pair_similarity, similar_pairs

__all__ = [
    "Agreement",
    "AccuracyDeviation",
    "BootstrapMean",
    "Condition",
    "ConditionMeasure",
    "ConditionMetrics",
    "ConditionResult",
    "DistanceSummary",
    "Estimate",
    "FaithfulnessCurve",
    "JOINT_SCORE",
    "MEASURES",
    "Measure",
    "NeuronCounts",
    "NeuronFrequency",
    "PairShares",
    "PathAgreement",
    "PathReadOut",
    "PredictedBatch",
    "ProbabilityDeviation",
    "Replicates",
    "Selectivity",
    "SelectivityMatrix",
    "SelectivitySummary",
    "all_conditions",
    "area",
    "area_replicates",
    "category_similarity",
    "counted_share",
    "difference",
    "distance_summary",
    "estimate",
    "faithfulness_curve",
    "mean_share",
    "neuron_frequency",
    "pair_shares",
    "pair_similarity",
    "path_agreement",
    "path_distance",
    "path_predictions",
    "path_shares",
    "poisson_weights",
    "predictions",
    "probability_deviation",
    "pruned_accuracy",
    "random_share",
    "selectivity_summary",
    "share_difference",
    "share_estimate",
    "shares_in_common",
    "similar_pairs",
]
