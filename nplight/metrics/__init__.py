"""Tests of paths: conditions, predictions under each condition, and metric classes over plain functions.

`MEASURES` has one row per measure; files, tables, figures and the page show its rows, and those of the objectives of
the searches (`measures_of`). A measured value is passed on as
`Replicates`: the value itself and its value under each weighting of the images. `estimate` adds a 95% interval;
`difference` compares two methods image by image.
"""

from nplight.metrics.agreement import Agreement, PathAgreement, path_agreement
from nplight.metrics.bootstrap import BootstrapMean, poisson_weights
from nplight.metrics.concept_agreement import ConceptAgreement, word_correlation
from nplight.metrics.condition_forward import ConditionForward
from nplight.metrics.condition_measures import CategoryMeans
from nplight.metrics.condition_metrics import ConditionMetrics, ConditionResult
from nplight.metrics.conditions import (
    Condition,
    all_conditions,
    depth_conditions,
    dose_conditions,
    extreme_conditions,
    own_conditions,
    whole_conditions,
)
from nplight.metrics.control_metrics import ControlMetrics
from nplight.metrics.control_paths import CONTROLS, ControlName, ControlPaths, ControlSetting
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
from nplight.metrics.holm import holm_below
from nplight.metrics.intervals import INTERVALS, Interval
from nplight.metrics.measures import JOINT_SCORE, MEASURES, ConditionMeasure, Measure
from nplight.metrics.normalised_faithfulness import KeptMeasure, NormalisedFaithfulness, normalised_faithfulness
from nplight.metrics.objective_measures import OBJECTIVE_MEASURES, measures_among, measures_of
from nplight.metrics.path_shares import PairShares, pair_shares, path_shares, random_share, shares_in_common
from nplight.metrics.predicted_batch import PredictedBatch
from nplight.metrics.predictions import path_predictions, predictions
from nplight.metrics.prune_priority import category_priority, image_priority
from nplight.metrics.random_paths import RandomPaths
from nplight.metrics.read_out import PathReadOut
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate
from nplight.metrics.selectivity import Selectivity, SelectivityMatrix, SelectivitySummary, selectivity_summary
from nplight.metrics.share_estimates import counted_share, mean_share, share_difference, share_estimate
from nplight.metrics.similarity import category_similarity, pair_similarity, similar_pairs

__all__ = [
    "CONTROLS",
    "INTERVALS",
    "JOINT_SCORE",
    "MEASURES",
    "OBJECTIVE_MEASURES",
    "AccuracyDeviation",
    "Agreement",
    "BootstrapMean",
    "CategoryMeans",
    "ConceptAgreement",
    "Condition",
    "ConditionForward",
    "ConditionMeasure",
    "ConditionMetrics",
    "ConditionResult",
    "ControlMetrics",
    "ControlName",
    "ControlPaths",
    "ControlSetting",
    "DistanceSummary",
    "Estimate",
    "FaithfulnessCurve",
    "Interval",
    "KeptMeasure",
    "Measure",
    "NeuronCounts",
    "NeuronFrequency",
    "NormalisedFaithfulness",
    "PairShares",
    "PathAgreement",
    "PathReadOut",
    "PredictedBatch",
    "ProbabilityDeviation",
    "RandomPaths",
    "Replicates",
    "Selectivity",
    "SelectivityMatrix",
    "SelectivitySummary",
    "all_conditions",
    "area",
    "area_replicates",
    "category_priority",
    "category_similarity",
    "counted_share",
    "depth_conditions",
    "difference",
    "distance_summary",
    "dose_conditions",
    "estimate",
    "extreme_conditions",
    "faithfulness_curve",
    "holm_below",
    "image_priority",
    "mean_share",
    "measures_among",
    "measures_of",
    "neuron_frequency",
    "normalised_faithfulness",
    "own_conditions",
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
    "whole_conditions",
    "word_correlation",
]
