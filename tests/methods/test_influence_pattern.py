from __future__ import annotations

import torch

from nplight import joint_score, search
from tests.conftest import Reference
from tests.searching.test_search import EXACT


def test_the_influence_patterns_of_the_published_program_are_reproduced(reference: Reference) -> None:
    actual = search(reference.model, reference.images, reference.labels, method="influence_pattern", ranked=2)
    assert (actual.neurons.squeeze(2) == reference.expected["influence_pattern_neurons"]).sum() == 320
    first, second = actual.ranking_scores.unbind(2)
    margin = (first - second) / first.abs()
    torch.testing.assert_close(margin, reference.expected["influence_pattern_margin"], rtol=1e-8, atol=1e-10)
    neurons = reference.expected["influence_pattern_neurons"].long().unsqueeze(2)
    expected = joint_score(reference.model, reference.images, reference.labels, neurons)
    torch.testing.assert_close(actual.scores, expected, **EXACT)
