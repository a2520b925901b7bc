"""Reading and editing neurons with hooks that live inside a `with`."""

from nplight.neurons.intervene import FILLS, OPERATIONS, Fill, Operation, intervene, scaled_neurons
from nplight.neurons.masks import path_masks, pruned_masks, random_priority
from nplight.neurons.record import record
from nplight.neurons.sites import at_sites, overwrite, replace_tokens

__all__ = [
    "FILLS",
    "OPERATIONS",
    "Fill",
    "Operation",
    "at_sites",
    "intervene",
    "overwrite",
    "path_masks",
    "pruned_masks",
    "random_priority",
    "record",
    "replace_tokens",
    "scaled_neurons",
]
