"""`train.py planted`, in process."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nplight.cli import main
from nplight.planted import Judgements, judge
from nplight.report import planted_command


def test_two_methods_on_two_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    main(["planted", "--methods", "jas", "random", "--models", "parallel-loud", "parallel", "--run_dir", str(run)])
    shown = capsys.readouterr().out
    assert "Found, no decoys" in shown
    assert f"Results: {run / 'planted.json'}" in shown
    judgements = Judgements.from_dict(json.loads((run / "planted.json").read_text()))
    assert judgements.cases == ["parallel-loud", "parallel"]
    assert judgements.methods == ["jas", "random"]
    (direct,) = judge("jas", "parallel-loud")
    assert judgements.estimates["parallel-loud", "jas", "recall"].value == direct.recall.value == 0.5
    page = (run / "planted.html").read_text()
    # Half of the path in each of few images.
    assert re.search(r"<title>jas, parallel-loud: recall 0.50 \(0.[234]\d … 0.[567]\d\)</title>", page)
    assert {path.name for path in run.iterdir()} == {"planted.json", "planted.html"}


def test_lists_patterns_and_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--methods", "[activation,random]", "--models", "redundancy-all-p*", "redundancy-all-g*"]
    main(["planted", *arguments, "--seeds", "2", "--quiet", "--run_dir", str(tmp_path)])
    assert capsys.readouterr().out == ""
    content = json.loads((tmp_path / "planted.json").read_text())
    judgements = Judgements.from_dict(content)
    assert judgements.cases == ["redundancy-all-p0.98", "redundancy-all-gated"]
    assert judgements.methods == ["activation", "random"]
    assert content["seeds"] == 2
    assert content["objective"] == "probability"
    assert {record["images"] for record in content["records"]} == {32}


def test_the_objective_reaches_the_searches(tmp_path: Path) -> None:
    """By the probability the clean gradient is lost at saturation, by the logit it is not."""
    arguments = ["--methods", "gradient_activation", "--models", "parallel-saturated", "--run_dir", str(tmp_path)]
    recalls = []
    for objective in ("probability", "logit"):
        main(["planted", *arguments, "--objective", objective])
        judgements = Judgements.from_dict(json.loads((tmp_path / "planted.json").read_text()))
        assert judgements.objective == objective
        recalls.append(judgements.estimates["parallel-saturated", "gradient_activation", "recall"].value)
    assert recalls[0] < 0.5
    assert recalls[1] == 1


def test_several_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for models_per_worker in (12, 1):
        monkeypatch.setattr(planted_command, "_MODELS_PER_WORKER", models_per_worker)
        monkeypatch.setattr(planted_command.os, "cpu_count", lambda: 2)
        main(["planted", "--methods", "jas", "random", "--models", "chain", "backup", "--run_dir", str(tmp_path)])
        contents.append((tmp_path / "planted.json").read_text())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "jass"], "`--methods` must name some of the .* got jass; similar names: jas"),
        (["--models", "chains", "x"], "`--models` must name some of the .* got chains, x; similar names: chain, "),
        (["--models", "[]"], "`--models` must name some of the .* got none; similar names: chain, "),
        (["--objective", "logits"], "`--objective` must name some of the .* got logits; similar names: logit"),
        (["--seeds", "0"], "`--seeds` must be at least 1, got 0"),
        (["--run_dir", __file__], "`run_dir` .* is a file"),
    ],
)
def test_bad_arguments_are_refused_in_one_line_before_work(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["planted", "--run_dir", str(tmp_path / "run"), *arguments])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(f"error: {message}", error), error
    assert not (tmp_path / "run").exists()


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["planted", "--method", "jas"])
    assert "unrecognized arguments: --method jas" in capsys.readouterr().err
