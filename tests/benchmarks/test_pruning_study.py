from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import pruning_study
from benchmarks.pruning_study import MERGED, SEEDS, SHARES, VARIANTS, Study, Training, trainings


def test_the_dense_trainings_of_a_seed_come_before_those_that_need_them() -> None:
    names = [training.name for training in trainings()]
    assert len(set(names)) == len(names) == len(SEEDS) * (2 + len(SHARES) * len(VARIANTS))
    for seed in SEEDS:
        (first, second, *_) = trainings([seed])
        assert (first.criterion, first.merged, second.criterion, second.merged) == ("none", 0, "none", MERGED)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(pruning_study, "RANKED_BY", 8)
    study = Study(tmp_path, epochs=2)
    study._train = (study._train[0][:128], study._train[1][:128])
    study.images, study.labels = study.images[:32], study.labels[:32]
    return study


@pytest.mark.filterwarnings("ignore:.*num_workers", "ignore:The number of training batches")
def test_a_training_is_stored_and_not_repeated(study: Study) -> None:
    dense = study.run(Training("none", 0.0, False, 0, 0))
    assert dense["burden"] == 0
    assert dense["widths"] == [128] * 4
    for criterion, reactivate in (("path", False), ("magnitude", True)):
        training = Training(criterion, 0.75, reactivate, 0, 0)
        result = study.run(training)
        path = study.folder / f"{training.name}.json"
        assert json.loads(path.read_text()) == result
        assert 0 <= result["correct"] <= result["images"] == 32
        assert result["curve"][-1][2] == 0.75
        assert result["burden"] != 0
        assert (result["returned"] > 0) is (reactivate is True)
        state = torch.get_rng_state()
        assert study.run(training) == result
        assert torch.equal(torch.get_rng_state(), state)
