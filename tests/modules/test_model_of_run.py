"""The model and the data of a run, built again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from nplight.errors import RunFolderError
from nplight.modules.model_of_run import model_of_run
from nplight.planted.trigger_training import digits_model
from tests.report.test_shrink_command import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_it_has_the_runs_weights_and_images(run: Path) -> None:
    state = torch.get_rng_state()
    built = model_of_run(run)
    assert torch.equal(torch.get_rng_state(), state)
    images = next(iter(built.held_out())).images
    with torch.no_grad():
        assert torch.equal(built.vit.forward(images), digits_model()(images))
    parts = (built.discover(), built.held_out())
    discover, held_out = ({int(number) for batch in part for number in batch.index} for part in parts)
    assert (len(discover), len(held_out)) == (576, 143)
    assert discover.isdisjoint(held_out)


def change(run: Path, name: str, content: object) -> None:
    text = yaml.safe_dump(content) if name.endswith("yaml") else json.dumps(content)
    (run / name).write_text(text)


def test_weights_of_a_checkpoint_that_the_run_used(run: Path, tmp_path: Path) -> None:
    state = {f"model.{name}": value for name, value in digits_model().state_dict().items()}
    content = {"state_dict": state, "pytorch-lightning_version": "2.6", "hyper_parameters": {}}
    torch.save(content, tmp_path / "last.ckpt")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["init_args"]["checkpoint"] = None
    change(run, "config.yaml", config)
    with pytest.raises(RunFolderError, match="gives a model with other weights than the one that was searched"):
        model_of_run(run)
    change(run, "config.yaml", {**config, "ckpt_path": str(tmp_path / "last.ckpt")})
    assert model_of_run(run).vit.widths == (256,) * 6


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"must be a run of the command line, with config.yaml, but has none"):
        model_of_run(tmp_path / "nothing")
    config = yaml.safe_load((run / "config.yaml").read_text())
    settings = json.loads((run / "settings.json").read_text())
    change(run, "settings.json", {"search": {**settings["search"], "seed": 7}})
    with pytest.raises(RunFolderError, match="found with other data"):
        model_of_run(run)
    change(run, "settings.json", {"evaluation": {}})
    with pytest.raises(RunFolderError, match="must be the folder of a search"):
        model_of_run(run)
    change(run, "settings.json", settings)
    for content, message in (
        ({"model": config["model"]}, "but lacks data"),
        ([], "but lacks model, data"),
        ({**config, "model": {"class_path": "nowhere.Model"}}, "does not build its model and data"),
    ):
        change(run, "config.yaml", content)
        with pytest.raises(RunFolderError, match=message):
            model_of_run(run)
    (run / "config.yaml").write_text("a: [")
    with pytest.raises(RunFolderError, match="cannot be read"):
        model_of_run(run)
