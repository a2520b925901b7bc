from __future__ import annotations

from pathlib import Path

from nplight.run_logger import RunLogger


def test_nothing_is_opened_or_deleted_before_the_first_metrics(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "metrics.csv"
    log.parent.mkdir()
    log.write_text("of an earlier run")
    logger = RunLogger(tmp_path)
    logger.log_hyperparams({"batch_size": 8})
    logger.save()
    assert logger.experiment is None
    assert [path.name for path in log.parent.iterdir()] == [log.name]
    assert log.read_text() == "of an earlier run"


def test_hyperparameters_are_written_with_the_first_metrics(tmp_path: Path) -> None:
    logger = RunLogger(tmp_path)
    logger.log_hyperparams({"batch_size": 8})
    logger.log_metrics({"accuracy": 0.5}, step=3)
    logger.save()
    assert "batch_size: 8" in (tmp_path / "logs" / "hparams.yaml").read_text()
    assert (tmp_path / "logs" / "metrics.csv").read_text().split() == ["accuracy,step", "0.5,3"]
