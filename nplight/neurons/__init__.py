"""Recording and editing neurons, by hooks that exist only inside a `with`."""

from nplight.neurons.edits import Edit, edited, first_layers, replacing, scaling
from nplight.neurons.fills import FILLS, Fill, FixedReferences, References
from nplight.neurons.gathering import Gathering
from nplight.neurons.intervene import OPERATIONS, Operation, intervene
from nplight.neurons.masks import path_masks, prune_order, pruned_masks, random_priority
from nplight.neurons.record import record
from nplight.neurons.references import gathering, references
from nplight.neurons.sites import TOKENS, Tokens, at_sites, overwrite, replace_tokens, tokens_of

__all__ = [
    "FILLS",
    "OPERATIONS",
    "TOKENS",
    "Edit",
    "Fill",
    "FixedReferences",
    "Gathering",
    "Operation",
    "References",
    "Tokens",
    "at_sites",
    "edited",
    "first_layers",
    "gathering",
    "intervene",
    "overwrite",
    "path_masks",
    "prune_order",
    "pruned_masks",
    "random_priority",
    "record",
    "references",
    "replace_tokens",
    "replacing",
    "scaling",
    "tokens_of",
]
