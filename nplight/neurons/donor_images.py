"""Values of another image: a pool of donors, and for each image one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least
from nplight.neurons.fills import References
from nplight.neurons.gathering import Gathering, refuse_none
from nplight.neurons.record import record
from nplight.neurons.sites import Tokens
from nplight.processes import process_rank, sum_over_processes, values_of_processes
from nplight.seeds import checksums, stream
from nplight.vit import OpenViT, named_dtypes, undisturbed

# A candidate: its priority, checksum, the process that holds it, and its shape. This one stands for none.
_NONE = (1 << 62, -1, -1, 0, 0, 0)


class DonorImages(Gathering):
    """The pool of images whose neurons `resample` writes: those of the smallest seeded hash of their checksum.

    So the pool is the same for every batch size, order and number of processes. An image that comes twice counts once.

    Args:
        vit: the opened model.
        size: images in the pool.
        tokens: the tokens at which the donors' neurons are read.
        seed: chooses the pool, and the donor of each image.

    Raises:
        ArgumentError: `size` is below 1.
    """

    def __init__(self, vit: OpenViT, *, size: int = 64, tokens: Tokens = "path", seed: int = 0) -> None:
        check_at_least("size", size, 1)
        super().__init__(vit, tokens=tokens, seed=seed)
        self._size = size
        self._rows = torch.tensor([_NONE] * size, device=self.device)
        self._held: dict[int, Tensor] = {}

    def update(self, images: Tensor) -> None:
        """Add images, of which those that may be in the pool are held."""
        self.vit.check_images(images)
        found = dict(zip(checksums(images), images))
        new = [(_draws(self.seed, key)[0], key, process_rank(), *image.shape) for key, image in found.items()]
        self._rows = _smallest(torch.cat([self._rows, torch.tensor(new, device=self.device)]), self._size)
        kept = set(self._rows[:, 1].tolist())
        # Copies: a part of a batch would hold the whole of it.
        added = {key: image.detach().clone() for key, image in found.items() if key in kept and key not in self._held}
        self._held = {key: image for key, image in {**self._held, **added}.items() if key in kept}

    @torch.inference_mode(False)
    def finish(self) -> DonorReferences:
        """The pool as references.

        Raises:
            ArgumentError: there were no images, or images of several shapes.
        """
        rows = _smallest(values_of_processes(self._rows).flatten(0, 1), self._size)
        rows = rows[rows[:, 1] >= 0]
        if not len(rows):
            refuse_none()
        shapes = rows[:, 3:].unique(dim=0).tolist()
        if len(shapes) > 1:
            raise ArgumentError(f"the donors of 'resample' must be images all of one shape, got shapes {shapes}")
        pixels = torch.zeros(len(rows), *shapes[0], dtype=self.vit.down[0].linear.weight.dtype, device=self.device)
        for slot, (_, key, holder, *_) in enumerate(rows.tolist()):
            if holder == process_rank():
                pixels[slot] = self._held[key]
        keys = tuple(rows[:, 1].tolist())
        return DonorReferences("resample", self.tokens, self.vit, sum_over_processes(pixels), keys, self.seed)


@dataclass(frozen=True, slots=True)
class DonorReferences(References):
    """For each image the neurons of another, its donor, chosen by a seeded hash of the image's own checksum.

    Attributes:
        vit: the opened model.
        images: (donors, channels, height, width), the pool.
        keys: the checksum of each donor.
        seed: chooses the donors.
    """

    vit: OpenViT
    images: Tensor
    keys: tuple[int, ...]
    seed: int

    def donors(self, images: Tensor) -> Tensor:
        """The place in the pool of each image's donor, (images,) int64; never the image itself.

        Raises:
            ArgumentError: the pool holds no image but the very one.
        """
        return torch.tensor([self._donor(key) for key in checksums(images)], device=self.images.device)

    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The donors' neurons, from one clean pass: call it outside any `intervene`.

        Raises:
            ArgumentError: no images, or the pool holds no image but one of them.
        """
        if images is None:
            raise ArgumentError(
                "resampled values belong to the images that will pass; give references=references.of(images)"
            )
        self.vit.check_images(images)
        donors = self.images[self.donors(images)]
        with (
            undisturbed(self.vit.model),
            torch.no_grad(),
            named_dtypes(self.vit.model),
            record(self.vit, tokens=self.tokens) as values,
        ):
            self.vit.forward(donors)
        return values

    def _donor(self, key: int) -> int:
        others = [place for place, donor in enumerate(self.keys) if donor != key]
        if not others:
            raise ArgumentError(
                "'resample' needs a donor other than the image itself, but the pool holds that image alone; "
                "gather the references from more images, of which at least two differ"
            )
        return others[_draws(self.seed, key)[1] % len(others)]


def _draws(seed: int, key: int) -> list[int]:
    """Two numbers that hash an image's checksum: one for its place in the pool, one for its own donor."""
    draws: list[int] = torch.randint(_NONE[0], (2,), generator=stream(seed, key)).tolist()
    return draws


def _smallest(rows: Tensor, size: int) -> Tensor:
    """The `size` candidates of smallest priority, each image once: (rows, 6) -> (size, 6)."""
    rows = rows.unique(dim=0)
    again = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    again[1:] = rows[1:, 1] == rows[:-1, 1]
    rows = rows[~again][:size]
    return torch.cat([rows, rows.new_tensor(_NONE).expand(size - len(rows), -1)])
