"""Resampling: a pool of donor images, one of which gives its neurons to each image."""

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
from nplight.seeds import checksums, seeded_generator
from nplight.vit import OpenViT, named_dtypes, undisturbed

# A candidate: its priority, its checksum, the rank of the process that holds it, and its shape. This one is empty.
_NONE = (1 << 62, -1, -1, 0, 0, 0)


class DonorImages(Gathering):
    """The pool of images whose neurons `resample` writes: those with the smallest seeded hash of their checksum.

    The pool does not depend on the batch size, the order and the number of processes. Repeated images count once.

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
        self._candidates = torch.tensor([_NONE] * size, device=self.device)
        self._pool: dict[int, Tensor] = {}

    def update(self, images: Tensor) -> None:
        """Add images; those that may be in the pool are kept."""
        self.vit.check_images(images)
        by_key = dict(zip(checksums(images), images))
        new = [(_draws(self.seed, key)[0], key, process_rank(), *image.shape) for key, image in by_key.items()]
        self._candidates = _smallest(torch.cat([self._candidates, torch.tensor(new, device=self.device)]), self._size)
        keys = set(self._candidates[:, 1].tolist())
        # Copies: a view would keep the whole batch alive.
        added = {key: image.detach().clone() for key, image in by_key.items() if key in keys - self._pool.keys()}
        self._pool = {key: image for key, image in {**self._pool, **added}.items() if key in keys}

    @torch.inference_mode(False)
    def finish(self) -> DonorReferences:
        """The pool as references.

        Raises:
            ArgumentError: there were no images, or images of different shapes.
        """
        candidates = _smallest(values_of_processes(self._candidates).flatten(0, 1), self._size)
        candidates = candidates[candidates[:, 1] >= 0]
        if not len(candidates):
            refuse_none()
        shapes = candidates[:, 3:].unique(dim=0).tolist()
        if len(shapes) > 1:
            raise ArgumentError(f"the donors of 'resample' must be images all of one shape, got shapes {shapes}")
        dtype = self.vit.down[0].linear.weight.dtype
        pixels = torch.zeros(len(candidates), *shapes[0], dtype=dtype, device=self.device)
        for position, (_, key, rank, *_) in enumerate(candidates.tolist()):
            if rank == process_rank():
                pixels[position] = self._pool[key]
        keys = tuple(candidates[:, 1].tolist())
        return DonorReferences("resample", self.tokens, self.vit, sum_over_processes(pixels), keys, self.seed)


@dataclass(frozen=True, slots=True)
class DonorReferences(References):
    """For each image the neurons of its donor, another image chosen by a seeded hash of the image's checksum.

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
        """The position in the pool of each image's donor, (images,) int64; never the image itself.

        Raises:
            ArgumentError: the pool holds no other image than the image itself.
        """
        return torch.tensor([self._donor(key) for key in checksums(images)], device=self.images.device)

    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The donors' neurons, from one clean pass; call it outside any `intervene`.

        Raises:
            ArgumentError: no images, or the pool holds no other image than one of them.
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
        positions = [position for position, donor in enumerate(self.keys) if donor != key]
        if not positions:
            raise ArgumentError(
                "'resample' needs a donor other than the image itself, but the pool holds only that image; "
                "gather the references from more images, of which at least two differ"
            )
        return positions[_draws(self.seed, key)[1] % len(positions)]


def _draws(seed: int, key: int) -> list[int]:
    """Two hashes of an image's checksum: one for its priority in the pool, one for the choice of its donor."""
    draws: list[int] = torch.randint(_NONE[0], (2,), generator=seeded_generator(seed, key)).tolist()
    return draws


def _smallest(candidates: Tensor, size: int) -> Tensor:
    """The `size` candidates of smallest priority, each image once: (candidates, 6) -> (size, 6)."""
    candidates = candidates.unique(dim=0)
    repeated = torch.zeros(len(candidates), dtype=torch.bool, device=candidates.device)
    repeated[1:] = candidates[1:, 1] == candidates[:-1, 1]
    candidates = candidates[~repeated][:size]
    return torch.cat([candidates, candidates.new_tensor(_NONE).expand(size - len(candidates), -1)])
