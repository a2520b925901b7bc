"""`train.py shrink`, in process."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nplight import open_vit
from nplight.cli import main
from nplight.data import DigitsDataModule
from nplight.modules import ViTClassifier
from nplight.modules.model_of_run import ModelOfRun, model_of_run
from nplight.runs import SearchSettings
from nplight.seeds import checksums
from nplight.store import RunFolder, write_part
from nplight.vit import fingerprint

MODEL: dict[str, Any] = {
    "model_name": "vit_tiny_patch16_224",
    "model_args": {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 6, "num_heads": 4},
    "checkpoint": "bundled:digits",
}
FEW = ["--shares", "--draws", "1", "--rounds", "1"]


def make_run(folder: Path, **model: Any) -> Path:
    """A run folder of the digits as the command line leaves it, without paths."""
    arguments = {**MODEL, **model}
    config = {
        "model": {"class_path": "nplight.modules.ViTClassifier", "init_args": arguments},
        "data": {"class_path": "nplight.data.DigitsDataModule", "init_args": {"batch_size": 64}},
        "trainer": {"callbacks": [{"class_path": "nplight.callbacks.NeuronPathSearch", "init_args": {"vit": None}}]},
    }
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    weights = fingerprint(open_vit(ViTClassifier(num_classes=10, **arguments)).searched)
    run = RunFolder(folder)
    run.claim("search", {"command": "validate", "model": weights, **DigitsDataModule().identity()})
    run.release()
    return folder


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank by the first discover images: all of them would take most of the time."""
    discover = ModelOfRun.discover
    monkeypatch.setattr(ModelOfRun, "discover", lambda self: islice(discover(self), 1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(["shrink", *arguments])
    return capsys.readouterr().err


def test_half_of_the_digits_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["shrink", str(run), "--shares", "0.25", *FEW[1:]])
    shown = capsys.readouterr().out
    folder = run / "shrunk" / "magnitude-0.5"
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "shrink.json", "shrink.html"}
    assert f"Results: {folder / 'model.safetensors'}" in shown
    content = json.loads((folder / "shrink.json").read_text())
    whole, magnitude, random = content["models"]
    assert magnitude["widths"] == random["widths"] == [128] * 6
    assert whole["cost"]["parameters"] - magnitude["cost"]["parameters"] == 6 * 128 * (64 + 1 + 64)
    assert [point["share"] for point in content["curves"]["random"]] == [0.25, 0.5, 1.0]
    small = open_vit(ViTClassifier(num_classes=10, **{**MODEL, "checkpoint": str(folder / "model.safetensors")}))
    correct = images = 0
    for batch in model_of_run(run).held_out():
        with torch.no_grad():
            correct += int((small.forward(batch.images).argmax(1) == batch.labels).sum())
        images += len(batch)
    assert magnitude["accuracy"]["value"] == correct / images > 0.9
    assert images == 143


def test_other_rankings_fills_and_shares(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--by", "random", "--keep", "0.25", "--across", "model", "--fill", "mean", "--seed", "3"]
    main(["shrink", str(run), *FEW, *options, "--quiet"])
    assert capsys.readouterr().out == ""
    folder = run / "shrunk" / "random-0.25"
    content = json.loads((folder / "shrink.json").read_text())
    assert [model["name"] for model in content["models"]] == ["whole model", "magnitude", "random"]
    assert content["fill"] == "mean"
    widths = content["models"][2]["widths"]
    assert sum(widths) == 384
    assert len(set(widths)) > 1
    arguments = {**MODEL, "checkpoint": str(folder / "model.safetensors")}
    assert open_vit(ViTClassifier(num_classes=10, **arguments)).widths == tuple(widths)


def add_paths(run: Path, *methods: Any) -> None:
    """Store paths of a few discover images."""
    model = model_of_run(run)
    folder = RunFolder(run)
    settings = SearchSettings.of(list(methods), kept=(256,), labelled=False)
    for search in settings.searches:
        folder.claim(f"search {search.name}", search.settings())
        (image_search,) = search.image_searches((1, 256))
        batch = next(iter(model.discover())).select(torch.arange(2))
        paths = image_search.paths(model.vit, batch.images, None)
        write_part(
            folder, paths, index=torch.arange(2), files=["", ""], labels=None, checksums=checksums(batch.images),
            search=search.name, fingerprint=folder.search_fingerprint(search.name),
        )  # fmt: skip
    folder.release()


def test_a_search_of_the_class_token_is_refused_with_the_way_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_paths(run, "activation")
    message = refused([str(run), "--by", "run"], capsys)
    assert "at its path tokens alone, tokens 0" in message
    assert "tokens: all, or by magnitude" in message
    assert not (run / "shrunk").exists()


def test_a_search_of_all_tokens_is_the_default(run: Path) -> None:
    add_paths(run, "activation", {"name": "everywhere", "method": "activation", "tokens": "all"})
    main(["shrink", str(run), *FEW, "--quiet"])
    stored = json.loads((run / "shrunk" / "everywhere-0.5" / "shrink.json").read_text())
    main(["shrink", str(run), *FEW, "--quiet", "--by", "run"])
    again = json.loads((run / "shrunk" / "run-0.5" / "shrink.json").read_text())
    assert stored["settings"]["by"] == "everywhere"
    assert stored["models"][1]["accuracy"] == again["models"][1]["accuracy"]


def test_a_method_searches_at_all_tokens(run: Path) -> None:
    add_paths(run, "activation")
    main(["shrink", str(run), *FEW, "--by", "activation", "--quiet"])
    assert (run / "shrunk" / "activation-0.5" / "model.safetensors").exists()


def test_a_method_ranks_a_model_whose_tokens_are_all_path_tokens(tmp_path: Path) -> None:
    arguments = {**MODEL["model_args"], "depth": 2, "global_pool": "avg", "class_token": False}
    torch.manual_seed(0)
    weights = ViTClassifier("vit_tiny_patch16_224", num_classes=10, model_args=arguments)
    from nplight.shrinking import save_model

    save_model(weights, tmp_path / "weights.safetensors")
    run = make_run(tmp_path / "run", model_args=arguments, checkpoint=str(tmp_path / "weights.safetensors"))
    main(["shrink", str(run), *FEW, "--by", "activation", "--quiet"])
    content = json.loads((run / "shrunk" / "activation-0.5" / "shrink.json").read_text())
    assert [model["name"] for model in content["models"]] == ["whole model", "activation", "magnitude", "random"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "0"], "`--keep` must be in (0, 1], a share of the neurons such as 0.5, got 0"),
        (["--keep", "1.5"], "`--keep` must be in (0, 1]"),
        (["--keep", "nan"], "`--keep` must be in (0, 1]"),
        (["--shares", "0.5", "2"], "`--shares` must be in (0, 1]"),
        (["--draws", "0"], "`--draws` must be at least 1, got 0"),
        (["--rounds", "0"], "`--rounds` must be at least 1, got 0"),
        (["--device", "nowhere"], "`--device` must be a device of this machine, such as cpu or cuda, got nowhere"),
        (["--by", "size"], "`--by` must be one of 'magnitude', 'random', 'jas'"),
        (["--by", "run"], "must hold the paths of a search for --by run, but has none"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    options: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused([str(run), *options], capsys)
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "shrunk").exists()
