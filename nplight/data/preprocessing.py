"""Preprocessing: from an image to the model's input tensor."""

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

from nplight.errors import ArgumentError, check_at_least, check_choice, listed

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
CROP_MODES = ("center", "squash", "border")
# More than 8 bits per pixel: PIL would clip at 255 in any range.
_DEEP_MODES = ("I", "F")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resizing, cropping and normalisation of images, with the terms and the arithmetic of timm.

    Attributes:
        image_size: height and width of the result in pixels.
        mean: per channel, for pixels in [0, 1]; subtracted.
        std: per channel, for pixels in [0, 1]; the divisor.
        interpolation: one of `INTERPOLATIONS`, antialiased.
        crop_pct: share of the resized image's edges that the crop keeps, in (0, 1].
        crop_mode: `center` resizes the shorter edge and crops, `squash` resizes both edges without keeping the aspect
            ratio, `border` resizes the longer edge and pads with the mean.

    Raises:
        ArgumentError: a value breaks its rule.

    Examples:
        >>> from PIL import Image
        >>> from nplight.data import Preprocessing
        >>> half = (0.5, 0.5, 0.5)
        >>> preprocessing = Preprocessing((224, 224), mean=half, std=half)
        >>> preprocessing.read(Image.new("RGB", (300, 200))).shape
        torch.Size([3, 224, 224])
    """

    image_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    def __post_init__(self) -> None:
        # A configuration file has lists, and a single number for a square.
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
        """The preprocessing of a timm model's weights: timm's data configuration, at the image size of the model.

        Raises:
            ArgumentError: the model is not from timm's `create_model`, or does not have three channels.
        """
        if getattr(model, "pretrained_cfg", None) is None:
            raise ArgumentError(
                f"`preprocessing` is known from the weights only for models of timm.create_model, and this is a "
                f"{type(model).__name__}; give it explicitly, as nplight.data.Preprocessing(image_size, mean, std)"
            )
        # The configuration of a model built with `img_size` still has the size of its published weights.
        image_size = getattr(getattr(model, "patch_embed", None), "img_size", None)
        resolve: Callable[..., dict[str, Any]] = resolve_model_data_config
        config = resolve(model, {"input_size": (3, *image_size)} if image_size else None)
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
        """The preprocessing of the published program: squashed to 224 x 224, ImageNet's mean and standard deviation."""
        return cls((224, 224), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "bilinear", 1.0, "squash")

    def override(self, **changes: Any) -> Preprocessing:
        """A copy with other values of the given attributes.

        Raises:
            ArgumentError: a name is not an attribute, or a value breaks its rule.
        """
        names = [field.name for field in dataclasses.fields(self)]
        unknown = [name for name in changes if name not in names]
        if unknown:
            raise ArgumentError(f"preprocessing has {listed(names)}, but was to be overridden in {listed(unknown)}")
        return dataclasses.replace(self, **changes)

    def read(self, image: Image.Image) -> Tensor:
        """An image of any mode -> (3, height, width) float32, normalised; deterministic.

        Raises:
            ArgumentError: the image has more than 8 bits per channel and PIL does not reduce it.
        """
        result: Tensor = _transform(self, training=False)(to_rgb(image))
        return result

    def read_augmented(self, image: Image.Image) -> Tensor:
        """As `read`, with a random resized crop and a random flip, for training.

        Uses torch's and Python's global generators, which Lightning seeds in each loader process.
        """
        result: Tensor = _transform(self, training=True)(to_rgb(image))
        return result

    def describe(self) -> str:
        """A description in one line, distinct for distinct preprocessings."""
        height, width = self.image_size
        return (
            f"{height} x {width} pixels, {self.crop_mode} crop of {self.crop_pct:.6g}, {self.interpolation}, "
            f"mean {_shown(self.mean)}, std {_shown(self.std)}"
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to red, green and blue; transparency is dropped.

    Raises:
        ArgumentError: see `refusal`.
    """
    if reason := refusal(image):
        name = getattr(image, "filename", None) or "an image"
        raise ArgumentError(f"{name} cannot be read: {reason}")
    if image.mode == "P" and "transparency" in image.info:
        # The same result; PIL warns about the direct conversion.
        image = image.convert("RGBA")
    return image.convert("RGB")


def refusal(image: Image.Image) -> str | None:
    """The reason why an image cannot be converted to red, green and blue, or `None`."""
    if image.mode.split(";")[0] in _DEEP_MODES:
        return f"its pixels have more than 8 bits (PIL's mode {image.mode}), of unknown range; convert it to 8 bits"
    return None


@cache
def _transform(preprocessing: Preprocessing, *, training: bool) -> Callable[[Image.Image], Tensor]:
    transform: Callable[[Image.Image], Tensor] = create_transform(
        (3, *preprocessing.image_size),
        is_training=training,
        color_jitter=0.0,
        interpolation=preprocessing.interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
        crop_pct=preprocessing.crop_pct,
        crop_mode=preprocessing.crop_mode,
    )
    return transform


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
