"""From an image file's pixels to the tensor that a model takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform, resolve_model_data_config
from torch import Tensor, nn
from torchvision.transforms import Compose

from nplight.errors import ArgumentError, check_at_least, check_choice, listed

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
CROP_MODES = ("center", "squash", "border")
# More than 8 bits a pixel: PIL would clip at 255 whatever the range is.
_DEEP_MODES = ("I", "F")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How images are resized, cropped and normalised; the terms and the arithmetic are timm's.

    Attributes:
        image_size: height and width of the result, pixels.
        mean: of each channel, for pixels in [0, 1]; subtracted.
        std: of each channel, for pixels in [0, 1]; divided by.
        interpolation: one of `INTERPOLATIONS`, antialiased.
        crop_pct: share of the resized image's edges that the crop keeps, in (0, 1].
        crop_mode: `center` resizes the shorter edge and crops, `squash` resizes both and gives up the aspect ratio,
            `border` resizes the longer edge and pads with the mean.

    Raises:
        ArgumentError: a value breaks its rule.
    """

    image_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    def __post_init__(self) -> None:
        # Lists, and one number for a square, are what a configuration file has.
        square = isinstance(self.image_size, int)
        size = (self.image_size,) * 2 if square else self._tuple("image_size", "height and width", 2)
        for edge in size:
            check_at_least("image_size", edge, 1)
        object.__setattr__(self, "image_size", size)
        for name in ("mean", "std"):
            values = self._tuple(name, "a number for each of red, green and blue", 3)
            object.__setattr__(self, name, tuple(map(float, values)))
        if min(self.std) <= 0:
            raise ArgumentError(f"`std` must be above 0 for each channel, got {self.std}")
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("crop_mode", self.crop_mode, CROP_MODES)
        if not _is_number(self.crop_pct) or not 0 < self.crop_pct <= 1:
            raise ArgumentError(f"`crop_pct` must be a fraction in (0, 1] (0.9 for 90%), got {self.crop_pct!r}")

    def _tuple(self, name: str, rule: str, length: int) -> tuple[Any, ...]:
        value = getattr(self, name)
        if not isinstance(value, (list, tuple)) or len(value) != length or not all(map(_is_number, value)):
            raise ArgumentError(f"`{name}` must be {rule}, {length} numbers, got {value!r}")
        return tuple(value)

    @classmethod
    def of(cls, model: nn.Module) -> Preprocessing:
        """What a timm model's weights expect: timm's resolved data configuration, at the size the model was built for.

        Raises:
            ArgumentError: no model of timm's `create_model`, or one for other than three channels.
        """
        if getattr(model, "pretrained_cfg", None) is None:
            raise ArgumentError(
                f"`preprocessing` is known from the weights only for models of timm.create_model, and this is a "
                f"{type(model).__name__}; give it explicitly, as nplight.data.Preprocessing(image_size, mean, std)"
            )
        # A model built with `img_size` still carries the size of its published weights.
        built_for = getattr(getattr(model, "patch_embed", None), "img_size", None)
        resolve: Callable[..., dict[str, Any]] = resolve_model_data_config
        config = resolve(model, {"input_size": (3, *built_for)} if built_for else None)
        return cls(
            image_size=config["input_size"][1:],
            mean=config["mean"],
            std=config["std"],
            interpolation=config["interpolation"],
            crop_pct=config["crop_pct"],
            crop_mode=config["crop_mode"],
        )

    @classmethod
    def paper(cls) -> Preprocessing:
        """The published program's, whatever the weights: squashed to 224 x 224, ImageNet's mean and deviation."""
        return cls((224, 224), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "bilinear", 1.0, "squash")

    def override(self, **changes: Any) -> Preprocessing:
        """The same but for some attributes.

        Raises:
            ArgumentError: a name that is no attribute, or a value that breaks its rule.
        """
        known = [field.name for field in dataclasses.fields(self)]
        unknown = [name for name in changes if name not in known]
        if unknown:
            raise ArgumentError(f"preprocessing has {listed(known)}, but was to be overridden in {listed(unknown)}")
        return dataclasses.replace(self, **changes)

    def read(self, image: Image.Image) -> Tensor:
        """An image of any mode -> (3, height, width) float32, normalised; the same every time.

        Raises:
            ArgumentError: an image of more than 8 bits a channel that PIL does not reduce by itself.
        """
        result: Tensor = _transform(self, training=False)(to_rgb(image))
        return result

    def read_augmented(self, image: Image.Image) -> Tensor:
        """As `read`, but a random crop, resized, and flipped half of the time: to train with.

        Torch's and Python's global generators choose, which Lightning seeds in every loader process.
        """
        result: Tensor = _transform(self, training=True)(to_rgb(image))
        return result

    def describe(self) -> str:
        """One line for people, different for every different preprocessing."""
        height, width = self.image_size
        return (
            f"{height} x {width} pixels, {self.crop_mode} crop of {self.crop_pct:.6g}, {self.interpolation}, "
            f"mean {_shown(self.mean)}, std {_shown(self.std)}"
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Grey, palette, CMYK … -> red, green, blue; transparency is dropped.

    Raises:
        ArgumentError: see `refusal`.
    """
    if reason := refusal(image):
        name = getattr(image, "filename", None) or "an image"
        raise ArgumentError(f"{name} cannot be read: {reason}")
    if image.mode == "P" and "transparency" in image.info:
        # PIL warns of what the direct way loses, and it is the same.
        image = image.convert("RGBA")
    return image.convert("RGB")


def refusal(image: Image.Image) -> str | None:
    """Why an image cannot be read as red, green and blue, or `None`."""
    if image.mode.split(";")[0] in _DEEP_MODES:
        return f"its pixels have more than 8 bits (PIL's mode {image.mode}), of unknown range; convert it to 8 bits"
    return None


@cache
def _transform(preprocessing: Preprocessing, *, training: bool) -> Compose:
    transform = create_transform(
        (3, *preprocessing.image_size),
        is_training=training,
        color_jitter=0.0,
        interpolation=preprocessing.interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
        crop_pct=preprocessing.crop_pct,
        crop_mode=preprocessing.crop_mode,
    )
    assert isinstance(transform, Compose)
    return transform


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
