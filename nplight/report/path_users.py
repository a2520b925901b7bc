"""The neurons on the category paths of a run, by the categories that use them."""

from __future__ import annotations

from nplight.report.run_data import Run
from nplight.results.neuron_names import Neuron


def path_users(run: Run) -> dict[int, list[Neuron]]:
    """Category -> the distinct neurons of its paths, those of the main search first, by layer."""
    users: dict[int, dict[Neuron, None]] = {}
    for search in run.methods:
        paths = run.category_paths(search)
        if paths is not None:
            for category, layers in enumerate(paths.neurons.tolist()):
                neurons = [(layer, neuron) for layer, numbers in enumerate(layers) for neuron in numbers]
                users.setdefault(category, {}).update(dict.fromkeys(neurons))
    return {category: list(neurons) for category, neurons in users.items()}


def path_neurons(run: Run) -> list[Neuron]:
    """The neurons on the category paths of every search, in order of layer and number."""
    return sorted({neuron for neurons in path_users(run).values() for neuron in neurons})
