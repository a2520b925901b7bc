"""The command line: LightningCLI with a run folder, stored paths and images to predict."""

from __future__ import annotations

import argparse
import contextlib
import errno
import pkgutil
import sys
import textwrap
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from nplight.command_line_settings import CommandLineSettings
from nplight.command_options import OPTIONS, add_options, command_help, overview
from nplight.data import PathDataModule, Shard
from nplight.errors import ArgumentError, NplightError, UnsupportedModelError, listed
from nplight.merge_command import merge_command
from nplight.modules.lightning_checkpoint import check_lightning_checkpoint
from nplight.report import report_command
from nplight.report.planted_command import planted_command
from nplight.report.shrink_command import shrink_command
from nplight.run_logger import RunLogger
from nplight.store import RunFolder
from nplight.store.file_names import CONFIG
from nplight.terminal import silence, without_tips
from nplight.vit import open_vit

_RESTORING = "lightning.pytorch.trainer.connectors.checkpoint_connector"
"""Lightning's module that loads a `--ckpt_path`; a checkpoint of another model fails there."""


_VERSIONS = ("nplight", "torch", "torchvision", "lightning", "timm", "torchmetrics")
"""What `--version` tells: what a report of a fault needs."""
_WITHOUT_CONFIGURATION = {"report": report_command, "planted": planted_command, "shrink": shrink_command}
"""Commands with a parser of their own."""


class _Parser(LightningArgumentParser):
    """Reports errors without the usage text, and lists nplight's options in `--help`.

    Attributes:
        short_help: the text of `--help`; `None`: all options, as listed by jsonargparse.
    """

    short_help: str | None = None

    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """The text of `--help`."""
        return super().format_help(*args, **kwargs) if self.short_help is None else self.short_help

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        # Messages may contain whole configurations.
        lines = [textwrap.shorten(line, 200) for line in message.splitlines()]
        _end_with(_refusal(ex) or "\n  ".join([*lines, "Try the same command with --help for what is accepted."]))


