"""Data modules for images, with a discover and a held-out split."""

from nplight.data.batch import ImageBatch, batch_reader, labels_of, read_batch, with_index
from nplight.data.cifar import CIFAR10DataModule, CIFAR100DataModule
from nplight.data.digits import Digits, DigitsDataModule
from nplight.data.image_digest import ImageDigest
from nplight.data.image_files import ImageFiles
from nplight.data.image_folder import ImageFolderDataModule
from nplight.data.image_sample import ImageSample, SampledImages, stratified_choice
from nplight.data.labelled import ImageSource, LabelledDataModule, LabelledImages
from nplight.data.module import PathDataModule
from nplight.data.named import DATASETS, NamedDataModule, open_source
from nplight.data.perturbations import PERTURBATIONS, SEVERITIES, perturbed
from nplight.data.pixel_scale import PixelScale
from nplight.data.preprocessing import Preprocessing
from nplight.data.sampler import EachOnceSampler, check_each_once, shuffles
from nplight.data.shard import Shard
from nplight.data.split import stratified_split
from nplight.data.stream import StreamDataModule, hashed_split
from nplight.data.word_table import WordTable, read_word_table, words_of_embeddings

__all__ = [
    "DATASETS",
    "CIFAR100DataModule",
    "CIFAR10DataModule",
    "Digits",
    "DigitsDataModule",
    "EachOnceSampler",
    "ImageBatch",
    "ImageDigest",
    "ImageFiles",
    "ImageFolderDataModule",
    "ImageSample",
    "ImageSource",
    "LabelledDataModule",
    "LabelledImages",
    "NamedDataModule",
    "PERTURBATIONS",
    "PathDataModule",
    "PixelScale",
    "Preprocessing",
    "SEVERITIES",
    "SampledImages",
    "Shard",
    "StreamDataModule",
    "WordTable",
    "batch_reader",
    "check_each_once",
    "hashed_split",
    "labels_of",
    "open_source",
    "perturbed",
    "read_batch",
    "read_word_table",
    "shuffles",
    "stratified_choice",
    "stratified_split",
    "with_index",
    "words_of_embeddings",
]
