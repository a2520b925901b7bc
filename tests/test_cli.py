from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich
import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning_utilities.core import rank_zero
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

import nplight
import nplight.callbacks
from nplight.cli import PathCLI, main, with_report
from nplight.command_line_settings import CommandLineSettings
from nplight.data import DigitsDataModule
from nplight.errors import ArgumentError
from nplight.modules import ViTClassifier

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "configs" / "digits.yaml"
# Fewer nodes and conditions than the configuration file has, for speed.
QUICK = ["--trainer.enable_progress_bar=false"]

pytestmark = pytest.mark.usefixtures("command_line")


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    return write_quick(tmp_path)


def write_quick(folder: Path) -> Path:
    """The digits configuration with two nodes and few conditions."""
    config = yaml.safe_load(DIGITS.read_text())
    search, evaluation = config["trainer"]["callbacks"][:2]
    del search["init_args"]["methods"]
    search["init_args"].update(method="jas", steps=2, kept=[1, 5])
    evaluation["init_args"].update(fractions=[0.5, 1.0], draws=2)
    path = folder / "quick.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused: its last words."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *QUICK])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    return error[error.index("error:") :]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_validate_then_test_then_predict(quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["validate", "--config", str(quick), "--verbose"]
    main([*command, *QUICK])
    run = tmp_path / "runs" / "quick"
    files = contents(run)
    names = {name for name in files if not name.startswith(("paths/", "logs/", "."))}
    report = {"pictures.json", "report.html", "run.json"}
    results = {"by_category.csv", "comparison.md", "comparison.tex", "metrics.csv", "metrics.json"}
    assert names == {"category_paths.json", "config.yaml", "settings.json"} | results | report

    table = nplight.read_paths(run)
    data = DigitsDataModule()
    discover, held_out = ({sample["index"] for sample in part} for part in data.splits())
    assert set(table["index"].tolist()) == discover
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["images"] == len(held_out)
    rows = [row for row in metrics["conditions"] if row["method"] != "random" and row["condition"][:3] != "own"]
    path_rows = [row for row in rows if row["tokens"] != "all" and row["layers"] is None and row["scale"] is None]
    conditions = [(row["condition"], row["kept"], row["pruned"]) for row in path_rows]
    assert conditions == [
        ("clean", None, None),
        ("none", None, None),
        ("removed", 1, None),
        ("enhanced", 1, None),
        *(("kept", kept, pruned) for kept in (1, 5) for pruned in (0.5, 1.0)),
    ]
    printed = capsys.readouterr().out
    for row in path_rows:
        assert f"{row['accuracy']:.1%}".rstrip("%") in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "Results: runs/quick" in printed

    # The same again, in the same folder and in another, gives the same files.
    main([*command, *QUICK])
    assert contents(run) == files
    main([*command, *QUICK, "--run_dir", str(tmp_path / "other")])
    again = contents(tmp_path / "other")
    # These tell the folder and the time.
    own = {"config.yaml", "report.html", "run.json"}
    assert {name: again[name] for name in again.keys() - own} == {name: files[name] for name in files.keys() - own}
    capsys.readouterr()
    assert "run_dir" in refused([*command, "--data.init_args.split_seed=5"], capsys)
    assert contents(run) == files

    main(["test", "--config", str(quick), "--paths", str(run), *QUICK])
    assert (run / "test" / "report.html").is_file()
    tested = json.loads((run / "test" / "metrics.json").read_text())
    assert tested["conditions"] == [row for row in metrics["conditions"] if row["condition"][:3] != "own"]

    other = ["--data.init_args.split_seed=5", "--run_dir", str(tmp_path / "else")]
    error = refused(["test", "--config", str(quick), "--paths", str(run), *other], capsys)
    assert "were found with other data (split: " in error

    scan = (load_digits().images[7] * 255 / 16).astype(np.uint8)
    Image.fromarray(scan).save(tmp_path / "seven.png")
    main(["predict", "--config", str(quick), "--images", str(tmp_path / "seven.png"), *QUICK])
    predicted = nplight.read_paths(run / "predict")
    assert predicted["file"] == [str(tmp_path / "seven.png")]
    assert predicted["prediction"].tolist() == [7]
    assert (run / "predict" / "report.html").is_file()


def test_quiet_prints_nothing_and_a_report_can_be_left_out(
    quick: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["validate", "--config", str(quick), "--quiet", "--report", "false"])
    assert capfd.readouterr() == ("", "")
    run = tmp_path / "runs" / "quick"
    assert (run / "metrics.json").is_file()
    assert not (run / "report.html").exists()
    main(["report", str(run), "--quiet"])
    assert capfd.readouterr() == ("", "")
    assert (run / "report.html").is_file()
    assert not rich.get_console().quiet
    assert logging.getLogger("lightning.pytorch").level == logging.INFO


def test_a_run_reports_once_however_it_is_asked(quick: Path) -> None:
    config = yaml.safe_load(quick.read_text())
    callbacks = [Namespace(one) for one in config["trainer"]["callbacks"]]
    reporting = with_report(callbacks)
    assert [one.class_path for one in reporting[len(callbacks) :]] == ["nplight.callbacks.PathReport"]
    assert with_report(reporting) == reporting
    assert with_report(callbacks[2:]) == callbacks[2:]


def test_the_main_configuration_is_the_published_protocol_and_its_model_is_good() -> None:
    config = yaml.safe_load(DIGITS.read_text())
    search, evaluation = (callback["init_args"] for callback in config["trainer"]["callbacks"][:2])
    assert (search["steps"], search["rule"], search["kept"]) == (20, "riemann-left", [1, 5, 10, 30, 50])
    assert evaluation["fractions"] == [0.1, 0.3, 0.5, 1.0]
    model = ViTClassifier(**config["model"]["init_args"], num_classes=10).model.eval()
    images, _ = DigitsDataModule().evaluation_data()
    with torch.no_grad():
        logits = model(torch.stack([sample["image"] for sample in images]))
    labels = torch.tensor([sample["label"] for sample in images])
    assert (logits.argmax(1) == labels).float().mean() >= 0.97


def test_fit_starts_from_new_weights_and_exports_them(quick: Path, tmp_path: Path) -> None:
    main(["fit", "--config", str(quick), "--trainer.max_steps=1", "--trainer.max_epochs=1", *QUICK])
    fitted = load_file(tmp_path / "runs" / "quick" / "fit" / "model.safetensors")
    torch.manual_seed(0)
    bundled = ViTClassifier(**yaml.safe_load(quick.read_text())["model"]["init_args"], num_classes=10).model
    assert fitted.keys() == bundled.state_dict().keys()
    assert (fitted["head.weight"] - bundled.head.weight).abs().mean() > 1e-3
    # One step of AdamW from timm's start, whose head is small.
    assert fitted["head.weight"].abs().max() < 0.2


BAD: list[tuple[list[str], str]] = [
    (["--trainer.foo=3"], "unrecognized arguments: --trainer.foo=3"),
    (["--trainer.max_epochs=abc"], 'Parser key "trainer.max_epochs"'),
    (["--data.init_args.seeed=1"], "seeed"),
    (["--data=nplight.data.Letters"], "nplight.data.Letters"),
    (["--model.init_args.checkpoint=nothing.pth"], "error: `checkpoint` must be a file that exists, got nothing.pth"),
    (["--model.init_args.model_name=vit_giant"], "error: `model_name` must be a timm model, got 'vit_giant'"),
    (["--data.init_args.batch_size=0"], "error: `batch_size` must be an integer of at least 1, got 0"),
    (["--trainer.callbacks.init_args.foo=1"], "foo"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_bad_commands_are_refused_in_a_few_lines(
    quick: Path, change: list[str], reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = refused(["validate", "--config", str(quick), *change], capsys)
    assert reason in error
    assert len(error.splitlines()) <= 20
    assert max(map(len, error.splitlines())) <= 220
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps: 2", "steps: 0", "error: `steps` must be an integer of at least 1, got 0"),
        ("steps: 2", "stepz: 2", "'stepz' is not accepted"),
        (
            "method: jas",
            "method: guess",
            "error: `method` must be one of 'jas', 'joint_integrated_gradients', 'joint_integrated_gradients_held', "
            "'joint_positive_gradients', 'activation', 'influence_pattern', 'influence_pattern_chain', "
            "'integrated_gradients', 'conductance', 'gradient_activation', 'cross_layer', 'greedy_removal', 'random', "
            "got 'guess'",
        ),
        ("rule: riemann-left", "rule: simpson", "error: `rule` must be one of"),
        ("top_k: 1", "top_k: 289", "error: `top_k` must be at most 288"),
        ("max_epochs", "max_epoch", "max_epoch"),
        (
            "bundled:digits_width_48",
            "bundled:letters",
            "must be a file or one of bundled:digits, bundled:digits_width_48, got bundled:letters",
        ),
    ],
)
def test_bad_configurations_are_refused_in_a_few_lines(
    quick: Path, old: str, new: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in quick.read_text()
    quick.write_text(quick.read_text().replace(old, new))
    error = refused(["validate", "--config", str(quick)], capsys)
    assert reason in error
    assert len(error.splitlines()) <= 20


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["validate", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["validate"], "required: validate.data, validate.model"),
        (["test", "--config", str(DIGITS)], "error: test needs --paths"),
        (
            ["test", "--config", str(DIGITS), "--paths", "nowhere"],
            "nowhere must be a run folder with category_paths",
        ),
        (["predict", "--config", str(DIGITS)], "error: predict needs --images"),
        (
            ["validate", "--config", str(DIGITS), "--images", str(DIGITS)],
            f"error: --images is for predict, got {DIGITS} with validate; leave it out, or run predict",
        ),
        (
            ["predict", "--config", str(DIGITS), "--images", str(DIGITS), "--paths", "runs/digits"],
            "error: --paths is for validate and test, got runs/digits with predict",
        ),
        (["predict", "--config", str(DIGITS), "--images", "a" * 5000], "File name too long"),
        (["predict", "--config", str(DIGITS), "--images", "nowhere"], "`images` must be files or folders that exist"),
        (["validate", "--config", str(DIGITS), "--run_dir", str(DIGITS)], "`run_dir` must be a folder, but"),
    ],
)
def test_what_is_missing_is_said(command: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert reason in refused(command, capsys)


class Own(Callback):
    """A callback of somebody's project, which means something else by the names of nplight's settings."""

    def __init__(self, methods: int = 3) -> None:
        self.methods = methods
        self.paths = "mine"
        self.overwrite = False
        self.run_dir = None


class Prepared(PathCLI):
    """Stops where the run would start."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def test_the_command_line_sets_nplights_own_callbacks_alone(quick: Path, tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    config["trainer"]["callbacks"].append({"class_path": f"{__name__}.Own"})
    quick.write_text(yaml.safe_dump(config))
    words = ["--methods", "[random]", "--paths", "old", "--overwrite", "true", "--run_dir", str(tmp_path)]
    prepared = Prepared(["validate", "--config", str(quick), *words, *QUICK])
    search, evaluation, *others = prepared.trainer.callbacks
    own = next(one for one in others if isinstance(one, Own))
    assert vars(own) == vars(Own())
    assert [one.name for one in search.searches] == ["random"]
    assert (evaluation.paths, evaluation.overwrite, search.overwrite) == ("old", True, True)
    assert all(one.run_dir == tmp_path for one in prepared.trainer.callbacks if isinstance(one, CommandLineSettings))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--overwrite"], {"overwrite": True}),
        (["--overwrite", "--quiet"], {"overwrite": True, "quiet": True}),
        (["--overwrite", "true", "--report=false"], {"overwrite": True, "report": False}),
        (["--overwrite=false", "--quiet", "false"], {"overwrite": False, "quiet": False}),
        (["--report", "--fit_from_scratch"], {"report": True, "fit_from_scratch": True}),
    ],
)
def test_flags_stand_alone_or_before_a_value(quick: Path, words: list[str], expected: dict[str, bool]) -> None:
    prepared = Prepared(["validate", "--config", str(quick), *words, *QUICK])
    config = prepared.config["validate"]
    assert {name: config[name] for name in expected} == expected
    assert all(
        one.overwrite == expected.get("overwrite", False)
        for one in prepared.trainer.callbacks
        if "overwrite" in getattr(one, "command_line_settings", ())
    )


def test_options_are_not_abbreviated(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--overw"], ["--overw=true"], ["--run", "elsewhere"], ["--trainer.acceler", "cpu"]):
        error = refused(["validate", "--config", str(quick), *option], capsys)
        assert f"unrecognized arguments: {option[0]}" in error
    with pytest.raises(SystemExit, match="2"):
        main(["report", "runs/quick", "--fig", "figures"])
    assert "unrecognized arguments: --fig figures" in capsys.readouterr().err


def test_lightnings_advertisements_are_left_out_and_its_news_are_not(
    quick: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PathCLI, "_run_subcommand", Prepared._run_subcommand)
    main(["validate", "--config", str(quick), "--trainer.enable_checkpointing=true", *QUICK])
    assert "Tip:" not in caplog.text
    assert "GPU available" in caplog.text
    assert not rank_zero.log.filters


def test_methods_that_nothing_searches_are_refused(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    config["trainer"]["callbacks"] = [{"class_path": f"{__name__}.Own"}]
    quick.write_text(yaml.safe_dump(config))
    error = refused(["validate", "--config", str(quick), "--methods", "[jas]"], capsys)
    assert error == "error: --methods needs a NeuronPathSearch among the callbacks of the configuration, got none\n"


def test_a_model_for_other_categories_is_refused(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    config["model"] = {"class_path": f"{__name__}.Unlinked"}
    quick.write_text(yaml.safe_dump(config))
    error = refused(["validate", "--config", str(quick)], capsys)
    assert "the model tells 7 categories apart, but the data has 10" in error


def test_pretrained_weights_for_other_categories_must_be_fitted_first(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    config["model"]["class_path"] = f"{__name__}.NewHead"
    quick.write_text(yaml.safe_dump(config))
    error = refused(["validate", "--config", str(quick)], capsys)
    assert "`pretrained` weights are for other categories than the 10 of the data" in error
    main(["fit", "--config", str(quick), "--trainer.max_steps=1", "--trainer.max_epochs=1", *QUICK])


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("hacked"),)


def write_checkpoints(folder: Path) -> None:
    """Files that are no checkpoint of the digits model."""
    (folder / "folder.ckpt").mkdir()
    (folder / "text.ckpt").write_text("hello")
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "bomb.ckpt").write_bytes(pickle.dumps({"state_dict": Bomb()}))
    torch.save({"a": torch.zeros(2)}, folder / "weights.ckpt")
    torch.save([1, 2], folder / "list.ckpt")
    lightning = {"pytorch-lightning_version": "2.6.0", "state_dict": {"a": torch.zeros(2)}}
    torch.save(lightning, folder / "other.ckpt")
    torch.save({**lightning, "hyper_parameters": [3]}, folder / "odd.ckpt")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing.ckpt", "must be a checkpoint file that exists, got 'nothing.ckpt'"),
        ("folder.ckpt", "must be a checkpoint file that exists"),
        ("a\0b", "must be a checkpoint file that exists, got 'a\\x00b'"),
        ("", "must be a checkpoint file that exists, got ''"),
        ("best", "must be a checkpoint file that exists, got 'best'"),
        ("a" * 5000, "must be a checkpoint file that exists"),
        ("text.ckpt", "text.ckpt cannot be read as a checkpoint"),
        ("empty.ckpt", "empty.ckpt cannot be read as a checkpoint"),
        ("bomb.ckpt", "it is damaged, or would run code when loaded"),
        ("weights.ckpt", "must be a checkpoint that Lightning wrote, with state_dict and pytorch-lightning_version"),
        ("list.ckpt", "must be a checkpoint that Lightning wrote"),
        ("odd.ckpt", "must hold its hyper_parameters as a mapping"),
        ("other.ckpt", "cannot be loaded: Error(s) in loading state_dict for ViTClassifier: Missing key(s)"),
        ("hpc", "no HPC checkpoint was found"),
        ("last", "there is no last checkpoint available"),
        ("nowhere://x.ckpt", "cannot be loaded: Protocol not known: nowhere"),
    ],
)
def test_a_ckpt_path_that_cannot_be_used_is_refused_in_one_line(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, reason: str
) -> None:
    write_checkpoints(tmp_path)
    error = refused(["validate", "--config", str(quick), "--ckpt_path", path], capsys)
    assert error.startswith("error: --ckpt_path ")
    assert reason in error
    assert len(error.splitlines()) == 1
    assert len(error) <= 400
    assert not (tmp_path / "hacked").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (["--trainer.devices=0"], "the Trainer refuses its settings: `Trainer(devices='0')`"),
        (["--trainer.devices=abc"], "the Trainer refuses its settings: `devices` selected with"),
        (["--trainer.num_nodes=0"], "`num_nodes` must be a positive integer, but got 0"),
        (["--trainer.accelerator=quantum"], "invalid accelerator name: `accelerator='quantum'`"),
        (["--trainer.accelerator=tpu"], "the Trainer refuses its settings"),
        (["--trainer.strategy=teleport"], "invalid strategy name: `strategy='teleport'`"),
        (["--trainer.limit_val_batches=1.5"], "invalid value 1.5 for limit_val_batches"),
        (["--trainer.max_time=soon"], "`Timer(duration='soon')` is not a valid duration"),
        (["--trainer.profiler=guess"], "`profiler` parameter"),
        (["--seed_everything=-5"], "--seed_everything must be an integer from 0 to 4294967295, got -5"),
        (["--run_dir", "a\0b"], "`run_dir` must be a name in UTF-8 without NUL, got 'a\\x00b'"),
        (["--run_dir", "a\udc80"], "`run_dir` must be a name in UTF-8 without NUL, got 'a\\udc80'"),
        (["--config", "nul.yaml"], "`run_dir` must be a name in UTF-8 without NUL"),
        (["--config", "a\0b"], "the command or its configuration cannot be read: embedded null byte"),
        (["--config", "binary.yaml"], "--config must be a text file in UTF-8: "),
        (["--model=lightning.pytorch.LightningModule"], "No `validation_step()` method defined"),
        (["--model.init_args.model_args={num_heads: 0}"], "`model_args` do not fit vit_tiny_patch16_224"),
        (["--model.init_args.model_args={num_heads: 7}"], "`model_args` do not fit vit_tiny_patch16_224"),
        (["--model.init_args.model_args={img_size: -3}"], "`model_args` do not fit vit_tiny_patch16_224"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], reason: str
) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    (tmp_path / "nul.yaml").write_text('run_dir: "a\\0b"')
    error = refused(["validate", "--config", str(quick), *change], capsys)
    assert reason in error
    assert len(error.splitlines()) == 1
    assert len(error) <= 400
    assert not (tmp_path / "runs").exists()


def test_a_broken_image_is_named_in_one_line_before_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.png").write_bytes(b"no image")
    error = refused(["predict", "--config", str(DIGITS), "--images", str(tmp_path / "cut.png")], capsys)
    assert error.startswith("error: 1 of the 1 images to predict cannot be read; ")
    assert "cut.png" in error.splitlines()[0]
    assert len(error.splitlines()) == 1


class Unreadable(DigitsDataModule):
    """Images that are refused when a loader process reads them."""

    def predict_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self, num_workers=1)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> Any:
        raise ArgumentError("`images` holds a file that cannot be read as an image")


def test_what_a_loader_process_refuses_is_one_line(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    config["data"]["class_path"] = f"{__name__}.Unreadable"
    quick.write_text(yaml.safe_dump(config))
    Image.new("L", (8, 8)).save(tmp_path / "seven.png")
    error = refused(["predict", "--config", str(quick), "--images", str(tmp_path / "seven.png")], capsys)
    assert error == "error: `images` holds a file that cannot be read as an image\n"


class NewHead(ViTClassifier):
    """Stands for a model with published weights of other categories, which no test can download."""

    def __init__(self, model_name: str, *, num_classes: int, **arguments: Any) -> None:
        super().__init__(model_name, num_classes=num_classes, **arguments)
        self.head_is_new = True


class Unlinked(ViTClassifier):
    """A model class with no `num_classes` to link the data's to."""

    def __init__(self) -> None:
        super().__init__("vit_tiny_patch16_224", num_classes=7, model_args={"depth": 1})
