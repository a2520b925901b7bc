"""How planted neurons carry a decision, and what the path is for each structure.

The path of a category is the set of K neurons per layer that is sufficient (kept alone, it keeps the decision) and
complete (removed, it takes the decision). So every neuron that can carry the decision is on it, including one that
another could replace. Each layer of a path is as follows.

- `chain`: each neuron reads what the layer before wrote. The removal of any layer takes the decision.
- `parallel`: each neuron reads the evidence and writes to the logit. Every neuron carries an equal share.
- `conjunction`: a chain of K neurons that fire only if all K of the layer before do. Each neuron is necessary.
- `redundancy`: a chain of K neurons that fire fully if any of the layer before does. In all layers but the last one
  the removal of one of them changes nothing, and nowhere does it take the decision.
- `backup`: neurons of even layers write to the logit; those of odd layers do so where the layer before is removed.
  The backups are 0 in the clean pass, and their removal alone changes nothing. They are on the path: while they are in
  the model, no removal of the others takes the decision.
- `inhibition`: each neuron reads the evidence and lowers the logit of a rival category, which would win otherwise. The
  label's own logit does not depend on the path.

The head also reads the evidence directly, for each image's rival category, the next one. So without the path the
rival wins, and there is no tie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from nplight.planted.planted_neuron import PlantedNeuron
from nplight.planted.signals import evidence, link, logit

NUM_CLASSES = 4
_CEILING = 6.0  # of ReLU6
# Times the ceiling: what the weakest evidence, 0.8, and what one neuron at the ceiling are amplified to. The second is
# close to 1, so that the whole chain is not a step that the nodes of a quadrature miss.
_AMPLE, _ENOUGH = 1.5, 1.1

Layer = list[PlantedNeuron]
Circuit = list[Layer]
"""For each layer its K planted neurons of one category."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A way in which planted neurons carry a decision.

    Attributes:
        circuit: category, depth and K -> the planted neurons.
        direct: how much of the evidence the head itself adds to the logit of its category.
        rival: how much of it to the logit of the rival category.
        activation: of all neurons of the model.
        smallest_top_k: the fewest neurons per layer that it is made of.
        pairs_of_layers: whether it needs an even number of layers.

    Examples:
        >>> from nplight.planted import STRUCTURES
        >>> list(STRUCTURES)
        ['chain', 'parallel', 'conjunction', 'redundancy', 'backup', 'inhibition']
    """

    circuit: Callable[[int, int, int], Circuit]
    direct: float = 0.0
    rival: float = 0.25
    activation: type[nn.Module] = nn.ReLU
    smallest_top_k: int = 1
    pairs_of_layers: bool = False


def rival_of(category: int) -> int:
    """The category that wins where the path is removed."""
    return (category + 1) % NUM_CLASSES


def _chain(category: int, depth: int, top_k: int) -> Circuit:
    return [
        [PlantedNeuron({_before(layer, category): 1}, {_after(layer, category, depth): 1 / top_k})] * top_k
        for layer in range(depth)
    ]


def _parallel(category: int, depth: int, top_k: int) -> Circuit:
    neuron = PlantedNeuron({evidence(category): 1}, {logit(category): 1 / (depth * top_k)})
    return [[neuron] * top_k] * depth


def _conjunction(category: int, depth: int, top_k: int) -> Circuit:
    """All K of a layer write the evidence; one less leaves too little for the next layer to fire."""
    first = PlantedNeuron({evidence(category): 1}, {link(0, category): 1})
    return [[first] * top_k] + [
        [
            PlantedNeuron(
                {_before(layer, category): 1, evidence(category): 1 - top_k},
                {logit(category): 1 / top_k} if layer == depth - 1 else {link(layer, category): 1},
            )
        ]
        * top_k
        for layer in range(1, depth)
    ]


def _redundancy(category: int, depth: int, top_k: int) -> Circuit:
    """Every neuron is at the ceiling of its activation as soon as one of the layer before is."""
    circuit: Circuit = []
    for layer in range(depth):
        share = top_k if layer == depth - 1 else 1
        reads = {_before(layer, category): _CEILING * (_AMPLE if layer == 0 else _ENOUGH)}
        circuit.append([PlantedNeuron(reads, {_after(layer, category, depth): 1 / (share * _CEILING)})] * top_k)
    return circuit


def _backup(category: int, depth: int, top_k: int) -> Circuit:
    share = 2 / (depth * top_k)
    circuit: Circuit = []
    for layer in range(0, depth, 2):
        # The link exceeds the evidence, so that rounding does not wake the backup.
        main = PlantedNeuron({evidence(category): 1}, {logit(category): share, link(layer, category): 1.3 / top_k})
        backup = PlantedNeuron({evidence(category): 1, link(layer, category): -1}, {logit(category): share})
        circuit += [[main] * top_k, [backup] * top_k]
    return circuit


def _inhibition(category: int, depth: int, top_k: int) -> Circuit:
    neuron = PlantedNeuron({evidence(category): 1}, {logit(rival_of(category)): -1.25 / (depth * top_k)})
    return [[neuron] * top_k] * depth


def _before(layer: int, category: int) -> str:
    return link(layer - 1, category) if layer else evidence(category)


def _after(layer: int, category: int, depth: int) -> str:
    return logit(category) if layer == depth - 1 else link(layer, category)


STRUCTURES: Mapping[str, Structure] = MappingProxyType(
    {
        "chain": Structure(_chain),
        "parallel": Structure(_parallel),
        # Of K neurons in the last layer, K - 1 give the label less than the rival has.
        "conjunction": Structure(_conjunction, rival=0.75, smallest_top_k=2),
        "redundancy": Structure(_redundancy, activation=nn.ReLU6, smallest_top_k=2),
        "backup": Structure(_backup, pairs_of_layers=True),
        "inhibition": Structure(_inhibition, direct=1.0, rival=1.5),
    }
)
"""The structures by name."""
