"""Positive joint gradients on models of known paths; `tests/methods/definitions.py` holds what they are."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight import search
from nplight.planted import judge
from tests.conftest import make_vit
from tests.methods.test_table import all_scores


def test_neurons_with_a_backup_and_the_backups_are_found_beside_every_decoy() -> None:
    cases = ["backup", "backup-all", "backup-all-k3"]
    for judgement in judge("joint_positive_gradients", cases, replicates=0):
        assert judgement.recall.value >= 0.99, judgement.case
    # Their removal alone does nothing, so that the integral of the derivative is 0.
    assert all(judgement.recall.value < 0.1 for judgement in judge("joint_integrated_gradients", cases, replicates=0))


def test_no_score_is_below_that_of_the_joint_integrated_gradients(images: Tensor, targets: Tensor) -> None:
    signed, positive = (
        all_scores(search(make_vit(), images, targets, method=method, ranked=64, steps=5))[:, 0]
        for method in ("joint_integrated_gradients", "joint_positive_gradients")
    )
    assert (positive >= signed.relu() - 1e-12).all()
    assert not torch.allclose(positive, signed.relu())
