"""LightningModules, and loading of weights."""

from nplight.modules.checkpoint import load_weights, read_weights
from nplight.modules.classifier import ViTClassifier

__all__ = ["ViTClassifier", "load_weights", "read_weights"]
