"""Search by measurement: at each layer the neuron whose removal, with the path so far, lowers the objective most.

A yardstick and no attribution: it shows how far a greedy search by scores is from a greedy search by what they stand
for. Greedy is not optimal: neurons that only matter together are missed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import GateRows, PathScores, Problem, RemovalRows, best_first, choice_margin, path_score


def greedy_removal(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons per layer that lower the objective most when removed, chosen one by one.

    Candidates are the `candidates` neurons of a layer, `ranked` at least, with the largest joint integrated gradients
    after the path so far. Each is removed at the path tokens together with the path so far, in a forward pass of its
    own. The score of a neuron is the change of the objective by its own removal, at the time when it is chosen; that of
    a candidate that is not chosen, at the last choice. The candidates are found with every node whatever the tolerance.
    """
    gates, removal, layers = GateRows(problem), RemovalRows(problem), []
    for layer, width in enumerate(problem.vit.widths):
        count = min(max(problem.candidates, problem.ranked), width)
        candidates = best_first(gates.scores(layer), count).neurons
        removal.enter(layer)
        neurons, scores = _chosen(removal, candidates, problem.top_k)
        gates.keep(layer, neurons[:, : problem.top_k])
        margin = choice_margin(scores[:, problem.top_k - 1 :], 1)
        layers.append((neurons[:, : problem.ranked], scores[:, : problem.ranked], margin))
    ranking, ranking_scores, margins = (torch.stack(parts, 1) for parts in zip(*layers))
    return PathScores(
        ranking=ranking,
        ranking_scores=ranking_scores,
        scores=path_score(problem, ranking[..., : problem.top_k]),
        margin=margins,
        evaluations=torch.full_like(problem.targets, problem.vit.depth * problem.steps),
    )


def _chosen(removal: RemovalRows, candidates: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """The candidates of a layer, best first, and their scores, (images, candidates) each; the first K are removed."""
    neurons, scores = [], []
    for _ in range(top_k):
        order = best_first(removal.changes(candidates), candidates.shape[1])
        candidates = candidates.gather(1, order.neurons)
        removal.remove(candidates[:, 0])
        neurons.append(candidates[:, :1])
        scores.append(order.scores[:, :1])
        candidates, rest = candidates[:, 1:], order.scores[:, 1:]
        if not candidates.shape[1]:
            break
    return torch.cat([*neurons, candidates], 1), torch.cat([*scores, rest], 1)
