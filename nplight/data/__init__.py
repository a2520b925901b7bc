"""Images: data modules with a discover and a held-out split."""

from nplight.data.batch import ImageBatch, read_batch, with_index
from nplight.data.digits import Digits, DigitsDataModule
from nplight.data.image_files import ImageFiles
from nplight.data.module import PathDataModule
from nplight.data.split import stratified_split

__all__ = [
    "Digits",
    "DigitsDataModule",
    "ImageBatch",
    "ImageFiles",
    "PathDataModule",
    "read_batch",
    "stratified_split",
    "with_index",
]
