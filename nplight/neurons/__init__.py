"""Reading and editing neurons with hooks that live inside a `with`."""

from nplight.neurons.fills import FILLS, Fill, References
from nplight.neurons.gathering import Gathering
from nplight.neurons.intervene import OPERATIONS, Operation, intervene, replaced_neurons, scaled_neurons
from nplight.neurons.masks import path_masks, pruned_masks, random_priority
from nplight.neurons.record import record
from nplight.neurons.references import gathering, references
from nplight.neurons.sites import TOKENS, Tokens, at_sites, overwrite, replace_tokens

__all__ = [
    "FILLS",
    "OPERATIONS",
    "TOKENS",
    "Fill",
    "Gathering",
    "Operation",
    "References",
    "Tokens",
    "at_sites",
    "gathering",
    "intervene",
    "overwrite",
    "path_masks",
    "pruned_masks",
    "random_priority",
    "record",
    "references",
    "replace_tokens",
    "replaced_neurons",
    "scaled_neurons",
]
