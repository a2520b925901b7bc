from __future__ import annotations

from pathlib import Path
from typing import Any

from nplight.report import log_figures, read_run


class WandbLogger:
    """Stands for Lightning's, which needs a package and an account."""

    def __init__(self) -> None:
        self.experiment = self
        self.logged: dict[str, Any] = {}

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values


class MLFlowLogger:
    run_id = "7"

    def __init__(self) -> None:
        self.experiment = self
        self.logged: dict[str, Any] = {}

    def log_figure(self, run: str, figure: Any, name: str) -> None:
        self.logged[f"{run} {name}"] = figure


def test_loggers_that_take_figures_get_them(finished: Path) -> None:
    run, wandb, mlflow = read_run(finished), WandbLogger(), MLFlowLogger()
    assert log_figures([wandb, object(), mlflow], run, step=3) == ["WandbLogger", "MLFlowLogger"]
    assert set(wandb.logged) == {
        "paths/normalised",
        "paths/dose",
        "paths/depth",
        "paths/pruning",
        "paths/faithfulness",
        "paths/selectivity",
        "paths/stability",
        "paths/sanity",
        "trainer/global_step",
    }
    assert set(mlflow.logged) == {f"7 {name}.html" for name in wandb.logged if name.startswith("paths/")}
