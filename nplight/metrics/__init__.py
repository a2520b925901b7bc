"""Testing paths: conditions, predictions under each, and metrics over plain functions."""

from nplight.metrics.conditions import Condition, all_conditions, predictions
from nplight.metrics.deviation import AccuracyDeviation, ProbabilityDeviation, probability_deviation
from nplight.metrics.evaluation import ConditionMetrics, ConditionResult

__all__ = [
    "AccuracyDeviation",
    "Condition",
    "ConditionMetrics",
    "ConditionResult",
    "ProbabilityDeviation",
    "all_conditions",
    "predictions",
    "probability_deviation",
]
