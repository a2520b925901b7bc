"""Find and test the neuron paths that carry a Vision Transformer's predictions."""

from nplight.attribution import OBJECTIVES, RULES
from nplight.errors import NplightError, UnsupportedModelError
from nplight.methods import METHODS
from nplight.neurons import References, intervene, record, references
from nplight.paths import CategoryPaths, PathBatch
from nplight.searching import category_paths, joint_score, search
from nplight.shrinking import edit_model, shrink
from nplight.store import PathTable, read_paths
from nplight.vit import OpenViT, open_vit

__all__ = [
    "METHODS",
    "OBJECTIVES",
    "RULES",
    "CategoryPaths",
    "NplightError",
    "OpenViT",
    "PathBatch",
    "PathTable",
    "References",
    "UnsupportedModelError",
    "category_paths",
    "edit_model",
    "intervene",
    "joint_score",
    "open_vit",
    "read_paths",
    "record",
    "references",
    "search",
    "shrink",
]
