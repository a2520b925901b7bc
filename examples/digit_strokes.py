"""Words for the digits, measured from their pixels: how much ink, how wide, how slanted, how many loops.

    python examples/digit_strokes.py strokes.csv
    python train.py validate --config configs/digits.yaml
    python train.py report runs/digits --names strokes.csv    # neurons named by the word they agree with best

The table has one row per image and one column per word; any other measurements, or the answers of people, do as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import label
from sklearn.datasets import load_digits

Scan = npt.NDArray[np.float64]


def ink(scan: Scan) -> float:
    """Mean grey level, in [0, 1]."""
    return float(scan.mean())


def width(scan: Scan) -> float:
    """Standard deviation of the ink across, in pixels."""
    across = np.arange(scan.shape[1])
    share = scan.sum(0) / scan.sum()
    return float(np.sqrt((share * (across - share @ across) ** 2).sum()))


def slant(scan: Scan) -> float:
    """How far the ink moves to the right per pixel upwards; 0 for an upright stroke, positive for a slash `/`."""
    down, across = np.indices(scan.shape)
    weight = scan / scan.sum()
    y, x = down - (weight * down).sum(), across - (weight * across).sum()
    return float(-(weight * x * y).sum() / (weight * y * y).sum())


def loops(scan: Scan) -> float:
    """Number of regions of paper that ink encloses."""
    paper = np.pad(scan < 0.35, 1, constant_values=True)
    _, regions = label(paper)  # neighbours above, below, left and right
    return float(regions - 1)


WORDS = {"much ink": ink, "wide": width, "slanted right": slant, "loops": loops}


def strokes(scans: npt.NDArray[np.float64]) -> pd.DataFrame:
    """The table of words of scans (images, 8, 8) in [0, 1], with the number of each in `index`."""
    columns = {word: [measure(scan) for scan in scans] for word, measure in WORDS.items()}
    return pd.DataFrame({"index": np.arange(len(scans)), **columns})


def main() -> None:
    """Write the table of all digits."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("table", type=Path, help="the CSV file to write")
    table = strokes(load_digits().images / 16)
    table.to_csv(parser.parse_args().table, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
