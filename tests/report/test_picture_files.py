from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from nplight.cli import main
from nplight.errors import ArgumentError
from nplight.report import read_run
from nplight.report.picture_files import write_picture_files
from tests.report.samples import data_of, decoded, write_run


def test_every_neuron_with_pictures_has_a_file(finished: Path, tmp_path: Path) -> None:
    run = read_run(finished)
    target = tmp_path / "a folder"
    files = write_picture_files(run, target)
    drivers = run.pictures["drivers"]
    assert [path.name for path in files] == [f"L{one['layer']}N{one['neuron']}.png" for one in drivers]
    for driver, path in zip(drivers[:5], files):
        sheet = np.array(Image.open(path))
        first = decoded(run.pictures["pictures"][driver["images"][0][0]]["source"])[:3].permute(1, 2, 0).numpy()
        size = 128 // first.shape[0]
        tile = sheet[8 : 8 + 128, 8 : 8 + 128]
        assert np.array_equal(tile[size // 2 :: size, size // 2 :: size], first)
        # The heat map is lightest where the neuron's value is largest.
        patches = np.array(driver["images"][0][2]).reshape(run.pictures["grid"])
        rows, columns = (128 // cells for cells in patches.shape)
        heat = sheet[8 : 8 + 128, 136 : 136 + 128].astype(float) - tile * 0.45
        means = heat.reshape(patches.shape[0], rows, patches.shape[1], columns, 3).mean((1, 3, 4))
        assert np.unravel_index(means.argmax(), means.shape) == np.unravel_index(patches.argmax(), patches.shape)


def test_the_page_has_links_to_them(finished: Path, tmp_path: Path) -> None:
    before = (finished / "report.html").read_bytes()
    target = tmp_path / "pictures & more"
    main(["report", str(finished), "--pictures", str(target), "--quiet"])
    files = data_of((finished / "report.html").read_text())["pictureFiles"]
    assert (finished / unquote(files)).resolve() == target.resolve()
    (finished / "report.html").write_bytes(before)


def test_a_run_without_pictures_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=2)
    with pytest.raises(ArgumentError, match=r"`--pictures` needs a run with pictures of neurons, and .* has none"):
        write_picture_files(read_run(tmp_path), tmp_path / "pictures")


def test_a_folder_that_cannot_be_written_to_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="`--pictures` must be a folder that can be written to"):
        write_picture_files(read_run(finished), tmp_path / "file")
