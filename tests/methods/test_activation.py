from __future__ import annotations

import pytest
import torch

from nplight import search
from tests.conftest import read_reference
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("folder", ["class_token", "patch_mean"])
def test_the_activation_paths_of_the_published_program_are_reproduced(folder: str) -> None:
    reference = read_reference(folder)
    actual = search(reference.model, reference.images, reference.labels, method="activation")
    assert (actual.neurons.squeeze(2) == reference.expected["activation_neurons"]).sum() == 320
    torch.testing.assert_close(actual.scores, reference.expected["activation_score"], **EXACT)
