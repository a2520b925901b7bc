"""Models with other weights for some neurons: smaller ones, edits that last, training of a path alone."""

from nplight.shrinking.edit_model import edit_model
from nplight.shrinking.layer_neurons import Neurons, layer_neurons
from nplight.shrinking.shrink import shrink

__all__ = ["Neurons", "edit_model", "layer_neurons", "shrink"]
