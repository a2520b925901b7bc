"""The command line: Lightning's, with a run folder, stored paths and images to predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback

from nplight.errors import ArgumentError, NplightError


class _Parser(LightningArgumentParser):
    """Says what is wrong, not seventy lines of usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        print(f"error: {message}\nTry the same command with --help for what is accepted.", file=sys.stderr)
        raise SystemExit(2)


class _SaveConfig(SaveConfigCallback):
    """Keeps the configuration of the run in its folder."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(self.config, folder / "config.yaml", skip_none=False, overwrite=True, multifile=False)


class PathCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` for models and data from a configuration file.

    Arguments beyond Lightning's:
        --run_dir: where results go.
        --fit_from_scratch: `fit` does not start from the model's `checkpoint`, which the other commands evaluate.
        --paths: for `test`, the run whose category paths are tested.
        --images: for `predict`, files and folders of images.
    """

    def __init__(self, args: ArgsType = None) -> None:
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=_SaveConfig,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=args,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser with short errors."""
        parser = _Parser(**kwargs)
        parser.add_argument("-c", "--config", action=ActionConfigFile, help="a configuration file, in YAML")
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add nplight's arguments."""
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="where results go; by default runs/NAME after the configuration file, and inside it fit/, test/ and "
            "predict/ for the other commands",
        )
        parser.add_argument(
            "--fit_from_scratch",
            type=bool,
            default=False,
            help="fit starts from new weights, not from the model's checkpoint",
        )
        parser.add_argument("--paths", type=str | None, default=None, help="test: the run whose paths are tested")
        parser.add_argument(
            "--images", type=list[str] | None, default=None, help="predict: files and folders of images"
        )
        parser.link_arguments("data.num_classes", "model.init_args.num_classes", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        """Put the run folder, the stored paths and the images where they are used."""
        assert self.subcommand is not None
        config = self.config[self.subcommand]
        if config.run_dir is None:
            config.run_dir = str(_default_run_dir(config, self.subcommand))
        config.trainer.default_root_dir = config.run_dir
        if config.trainer.logger in (None, True):
            config.trainer.logger = [_csv_logger(config.run_dir)]
        if self.subcommand == "fit" and config.fit_from_scratch:
            config.model.init_args["checkpoint"] = None
        if self.subcommand == "test" and config.paths is None:
            raise ArgumentError("test needs --paths, the run folder of a finished validate whose paths are tested")
        if self.subcommand == "predict":
            if not config.images:
                raise ArgumentError("predict needs --images, files or folders of images")
            config.data.init_args["predict_images"] = config.images
        if config.trainer.enable_progress_bar is False:
            config.trainer.callbacks = [
                callback for callback in config.trainer.callbacks or [] if "ProgressBar" not in callback.class_path
            ]
        for callback in config.trainer.callbacks or []:
            arguments = callback.get("init_args") or {}
            if "run_dir" in arguments and arguments["run_dir"] is None:
                arguments["run_dir"] = config.run_dir
            if "paths" in arguments and config.paths is not None:
                arguments["paths"] = config.paths

    def after_instantiate_classes(self) -> None:
        """A model class without `num_classes` would be left unlinked in silence: compare."""
        wanted = getattr(self.datamodule, "num_classes", None)
        found = getattr(self.model.hparams, "num_classes", wanted)
        if wanted is not None and found != wanted:
            raise ArgumentError(f"the model tells {found} categories apart, but the data has {wanted}")


def main(args: ArgsType = None) -> None:
    """Run a command; what nplight refuses ends it with one line on stderr and exit status 2."""
    try:
        PathCLI(args)
    except NplightError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _csv_logger(run_dir: str) -> Namespace:
    arguments = Namespace(save_dir=run_dir, name="logs", version="")
    return Namespace(class_path="lightning.pytorch.loggers.CSVLogger", init_args=arguments)


def _default_run_dir(config: Any, subcommand: str) -> Path:
    files = config.get("config") or []
    if not files:
        raise ArgumentError("--run_dir must be given when there is no configuration file to name the run after")
    run = Path("runs") / Path(str(files[-1])).stem
    return run if subcommand == "validate" else run / subcommand
