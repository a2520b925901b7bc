from __future__ import annotations

import json
import sys
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import nplight
from nplight.callbacks.about import about_run
from tests.conftest import make_vit


def trainer(**attributes: Any) -> Any:
    return SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cpu")), world_size=2, datamodule=None, **attributes
    )


def test_the_page_knows_the_model_the_machine_and_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/folder/pytest", "validate"])
    model = make_vit(num_classes=4)
    about = about_run(trainer(), nplight.open_vit(model), 1.26)
    assert json.loads(json.dumps(about)) == about
    assert about["names"] == ["0", "1", "2", "3"]
    assert about["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert about["widths"] == [64, 64, 64]
    assert about["path_tokens"] == "the class token"
    assert (about["device"], about["processes"], about["seconds"]) == ("cpu", 2, 1.3)
    assert about["versions"]["torch"] == version("torch")
    assert about["command"] is None


def test_categories_are_named_as_the_data_names_them_and_only_the_projects_own_command_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["/folder/train.py", "validate", "--run_dir", "a folder"])
    project = trainer()
    project.datamodule = SimpleNamespace(class_names=("ant", "bee"))
    pooled = make_vit(num_classes=2, class_token=False, global_pool="avg")
    about = about_run(project, nplight.open_vit(pooled), 0)
    assert about["names"] == ["ant", "bee"]
    assert about["path_tokens"] == "all pooled tokens"
    assert about["command"] == "python /folder/train.py validate --run_dir 'a folder'"