class _HelpAll(argparse._HelpAction):  # by this class jsonargparse recognises that it is not a setting
    """Prints all options."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        """Print the options and exit."""
        _set_help(parser, None)
        super().__call__(parser, *args, **kwargs)


def _set_help(parser: argparse.ArgumentParser, text: str | None) -> None:
    if not isinstance(parser, _Parser):
        raise TypeError(f"the parsers must be made by `PathCLI.init_parser`, got {type(parser).__name__}")
    parser.short_help = text


class _SaveConfig(SaveConfigCallback):
    """Writes the configuration into the run folder, after the callbacks before it have accepted the folder."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Do nothing: the folder is checked later, when the run starts."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write `config.yaml`."""
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self.parser.save(self.config, folder / CONFIG, skip_none=False, overwrite=True, multifile=False)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save for `fit`."""
        self.save_config(trainer, pl_module, "fit")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save for `validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self.save_config(trainer, pl_module, "validate")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save for `test`."""
        self.save_config(trainer, pl_module, "test")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save for `predict`."""
        self.save_config(trainer, pl_module, "predict")


class PathCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` for models and data from a configuration file.

    For the options beyond Lightning's see `nplight.command_options.OPTIONS`.
    """

    def __init__(self, args: ArgsType = None) -> None:
        with contextlib.ExitStack() as self._terminal:
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

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse as LightningCLI, refuse values with which it would fail, and apply `--quiet`."""
        try:
            super().parse_arguments(parser, args)
        except UnicodeError as error:
            raise ArgumentError(f"--config must be a text file in UTF-8: {error}") from error
        except ValueError as error:
            raise ArgumentError(f"the command or its configuration cannot be read: {error}") from error
        config = self.config[self.config["subcommand"]]
        seed = config.seed_everything
        if not isinstance(seed, bool) and not 0 <= seed < 2**32:
            raise ArgumentError(f"--seed_everything must be an integer from 0 to 4294967295, got {seed}")
        if config.ckpt_path is not None:
            check_lightning_checkpoint(config.ckpt_path)
        if config.quiet:
            self._terminal.enter_context(silence())

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser with short error messages."""
        parser = _Parser(allow_abbrev=False, **kwargs)
        parser.add_argument("-c", "--config", action=ActionConfigFile, help=OPTIONS["config"].help)
        parser.add_argument("--help_all", action=_HelpAll, help=OPTIONS["help_all"].help)
        return parser

    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Set up the parsers with short helps."""
        super().setup_parser(*args, **kwargs)
        helps = {name: command_help(name) for name in self._subcommand_parsers}
        for parser, text in ((self.parser, overview()), *zip(self._subcommand_parsers.values(), helps.values())):
            _set_help(parser, text)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands, without Lightning's option `verbose`: nplight's has another meaning."""
        return {name: {*skipped, "verbose"} for name, skipped in LightningCLI.subcommands().items()}

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """The arguments of the Trainer's method, without Lightning's table of metrics, which repeats nplight's."""
        quiet = {"verbose": False} if subcommand in ("validate", "test") else {}
        return {**super()._prepare_subcommand_kwargs(subcommand), **quiet}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add nplight's options."""
        add_options(parser)
        parser.link_arguments("data.num_classes", "model.init_args.num_classes", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        """Refuse missing options, and choose the run folder."""
        subcommand: str = self.config["subcommand"]
        config = self.config[subcommand]
        for name in ("images", "paths", "shard", "top", "reference"):
            commands = OPTIONS[name].commands
            if config[name] and subcommand not in commands:
                raise ArgumentError(
                    f"--{name} is for {' and '.join(commands)}, got {_shown(config[name])} with {subcommand}; "
                    f"leave it out, or run {commands[-1]}"
                )
        if subcommand == "test" and config.paths is None:
            raise ArgumentError("test needs --paths, the run folder of a finished validate whose paths are tested")
        if subcommand == "fit" and config.fit_from_scratch:
            config.model.init_args["checkpoint"] = None
        if config.methods is not None:
            _set_methods(config.trainer.callbacks or [], config.methods)
        if config.reference is not None and config.top is None:
            raise ArgumentError("--reference is for --top, the number of images to list; give it too")
        if config.top is not None:
            config.trainer.callbacks = with_strange_paths(config.trainer.callbacks or [], config.top, config.reference)
        if config.report and subcommand != "fit":
            config.trainer.callbacks = with_report(config.trainer.callbacks or [])
        if config.quiet:
            config.trainer.enable_progress_bar = False
        if config.trainer.enable_progress_bar is False:
            config.trainer.callbacks = [
                callback for callback in config.trainer.callbacks or [] if "ProgressBar" not in callback.class_path
            ]
        self.shard = None if config.shard is None else _shard_of(config)
        self.run_dir = RunFolder(config.run_dir or _default_run_dir(config, subcommand, self.shard)).path

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose logger, callbacks and files use the run folder."""
        config = self.config_init[self.subcommand]
        if config.trainer.logger in (None, True):
            kwargs["logger"] = RunLogger(self.run_dir)
        try:
            trainer = super().instantiate_trainer(default_root_dir=self.run_dir, **kwargs)
        except (MisconfigurationException, ImportError, TypeError, ValueError) as error:
            raise ArgumentError(f"the Trainer refuses its settings: {_one_line(error)}") from error
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            settings = callback.command_line_settings if isinstance(callback, CommandLineSettings) else ()
            if "run_dir" in settings and callback.run_dir is None:
                callback.run_dir = self.run_dir
            if "paths" in settings and config.paths is not None:
                callback.paths = config.paths
            if "overwrite" in settings and config.overwrite:
                callback.overwrite = True
            if "verbose" in settings and config.verbose:
                callback.verbose = True
        return trainer

    def after_instantiate_classes(self) -> None:
        """Pass on the images to predict, and check the model against the data."""
        if self.subcommand != "fit" and getattr(self.model, "head_is_new", False):
            raise ArgumentError(
                f"`pretrained` weights are for other categories than the {self.datamodule.num_classes} of the data, so "
                f"that the head would be random; fit the model first and give its `checkpoint`"
            )
        if self.subcommand == "predict":
            self._set_images(self.config[self.subcommand].images)
        if self.shard is not None:
            if not isinstance(self.datamodule, PathDataModule):
                raise ArgumentError(
                    f"--shard needs a data module of nplight.data, whose images are numbered, got "
                    f"{type(self.datamodule).__name__}"
                )
            self.datamodule.shard = self.shard
        # The link of `num_classes` is ignored silently for a model without this argument.
        data_classes = getattr(self.datamodule, "num_classes", None)
        with contextlib.suppress(UnsupportedModelError):
            model_classes = open_vit(self.model).num_classes
            if data_classes is not None and model_classes != data_classes:
                raise ArgumentError(
                    f"the model tells {model_classes} categories apart, but the data has {data_classes}"
                )

    def _set_images(self, images: list[str]) -> None:
        if images:
            self.datamodule.predict_images = images
        elif not getattr(self.datamodule, "predicts_own_images", False):
            raise ArgumentError("predict needs --images, files or folders of images")


def main(args: ArgsType = None) -> None:
    """Run a command; errors of nplight end it with one line on stderr and exit status 2."""
    # From Lightning under torch 2.15; users cannot avoid it.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
    # `merge` runs another command than the words of the process.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
    # A repeated run rewrites its log, like its other files.
    warnings.filterwarnings("ignore", message="Experiment logs directory")
    # Otherwise other weights than requested would be evaluated; `fit` may start without a checkpoint.
    missing = r"\.(validate|test|predict)\(ckpt_path=\"last\"\) is set, but there is no last checkpoint"
    warnings.filterwarnings("error", message=missing)
    words = sys.argv[1:] if args is None else args
    try:
        if words == ["--version"]:
            print(", ".join(f"{name} {version(name)}" for name in _VERSIONS))
            return
        if isinstance(words, list) and words[:1] == ["merge"]:
            words = args = merge_command(words[1:])
        if isinstance(words, list) and words[:1] and words[0] in _WITHOUT_CONFIGURATION:
            _WITHOUT_CONFIGURATION[words[0]](words[1:])
        else:
            with without_tips():
                PathCLI(args)
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        _end_with(refusal)


def _refusal(error: BaseException | None) -> str | None:
    """The message of an error of nplight or Lightning, which the parser may have wrapped; `None` for other errors."""
    while error is not None:
        if isinstance(error, NplightError):
            return str(error)
        if isinstance(error, MisconfigurationException) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
            return _one_line(error)
        if any(frame.f_globals.get("__name__") == _RESTORING for frame, _ in traceback.walk_tb(error.__traceback__)):
            return f"--ckpt_path cannot be loaded: {_one_line(error)}"
        error = error.__cause__ or error.__context__
    return None


def _one_line(error: BaseException) -> str:
    return textwrap.shorten(str(error) or type(error).__name__, 300)


def _end_with(text: str) -> NoReturn:
    if text.startswith("Caught ") and "DataLoader worker" in text:  # the message is the last line of a traceback
        text = text.strip().splitlines()[-1].partition(": ")[2]
    print(f"error: {text}", file=sys.stderr)
    raise SystemExit(2) from None


def _shown(value: int | str | list[str]) -> str:
    return listed(value if isinstance(value, list) else [value])


def _set_methods(callbacks: list[Any], methods: list[Any]) -> None:
    """Set the methods of every search in a configuration."""
    for search in _searches(callbacks, "methods"):
        search.init_args["methods"] = methods


def _shard_of(config: Any) -> Shard:
    """The shard that `--shard` names."""
    _searches(config.trainer.callbacks or [], "shard")
    if config.paths is not None:
        raise ArgumentError("--shard is for searches, and --paths tests paths that are there; leave one out")
    return Shard.parse(config.shard)


def _searches(callbacks: list[Any], option: str) -> list[Any]:
    """The searches in a configuration, at least one."""
    kinds = [pkgutil.resolve_name(callback.class_path) for callback in callbacks]
    searches = [
        callback
        for callback, kind in zip(callbacks, kinds)
        if isinstance(kind, type) and issubclass(kind, CommandLineSettings) and "methods" in kind.command_line_settings
    ]
    if not searches:
        raise ArgumentError(f"--{option} needs a NeuronPathSearch among the callbacks of the configuration, got none")
    return searches


def with_report(callbacks: list[Any]) -> list[Any]:
    """The callbacks, with a `PathReport` added if there are results and no report yet."""
    names = [callback.class_path.rpartition(".")[2] for callback in callbacks]
    if "PathReport" in names or not {"NeuronPathSearch", "PathEvaluation"} & set(names):
        return callbacks
    return [*callbacks, Namespace(class_path="nplight.callbacks.PathReport", init_args=Namespace())]


def with_strange_paths(callbacks: list[Any], top: int, reference: str | None) -> list[Any]:
    """The callbacks, and a `StrangePaths` after them."""
    _searches(callbacks, "top")
    kept = [callback for callback in callbacks if callback.class_path.rpartition(".")[2] != "StrangePaths"]
    settings = Namespace(top=top, reference=reference)
    return [*kept, Namespace(class_path="nplight.callbacks.StrangePaths", init_args=settings)]


def _default_run_dir(config: Any, subcommand: str, shard: Shard | None) -> Path:
    files = config.get("config") or []
    if not files:
        raise ArgumentError("--run_dir must be given when there is no configuration file to name the run after")
    run = Path("runs") / Path(str(files[-1])).stem
    run = run if subcommand == "validate" else run / subcommand
    return run if shard is None else run / f"shard-{shard.number}-of-{shard.count}"
