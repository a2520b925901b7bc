"""Tables of words, from files and from embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nplight.data import ImageBatch, WordTable, read_word_table, words_of_embeddings
from nplight.errors import ArgumentError

VALUES = torch.tensor([[1.0, 5.0], [2.0, 5.5], [3.0, 4.0]], dtype=torch.float64)
IMAGES = torch.zeros(2, 3, 4, 4)


def table(**changed: Any) -> WordTable:
    given = {"words": ("loops", "ink"), "values": VALUES, "index": torch.tensor([7, 3, 5])}
    return WordTable(**{**given, **changed})


def test_an_image_is_found_by_its_index_or_file() -> None:
    batch = ImageBatch(IMAGES, index=torch.tensor([5, 7]), files=("b", "a"))
    assert table().positions(batch).tolist() == [2, 0]
    assert table(index=None, files=("a", "b", "c")).positions(batch).tolist() == [1, 0]


def test_an_image_without_words_is_refused() -> None:
    with pytest.raises(ArgumentError, match="must have a row for every image, but has none for 4, 9"):
        table().positions(ImageBatch(IMAGES, index=torch.tensor([4, 9])))
    with pytest.raises(ArgumentError, match="must have a row for every image, but has none for z"):
        table(index=None, files=("a", "b", "c")).positions(ImageBatch(IMAGES, files=("a", "z")))
    with pytest.raises(ArgumentError, match="the batches must have an `index`"):
        table().positions(ImageBatch(IMAGES))
    with pytest.raises(ArgumentError, match="the batches must have files"):
        table(index=None, files=("a", "b", "c")).positions(ImageBatch(IMAGES))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"words": ("loops",)}, r"`values` must be \(images, 1\)"),
        ({"index": None}, "for 0 images"),
        ({"index": torch.tensor([7])}, "for 1 images"),
        ({"words": ("loops", "loops")}, "`words` of a word table must be distinct, got some twice: loops"),
        ({"index": torch.tensor([7, 3, 7])}, "`index` of a word table must be distinct, got some twice: 7"),
        ({"values": VALUES * torch.nan}, "must be finite"),
        ({"values": VALUES * torch.tensor([1, 0])}, "these have one value for all: ink"),
        ({"values": VALUES[:1], "index": torch.tensor([7])}, "at least two images and a word, got 1 images"),
    ],
)
def test_a_wrong_table_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        table(**changed)


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("loops,index,ink\n1,7,5\n2,3,5.5\n3,5,4\n")
    read = read_word_table(tmp_path / "a.csv")
    assert read.words == ("loops", "ink")
    assert torch.equal(read.values, VALUES)
    assert read.index is not None
    assert read.index.tolist() == [7, 3, 5]
    (tmp_path / "b.csv").write_text("file,loops\na,1\nb,2\n")
    assert read_word_table(tmp_path / "b.csv").files == ("a", "b")


def test_embeddings_give_cosines(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images, words = generator.normal(size=(3, 8)), generator.normal(size=(2, 8))
    path = tmp_path / "clip.npz"
    np.savez(path, images=images, words=words, names=np.array(["loops", "ink"]), index=np.array([7, 3, 5]))
    read = read_word_table(path)
    wanted = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in words] for a in images]
    assert read.values.numpy() == pytest.approx(np.array(wanted))
    with pytest.raises(ArgumentError, match=r"\(images, features\) and \(words, features\) of one space"):
        words_of_embeddings(torch.zeros(3, 4), torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "loops\n1\n2\n", "must name its images by `index` or `file`, got neither"),
        ("a.csv", "index,file,loops\n1,a,2\n", "must name its images by `index` or `file`, got index, file"),
        ("a.csv", "index,loops\n1,many\n2,few\n", "must be columns of numbers, but these hold text: loops"),
        ("a.csv", "index,loops\n1,\n2,3\n", "must be finite"),
        ("a.csv", "index,loops\n1.5,1\n2,3\n", "`index` of a word table must be whole numbers"),
        ("a.csv", "", "`names` must be a CSV or NPZ file with words of images, got .*: No columns"),
        ("a.npz", "text", "`names` must be a CSV or NPZ file with words of images, got"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ArgumentError, match=message):
        read_word_table(tmp_path / name)


def test_a_missing_file_or_array_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"got .*none\.csv: .*No such file"):
        read_word_table(tmp_path / "none.csv")
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="must have the arrays images, words, names, but lacks words, names"):
        read_word_table(tmp_path / "a.npz")
