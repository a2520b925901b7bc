from __future__ import annotations

from pathlib import Path

import pytest

from nplight.cli import main
from nplight.merge_command import merge_command
from tests.test_cli import QUICK, contents, quick, refused

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("command_line")
OWN = ("config.yaml", "run.json", "report.html", "logs/", ".")


def results(run: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(run).items() if not name.startswith(OWN)}


def test_shards_are_merged_into_what_one_run_writes(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["validate", "--config", str(quick), "--report", "false", *QUICK]
    main([*command, "--run_dir", "whole"])
    for number in range(2):
        main([*command, "--shard", f"{number}/2"])
    shards = [f"runs/quick/shard-{number}-of-2" for number in range(2)]
    assert not Path(shards[0], "metrics.json").exists()
    assert "shards 1/2 of 2 are missing" in refused(["merge", shards[0], "--run_dir", "merged"], capsys)
    main(["merge", *shards, "--run_dir", "merged", *QUICK])
    assert results(Path("merged")) == results(Path("whole"))
    other = ["merge", *shards, "--run_dir", "merged", "--data.init_args.split_seed=5"]
    assert "already holds a run with other settings (split" in refused(other, capsys)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["validate", "--shard", "2/2"], "`shard` must be i/n with i from 0 to n - 1, got 2/2"),
        (["validate", "--shard", "half"], "`shard` must be i/n, such as 0/8"),
        (["validate", "--shard", "0/100"], "are 9 batches of 64; use at most 9 shards"),
        (["test", "--paths", "run", "--shard", "0/2"], "--shard is for validate and predict"),
        (["validate", "--paths", "run", "--shard", "0/2"], "--shard is for searches, and --paths tests paths"),
        (["validate", "--trainer.callbacks=null", "--shard", "0/2"], "--shard needs a NeuronPathSearch"),
    ],
)
def test_shards_that_cannot_be_are_refused(
    quick: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused([words[0], "--config", str(quick), *words[1:]], capsys)


def test_what_is_no_shard_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "must be a run folder with settings.json" in refused(["merge", "nothing", "--run_dir", "merged"], capsys)
    with pytest.raises(SystemExit):
        merge_command(["shard"])
    assert "--run_dir" in capsys.readouterr().err
