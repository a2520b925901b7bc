"""Lightning callbacks, for any LightningModule that holds a Vision Transformer."""

from nplight.callbacks.export import WeightsExport
from nplight.callbacks.path_burden import PathBurden
from nplight.callbacks.path_evaluation import PathEvaluation
from nplight.callbacks.path_pruning import PathPruning
from nplight.callbacks.path_sanity import PathSanity
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.path_selectivity import PathSelectivity
from nplight.callbacks.path_stability import PathStability
from nplight.callbacks.progress import PathProgressBar
from nplight.callbacks.pytorch_lightning_twins import for_pytorch_lightning
from nplight.callbacks.report import PathReport
from nplight.callbacks.strange_paths import StrangePaths

__all__ = [
    "NeuronPathSearch",
    "PathBurden",
    "PathEvaluation",
    "PathProgressBar",
    "PathPruning",
    "PathReport",
    "PathSanity",
    "PathSelectivity",
    "PathStability",
    "StrangePaths",
    "WeightsExport",
    "for_pytorch_lightning",
]
