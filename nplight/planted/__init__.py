"""Vision Transformers whose neuron paths are known by construction, and how well a method recovers them.

A planted model is timm's `VisionTransformer` with weights that are computed, not trained: the attention of block 0
copies a category's pixel pattern to every token, a few planted neurons per layer carry the decision from there to the
head, and decoys beside them look important but are inert. `nplight.planted.structures` defines what the path is.
"""

from nplight.planted.case import PlantedCase
from nplight.planted.causal_shares import CausalScale, CausalShares, causal_shares
from nplight.planted.decoys import DECOYS
from nplight.planted.judge import Builder, Finder, Judgement, judge
from nplight.planted.path_recovery import PathRecovery, Recovery
from nplight.planted.planted_model import PlantedModel, build_planted
from nplight.planted.recovery import path_precision, path_recall, ranking_auroc
from nplight.planted.structures import STRUCTURES, Structure
from nplight.planted.table import PLANTED

__all__ = [
    "DECOYS",
    "PLANTED",
    "STRUCTURES",
    "Builder",
    "CausalScale",
    "CausalShares",
    "Finder",
    "Judgement",
    "PathRecovery",
    "PlantedCase",
    "PlantedModel",
    "Recovery",
    "Structure",
    "build_planted",
    "causal_shares",
    "judge",
    "path_precision",
    "path_recall",
    "ranking_auroc",
]
