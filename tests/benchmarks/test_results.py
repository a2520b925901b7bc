from __future__ import annotations

import re
from pathlib import Path

from nplight.data import DigitsDataModule

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


def test_the_page_counts_the_digits_as_the_data_module_splits_them() -> None:
    data = DigitsDataModule()
    pattern = r"trained on ([\d,]+) digits\).*found on ([\d,]+) digits.*tested on ([\d,]+) others"
    counts = re.search(pattern, PAGE.read_text(), re.DOTALL)
    assert counts is not None
    found = [int(count.replace(",", "")) for count in counts.groups()]
    assert found == [len(data.train_data()), *(len(split) for split in data.splits())]  # type: ignore[arg-type]
