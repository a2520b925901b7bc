"""Models with other weights for some neurons: smaller ones, edits that last, training of a path alone."""

from nplight.shrinking.edit_model import edit_model
from nplight.shrinking.layer_neurons import Neurons, layer_neurons
from nplight.shrinking.model_file import layers_of_widths, model_bytes, save_model, stored_widths
from nplight.shrinking.onnx_export import export_onnx
from nplight.shrinking.path_tuning import PathTuning
from nplight.shrinking.shrink import shrink
from nplight.shrinking.top_share import top_share

__all__ = [
    "Neurons",
    "PathTuning",
    "edit_model",
    "export_onnx",
    "layer_neurons",
    "layers_of_widths",
    "model_bytes",
    "save_model",
    "shrink",
    "stored_widths",
    "top_share",
]
