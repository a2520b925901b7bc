"""The words of the digits are what their pixels say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nplight.data import read_word_table

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("digit_strokes")


def drawn(*rows: str) -> np.ndarray:
    return np.array([[float(letter == "#") for letter in row] for row in rows])


def test_loops_are_counted(example: ModuleType) -> None:
    assert example.loops(drawn("....", ".#..", ".#..", "....")) == 0
    assert example.loops(drawn("###.", "#.#.", "###.", "....")) == 1
    assert example.loops(drawn("###", "#.#", "###", "#.#", "###")) == 2
    assert example.loops(drawn("###", "#.#", "#..")) == 0


def test_a_slash_is_slanted_to_the_right_and_a_wide_stroke_wide(example: ModuleType) -> None:
    slash = drawn("...#", "..#.", ".#..", "#...")
    assert example.slant(slash) == pytest.approx(1)
    assert example.slant(slash[:, ::-1]) == pytest.approx(-1)
    assert example.slant(drawn(".#..", ".#..", ".#..")) == 0
    assert example.width(drawn("#.#")) == pytest.approx(1)
    assert example.width(drawn("#...#")) == pytest.approx(2)
    assert example.ink(drawn("#...")) == 0.25


def test_the_table_has_every_digit(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["digit_strokes.py", str(tmp_path / "strokes.csv")])
    example.main()
    table = read_word_table(tmp_path / "strokes.csv")
    assert table.words == ("much ink", "wide", "slanted right", "loops")
    assert table.index is not None
    assert table.index.tolist() == list(range(1797))
    loops, target = table.values[:, 3].numpy(), load_digits().target
    means = [float(loops[target == digit].mean()) for digit in range(10)]
    assert int(np.argmax(means)) == 8
    assert means[0] > 0.9
    assert means[1] < 0.1
