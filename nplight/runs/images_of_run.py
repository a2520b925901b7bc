"""The images of a run, over all its processes."""

from __future__ import annotations

from nplight.data import ImageDigest
from nplight.errors import ArgumentError
from nplight.processes import objects_of_processes, on_first_process
from nplight.store import RunFolder


def images_of_processes(images: ImageDigest) -> ImageDigest:
    """The digest of every process's images together; every process must call it."""
    return sum(objects_of_processes(images), ImageDigest())


def claim_held_out(folder: RunFolder, images: ImageDigest, tested_by: str) -> None:
    """Settle which held-out images the results are of, before any is written; every process must call it.

    Args:
        folder: the run folder.
        images: of all processes.
        tested_by: what tests paths with them, for the message.

    Raises:
        ArgumentError: there are no images.
        RunFolderError: the folder holds results of others.
    """
    if images.images == 0:
        raise ArgumentError(f"{tested_by} must be given images to test paths with, but the loader gave none")
    on_first_process(lambda: folder.claim("evaluation images", {"held_out_images": str(images)}))
