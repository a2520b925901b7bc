"""The commands of the command line, their options, and the short help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

__all__ = ["COMMANDS", "OPTIONS", "Option", "add_options", "command_help", "overview", "program"]

COMMANDS: Mapping[str, str] = {
    "validate": "find the neuron paths of images and categories, and test them on held-out images",
    "test": "test the category paths of a finished run on the test images, without a search",
    "predict": "find the neuron paths of images without labels",
    "fit": "train or fine-tune the Vision Transformer",
    "merge": "put the runs of --shard i/n together, and finish them as one run",
    "report": "write the page of a finished run again, and its figures",
    "planted": "judge methods by models whose neuron paths are known",
    "shrink": "make the model of a finished run smaller, and measure it",
}
"""Command -> description, in the order of the help."""

_RUNS = ("validate", "test", "predict", "fit")
_FLAG: Mapping[str, Any] = {"type": bool, "nargs": "?", "const": True}

_ELSEWHERE = """\
any entry of the configuration file can be set or overridden:
  --data.init_args.NAME VALUE    such as --data.init_args.batch_size 256
  --model.init_args.NAME VALUE   such as --model.init_args.checkpoint FILE
  --trainer.NAME VALUE           such as --trainer.accelerator gpu
  --data.help CLASS, --model.help CLASS, --trainer.callbacks.help CLASS
                                 the arguments of a class, such as nplight.callbacks.NeuronPathSearch
"""


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Attributes:
        help: its description.
        metavar: the placeholder of its value.
        commands: the commands that accept it.
        settings: the arguments of `add_argument`, for an option of nplight; empty for one of Lightning.
        short: its short name.
    """

    help: str
    metavar: str | None = None
    commands: tuple[str, ...] = _RUNS
    settings: Mapping[str, Any] = field(default_factory=dict)
    short: str | None = None

    @property
    def help_arguments(self) -> dict[str, Any]:
        """The arguments of `add_argument` in the parser of the short help."""
        if self.settings.get("nargs") == "?" or self.metavar is None:
            return {"action": "store_true", "help": self.help}
        return {"metavar": self.metavar, "nargs": self.settings.get("nargs"), "help": self.help}


OPTIONS: Mapping[str, Option] = {
    "config": Option("a configuration file, in YAML", "FILE", short="-c"),
    "images": Option("files and folders of images", "FILE", ("predict",), {"type": str, "nargs": "*", "default": []}),
    "paths": Option(
        "the finished run whose category paths are tested",
        "RUN",
        ("validate", "test"),
        {"type": str | None, "default": None},
    ),
    "methods": Option(
        "the searches to compare, such as [jas,random], in place of the configuration's",
        "LIST",
        ("validate", "predict"),
        {"type": list[str | dict[str, Any]] | None, "default": None},
    ),
    "shard": Option(
        "search one n-th of the images only, i from 0 to n - 1, in a run folder of its own; `merge` puts them together",
        "i/n",
        ("validate", "predict"),
        {"type": str | None, "default": None},
    ),
    "top": Option(
        "list the N images whose paths are least like those of their predicted category, in strangest.csv",
        "N",
        ("predict",),
        {"type": int | None, "default": None},
    ),
    "reference": Option(
        "for --top: compare the paths with those of this finished validate, not with each other",
        "RUN",
        ("predict",),
        {"type": str | None, "default": None},
    ),
    "fit_from_scratch": Option(
        "start from new weights, not from the model's checkpoint",
        commands=("fit",),
        settings={**_FLAG, "default": False},
    ),
    "run_dir": Option(
        "the folder of the results; by default runs/NAME after the configuration file, and its subfolders fit/, test/ "
        "and predict/ for these commands",
        "DIR",
        settings={"type": str | None, "default": None},
    ),
    "overwrite": Option(
        "replace the results in the run folder, also those of other settings",
        settings={**_FLAG, "default": False},
    ),
    "report": Option(
        "write report.html into the run folder, the default; --report false omits it",
        commands=("validate", "test", "predict"),
        settings={**_FLAG, "default": True},
    ),
    "verbose": Option(
        "print every measure under every condition, and the comparison of searches",
        commands=("validate", "test", "fit"),
        settings={**_FLAG, "default": False},
    ),
    "quiet": Option("print warnings and errors only", settings={**_FLAG, "default": False}),
    "ckpt_path": Option("a checkpoint written by Lightning, whose weights are used; fit resumes from it", "FILE"),
    "seed_everything": Option("the seed of all random numbers, 0 by default", "SEED"),
    "print_config": Option("print the whole configuration, and exit"),
    "help": Option("show this, and exit", short="-h"),
    "help_all": Option("show every option, including those of Lightning's Trainer, and exit"),
}
"""Name -> option, in the order of the short help."""


def add_options(parser: Any) -> None:
    """Add nplight's options to a parser of jsonargparse."""
    for name, option in OPTIONS.items():
        if option.settings:
            parser.add_argument(f"--{name}", help=option.help, **option.settings)


def command_help(command: str) -> str:
    """The short help of a command, without the options of the Trainer, the model and the data."""
    parser = argparse.ArgumentParser(
        usage=f"{program()} {command} --config FILE [options]",
        description=COMMANDS[command],
        epilog=_ELSEWHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    for name, option in OPTIONS.items():
        if command in option.commands:
            names = [option.short, f"--{name}"] if option.short else [f"--{name}"]
            parser.add_argument(*names, **option.help_arguments)
    return parser.format_help()


def program() -> str:
    """What runs: `nplight`, the installed command, or `train.py`."""
    return "nplight" if PurePath(sys.argv[0]).stem == "nplight" else "train.py"


def overview() -> str:
    """The help of the program: one line per command."""
    name, width = program(), max(map(len, COMMANDS))
    lines = [f"  {command:{width}}   {text}" for command, text in COMMANDS.items()]
    return "\n".join(
        [
            "Find and test the neuron paths of a Vision Transformer.",
            "",
            f"usage: {name} COMMAND --config configs/NAME.yaml [options]",
            f"       {name} merge RUN... --run_dir DIR [options]",
            f"       {name} report RUN [--figures DIR]",
            f"       {name} planted [--methods NAMES] [--models NAMES] [--objective NAME]",
            f"       {name} shrink RUN [--keep SHARE] [--by NAME]",
            "",
            "commands:",
            *lines,
            "",
            f"`{name} COMMAND --help` lists the options of a command; `{name} --version` tells the versions.",
            "",
        ]
    )
