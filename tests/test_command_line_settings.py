from __future__ import annotations

import nplight.callbacks
from nplight.command_line_settings import CommandLineSettings
from nplight.command_options import OPTIONS


def test_callbacks_take_settings_that_are_options_of_the_command_line() -> None:
    callbacks = [getattr(nplight.callbacks, name) for name in nplight.callbacks.__all__]
    takers = [kind for kind in callbacks if isinstance(kind, type) and issubclass(kind, CommandLineSettings)]
    assert len(takers) > 2
    for kind in takers:
        assert kind.command_line_settings >= CommandLineSettings.command_line_settings
        assert kind.command_line_settings <= set(OPTIONS)
