from __future__ import annotations

from pathlib import Path

import pytest

from nplight.errors import ArgumentError
from tests.data.samples import data_of, samples, save


def test_a_file_of_class_names_gives_the_order_and_readable_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("dog\tthe dog, barking\n\ncat\n")
    data = data_of(folder, class_names=str(tmp_path / "names.txt"))
    assert data.class_names == ("the dog, barking", "cat")
    assert [sample["label"] for sample in samples(data)] == [1] * 5 + [0] * 4


def test_a_class_folder_may_have_spaces_in_its_name(tmp_path: Path) -> None:
    for name in ("great white shark", "great"):
        for number in range(2):
            save(tmp_path / "images" / name / f"{number}.jpg")
    (tmp_path / "names.txt").write_text("great white shark\ngreat\n")
    assert data_of(tmp_path / "images", class_names=str(tmp_path / "names.txt")).class_names == (
        "great white shark",
        "great",
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("dog\ncat\ndog again\n", "names.txt names twice: dog"),
        ("dog\ncow\n", "names.txt lacks: cat; has, but there is no such class folder: cow"),
        ("", "lacks: cat, dog"),
    ],
)
def test_class_names_that_do_not_match_are_refused(folder: Path, tmp_path: Path, lines: str, reason: str) -> None:
    (tmp_path / "names.txt").write_text(lines)
    with pytest.raises(ArgumentError, match=rf"`class_names` must name every class folder once, but .*{reason}"):
        data_of(folder, class_names=str(tmp_path / "names.txt"))


def test_class_names_that_cannot_be_read_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"`class_names` must be a text file .*nowhere is none"):
        data_of(folder, class_names="nowhere")
    with pytest.raises(ArgumentError, match="`class_names` must be a text file in UTF-8"):
        data_of(folder, class_names=str(folder / "cat" / "b.jpg"))


@pytest.mark.parametrize("argument", ["folder", "train_folder"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "nowhere does not exist"),
        ("images/readme.md", "readme.md is a file"),
        ("images/dog", "dog holds no folder"),
    ],
)
def test_a_folder_that_has_no_class_folders_is_refused(folder: Path, argument: str, path: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{argument}` must be a folder with a folder of images .*{reason}"):
        data_of(folder, **{argument: str(folder.parent / path)}).setup("fit")
