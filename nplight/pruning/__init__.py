"""Pruning of neurons while a model trains, the load on those that remain, and merging of tokens."""

from nplight.pruning.burden import Burden, NeuralBurden, burden
from nplight.pruning.criteria import CRITERIA, CriterionSettings, criterion_scores
from nplight.pruning.masks import NeuronMasks
from nplight.pruning.pruner import REACTIVATIONS, Pruner
from nplight.pruning.schedule import SCHEDULES, PruningSchedule
from nplight.pruning.token_merging import TokenMerging, merge_tokens

__all__ = [
    "CRITERIA",
    "REACTIVATIONS",
    "SCHEDULES",
    "Burden",
    "CriterionSettings",
    "NeuralBurden",
    "NeuronMasks",
    "Pruner",
    "PruningSchedule",
    "TokenMerging",
    "burden",
    "criterion_scores",
    "merge_tokens",
]
