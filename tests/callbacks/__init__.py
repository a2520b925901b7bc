"""The callbacks; the asserts of the helpers tell their values too."""

import pytest

pytest.register_assert_rewrite("tests.callbacks.digits_project", "tests.callbacks.small_runs")
