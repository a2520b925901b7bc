"""Vision Transformers whose neuron paths are known by construction, and how well a method recovers them.

A planted model is timm's `VisionTransformer` with weights that are computed, not trained: the attention of block 0
copies a category's pixel pattern to every token, a few planted neurons per layer carry the decision from there to the
head, and decoys beside them look important but are inert. `nplight.planted.structures` defines what the path is.
A trigger model is a trained one with neurons appended to it that alone carry a trigger (`nplight.planted.trigger`).
"""

from nplight.planted.case import PlantedCase
from nplight.planted.causal_shares import CausalEffects, CausalScale, CausalShares, causal_shares
from nplight.planted.decoys import DECOYS
from nplight.planted.judge import MEASURES, Finder, Judgement, judge
from nplight.planted.judgements import Judgements
from nplight.planted.models import MODELS, Builder
from nplight.planted.path_recovery import PathRecovery, Recovery
from nplight.planted.planted_model import PlantedModel, build_planted
from nplight.planted.recovery import path_precision, path_recall, ranking_auroc
from nplight.planted.structures import STRUCTURES, Structure
from nplight.planted.table import PLANTED
from nplight.planted.trigger import build_trigger
from nplight.planted.trigger_case import TRIGGERS, TriggerCase

__all__ = [
    "DECOYS",
    "MEASURES",
    "MODELS",
    "PLANTED",
    "STRUCTURES",
    "TRIGGERS",
    "Builder",
    "CausalEffects",
    "CausalScale",
    "CausalShares",
    "Finder",
    "Judgement",
    "Judgements",
    "PathRecovery",
    "PlantedCase",
    "PlantedModel",
    "Recovery",
    "Structure",
    "TriggerCase",
    "build_planted",
    "build_trigger",
    "causal_shares",
    "judge",
    "path_precision",
    "path_recall",
    "ranking_auroc",
]
