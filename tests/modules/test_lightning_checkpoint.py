from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nplight.errors import CheckpointError
from nplight.modules.lightning_checkpoint import check_lightning_checkpoint

WRITTEN: dict[str, Any] = {"pytorch-lightning_version": "2.6.0", "state_dict": {"a": torch.zeros(2)}}


@pytest.mark.parametrize("name", ["last", "hpc", "s3://bucket/x.ckpt", "registry:model"])
def test_what_lightning_resolves_itself_is_not_checked(name: str) -> None:
    check_lightning_checkpoint(name)


def test_a_checkpoint_of_lightnings_is_accepted_without_reading_its_weights(tmp_path: Path) -> None:
    torch.save(WRITTEN, tmp_path / "x.ckpt")
    check_lightning_checkpoint(str(tmp_path / "x.ckpt"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"state_dict": {}},
            "must be a checkpoint that Lightning wrote, with state_dict and pytorch-lightning_version",
        ),
        ([1, 2], "must be a checkpoint that Lightning wrote"),
        ({**WRITTEN, "hyper_parameters": [3]}, "must hold its hyper_parameters as a mapping"),
        (Path("x"), "is damaged, or would run code when loaded"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=reason):
        check_lightning_checkpoint(str(tmp_path / "x.ckpt"))


@pytest.mark.parametrize("name", ["", "nothing.ckpt", "a\0b", "a" * 5000])
def test_a_file_that_does_not_exist_is_named_in_short(name: str) -> None:
    with pytest.raises(CheckpointError, match="--ckpt_path must be a checkpoint file that exists, got") as error:
        check_lightning_checkpoint(name)
    assert len(str(error.value)) < 300
