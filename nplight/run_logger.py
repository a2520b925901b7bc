"""Lightning's CSV logger, harmless until there is something to log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger


class RunLogger(CSVLogger):
    """Logs to `logs/` of a run folder.

    Lightning opens every logger before the callbacks' `setup`, and an opened CSV logger deletes the log of an earlier
    run. This one opens with its first entry, so that a run that is refused in `setup` loses nothing.

    Args:
        run_dir: the run folder.
    """

    def __init__(self, run_dir: str | Path) -> None:
        super().__init__(run_dir, name="logs", version="")
        self._begun = False

    @property
    def experiment(self) -> Any:
        """Lightning's writer, once something was logged."""
        return super().experiment if self._begun else None

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Log the hyperparameters of model and data."""
        self._begun = True
        super().log_hyperparams(*args, **kwargs)

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log metrics of a step."""
        self._begun = True
        super().log_metrics(*args, **kwargs)
