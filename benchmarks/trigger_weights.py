"""Train the bundled weights of the trigger models anew: some 20 to 40 seconds per model and seed on two cores.

    python -m benchmarks.trigger_weights

Another machine's rounding gives other weights of the same quality.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from nplight.planted.trigger import write_trigger_weights


def main(output: str = "nplight/planted/bundled/trigger.safetensors") -> None:
    """Train and write them.

    Args:
        output: the file.
    """
    write_trigger_weights(Path(output))


if __name__ == "__main__":
    auto_cli(main)
