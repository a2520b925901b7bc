from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nplight
from nplight.runs import SearchRun, SearchSettings
from nplight.runs.other_targets import TARGETS, OtherTargets
from nplight.seeds import checksums
from nplight.store import RunFolder
from tests.runs.conftest import Halves


@pytest.mark.parametrize("target", TARGETS)
def test_every_image_has_its_path_for_both_targets(halves: Halves, tmp_path: Path, target: str) -> None:
    reference = halves.reference
    with torch.no_grad():
        reference.model.head.bias[3] += 4  # several images are now predicted to be of category 3
        index = torch.arange(0, 80, 2)
        predictions = reference.model(reference.images[index]).argmax(1)
    labels = reference.labels[index]
    differ = index[predictions != labels].tolist()
    assert 2 < len(differ) < 35
    settings = SearchSettings.of(["jas"], steps=2, target=target)  # type: ignore[arg-type]
    for _ in range(2):  # the second time everything is stored
        with SearchRun(halves.vit, RunFolder(tmp_path), settings) as searched:
            others = OtherTargets(searched, [searched.settings.searches[0].image_searches(searched.sizes)[0]])
            for batch in halves.batches(0):
                searched.update(batch)
                others.search(batch, checksums(batch.images))
            searched.conclude()
            found = {of: [*others.rows("jas", of)()] for of in TARGETS}
    for of, categories in (("label", labels), ("prediction", predictions)):
        expected = nplight.search(reference.model, reference.images[index], categories, steps=2).neurons
        rows = {
            checksum: (path, told)
            for paths in found[of]
            for path, told, checksum in zip(paths.neurons, paths.targets.tolist(), paths.checksums.tolist())
        }
        assert len(rows) == sum(len(paths.targets) for paths in found[of]) == 40
        for image, path, category in zip(reference.images[index], expected, categories.tolist()):
            stored, told = rows[checksums(image[None])[0]]
            assert told == category
            assert torch.equal(stored, path)
    table = nplight.read_paths(tmp_path)
    other = "prediction" if target == "label" else "label"
    assert set(table.searches) == {"jas", f"jas@{other}"}
    assert table.where(search=f"jas@{other}")["index"].tolist() == differ
    assert len(table.where(search="jas")) == 40


def test_without_a_difference_nothing_is_stored(halves: Halves, tmp_path: Path) -> None:
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(["activation"])) as searched:
        others = OtherTargets(searched, [searched.settings.searches[0].image_searches(searched.sizes)[0]])
        batch = next(halves.batches(0))
        with torch.no_grad():
            predictions = halves.reference.model.eval()(batch.images).argmax(1)
        right = batch.select((predictions == batch.labels).nonzero().flatten())
        searched.update(right)
        others.search(right, checksums(right.images))
        (paths,) = others.rows("activation", "prediction")()
        assert paths.targets.tolist() == right.labels.tolist()
    assert nplight.read_paths(tmp_path).searches == ("activation",)
