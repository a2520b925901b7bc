from __future__ import annotations

from pathlib import Path

import pytest

from nplight.data import ImageDigest
from nplight.errors import ArgumentError, RunFolderError
from nplight.runs.images_of_run import claim_held_out, images_of_processes
from nplight.store import RunFolder


def test_a_folder_holds_results_of_the_same_images_alone(tmp_path: Path) -> None:
    images = ImageDigest(3, 17)
    assert images_of_processes(images) == images
    with RunFolder(tmp_path) as folder:
        claim_held_out(folder, images, "PathEvaluation")
        claim_held_out(folder, ImageDigest(3, 17), "PathSelectivity")
        with pytest.raises(RunFolderError, match="held_out_images"):
            claim_held_out(folder, ImageDigest(3, 18), "PathSelectivity")
        with pytest.raises(ArgumentError, match="PathSelectivity must be given images"):
            claim_held_out(folder, ImageDigest(), "PathSelectivity")
