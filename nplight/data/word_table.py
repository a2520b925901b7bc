"""Words of images: one value per image and word, from a table or from embeddings of images and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from nplight.data.batch import ImageBatch
from nplight.errors import ArgumentError, listed

_KEYS = ("index", "file")
_NPZ = ("images", "words", "names")


@dataclass(frozen=True, slots=True)
class WordTable:
    """Values of words for images.

    Attributes:
        words: the words, each once.
        values: (images, words), finite, on any scale; larger: the word fits the image better.
        index: (images,) int64, each image's number in the data, as in `ImageBatch.index`; `None`: by `files`.
        files: each image's file name, as in `ImageBatch.files`.

    Raises:
        ArgumentError: a shape is wrong, a value is not finite, a word has one value for all images, or a word or an
            image occurs twice.

    Examples:
        >>> import torch
        >>> from nplight.data import ImageBatch, WordTable
        >>> table = WordTable(("ink", "loops"), torch.tensor([[0.2, 0.0], [0.5, 1.0]]), index=torch.tensor([7, 3]))
        >>> batch = ImageBatch(torch.zeros(1, 3, 8, 8), torch.tensor([0]), index=torch.tensor([3]))
        >>> table.values[table.positions(batch)].tolist()
        [[0.5, 1.0]]
    """

    words: tuple[str, ...]
    values: Tensor
    index: Tensor | None = None
    files: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        keys = self.files if self.index is None else self.index.tolist()
        if keys is None or self.values.ndim != 2 or tuple(self.values.shape) != (len(keys), len(self.words)):
            raise ArgumentError(
                f"`values` must be (images, {len(self.words)}), one row per image of `index` or `files` and one column "
                f"per word, got shape {tuple(self.values.shape)} for {0 if keys is None else len(keys)} images"
            )
        if len(keys) < 2 or not self.words:
            raise ArgumentError(f"a word table must have at least two images and a word, got {len(keys)} images")
        for name, items in (("words", self.words), ("files" if self.index is None else "index", keys)):
            twice = [item for item, count in Counter(items).items() if count > 1]
            if twice:
                raise ArgumentError(f"`{name}` of a word table must be distinct, got some twice: {listed(twice)}")
        if not self.values.isfinite().all():
            raise ArgumentError("`values` of a word table must be finite, got NaN or infinite ones")
        constant = (self.values == self.values[:1]).all(0).tolist()
        if any(constant):
            names = [word for word, same in zip(self.words, constant) if same]
            raise ArgumentError(f"a word must differ between images, but these have one value for all: {listed(names)}")

    def __len__(self) -> int:
        return len(self.values)

    def positions(self, batch: ImageBatch) -> Tensor:
        """The row of each image of a batch: (images,) int64.

        Raises:
            ArgumentError: the batch says not which images it has, or an image has no row.
        """
        if self.index is not None:
            if batch.index is None:
                raise ArgumentError("the batches must have an `index`, by which the word table names its images")
            order = self.index.argsort()
            wanted = batch.index.cpu()
            place = torch.searchsorted(self.index[order], wanted).clamp(max=len(order) - 1)
            rows = order[place]
            missing = [str(number) for number in wanted[self.index[rows] != wanted].tolist()]
        else:
            if batch.files is None:
                raise ArgumentError("the batches must have files, by which the word table names its images")
            of_file = {file: row for row, file in enumerate(self.files or ())}
            missing = [file for file in batch.files if file not in of_file]
            rows = torch.tensor([of_file.get(file, 0) for file in batch.files])
        if missing:
            raise ArgumentError(f"the word table must have a row for every image, but has none for {listed(missing)}")
        return rows


def words_of_embeddings(images: Tensor, words: Tensor) -> Tensor:
    """The cosine of each image's embedding with each word's, such as those of CLIP.

    Args:
        images: (images, features), embeddings of images.
        words: (words, features), embeddings of words in the same space.

    Returns:
        (images, words), in [-1, 1].

    Raises:
        ArgumentError: the features differ.

    Examples:
        >>> import torch
        >>> from nplight.data import words_of_embeddings
        >>> images, words = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
        >>> words_of_embeddings(images, words).tolist()  # the same direction, another, the opposite
        [[1.0, 0.0, -1.0]]
    """
    if images.ndim != 2 or words.ndim != 2 or images.shape[1] != words.shape[1]:
        raise ArgumentError(
            f"`images` and `words` must be (images, features) and (words, features) of one space, got "
            f"{tuple(images.shape)} and {tuple(words.shape)}"
        )
    return normalize(images, dim=1) @ normalize(words, dim=1).T


def read_word_table(path: str | Path) -> WordTable:
    """Read a table of words.

    Args:
        path: a CSV file with a column `index` or `file` and one column of numbers per word; or an NPZ file with the
            embeddings `images` (images, features) and `words` (words, features), the words as `names` (words,), and
            `index` or `file` (images,).

    Raises:
        ArgumentError: the file cannot be read, or is neither.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> import pandas
        >>> from nplight.data import read_word_table
        >>> words = pandas.DataFrame({"index": [7, 3], "ink": [0.2, 0.5], "loops": [0, 1]})
        >>> with TemporaryDirectory() as folder:
        ...     words.to_csv(f"{folder}/words.csv", index=False)
        ...     table = read_word_table(f"{folder}/words.csv")
        >>> table.words, table.values.tolist()
        (('ink', 'loops'), [[0.2, 0.0], [0.5, 1.0]])
    """
    path = Path(path)
    try:
        table = _embedded(path) if path.suffix == ".npz" else _tabled(path)
    except (OSError, ValueError, BadZipFile, UnicodeError) as error:
        if isinstance(error, ArgumentError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(f"`names` must be a CSV or NPZ file with words of images, got {path}: {reason}") from error
    return table


def _tabled(path: Path) -> WordTable:
    import pandas as pd  # imported here: slow

    frame = pd.read_csv(path)
    key = _key(path, list(frame.columns))
    values = frame.drop(columns=[key])
    text = [name for name in values.columns if not pd.api.types.is_numeric_dtype(values[name])]
    if text:
        raise ArgumentError(f"the words of {path} must be columns of numbers, but these hold text: {listed(text)}")
    return _keyed(key, frame[key].to_numpy(), tuple(map(str, values.columns)), torch.tensor(values.to_numpy(float)))


def _embedded(path: Path) -> WordTable:
    with np.load(path, allow_pickle=False) as content:
        missing = [name for name in _NPZ if name not in content]
        if missing:
            raise ArgumentError(f"{path} must have the arrays {listed(_NPZ)}, but lacks {listed(missing)}")
        key = _key(path, list(content))
        images, words = (torch.tensor(np.asarray(content[name], dtype=np.float64)) for name in ("images", "words"))
        return _keyed(key, content[key], tuple(map(str, content["names"])), words_of_embeddings(images, words))


def _key(path: Path, names: Sequence[str]) -> str:
    keys = [name for name in _KEYS if name in names]
    if len(keys) != 1:
        raise ArgumentError(f"{path} must name its images by `index` or `file`, got {listed(keys) or 'neither'}")
    return keys[0]


def _keyed(key: str, keys: np.ndarray, words: tuple[str, ...], values: Tensor) -> WordTable:
    if key == "file":
        return WordTable(words, values, files=tuple(map(str, keys)))
    if not np.issubdtype(keys.dtype, np.integer):
        raise ArgumentError(f"`index` of a word table must be whole numbers, got {keys.dtype}")
    return WordTable(words, values, index=torch.tensor(keys.astype(np.int64)))
