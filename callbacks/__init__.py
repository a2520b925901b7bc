"""Lightning callbacks, for any LightningModule that holds a Vision Transformer."""

from nplight.callbacks.common import for_pytorch_lightning
from nplight.callbacks.export import WeightsExport
from nplight.callbacks.path_evaluation import PathEvaluation
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.path_selectivity import PathSelectivity
from nplight.callbacks.progress import PathProgressBar

__all__ = [
    "NeuronPathSearch",
    "PathEvaluation",
    "PathProgressBar",
    "PathSelectivity",
    "WeightsExport",
    "for_pytorch_lightning",
]
