from __future__ import annotations

from typing import Any

import pytest
import torch

import nplight
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.neurons import record
from nplight.report import Gallery
from nplight.seeds import checksums
from nplight.vit import open_vit
from tests.conftest import Reference


@pytest.fixture
def paths(reference: Reference) -> nplight.CategoryPaths:
    return nplight.category_paths(reference.neurons, reference.labels, num_classes=10)


def gathered(reference: Reference, paths: nplight.CategoryPaths, *sizes: int, **options: Any) -> Gallery:
    gallery = Gallery(open_vit(reference.model.eval()), paths, per_category=2, per_neuron=3, **options)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        names = tuple(f"image {number}" for number in range(80)[part])
        gallery.update(ImageBatch(reference.images[part], reference.labels[part], torch.arange(80)[part], names))
        start += size
    return gallery


def test_batches_and_processes_make_no_difference(reference: Reference, paths: nplight.CategoryPaths) -> None:
    whole = gathered(reference, paths, 80).to_dict()
    assert gathered(reference, paths, 7, 33, 40).to_dict() == whole

    parts = [gathered(reference, paths), gathered(reference, paths)]
    for place, part in enumerate((slice(0, 80, 2), slice(1, 80, 2))):
        names = tuple(f"image {number}" for number in range(80)[part])
        parts[place].update(ImageBatch(reference.images[part], reference.labels[part], None, names))
    one, other = parts
    one.merge(other.grid, other.samples, other.drivers)
    assert one.samples == gathered(reference, paths, 80).samples
    assert one.drivers == gathered(reference, paths, 80).drivers
    assert one.to_dict()["samples"] == whole["samples"]


def test_images_without_labels_are_refused(reference: Reference, paths: nplight.CategoryPaths) -> None:
    gallery = gathered(reference, paths)
    with pytest.raises(ArgumentError, match="`batch` must have labels, got images without any"):
        gallery.update(ImageBatch(reference.images[:2]))


def test_drivers_are_the_images_of_largest_value_with_its_map(
    reference: Reference, paths: nplight.CategoryPaths
) -> None:
    found = gathered(reference, paths, 80).to_dict()
    with torch.no_grad(), record(reference.model.eval(), tokens="all") as values:
        reference.model(reference.images)
    wanted = {(layer, neuron) for own in paths.neurons[:, :, 0].tolist() for layer, neuron in enumerate(own)}
    assert {(one["layer"], one["neuron"]) for one in found["drivers"]} == wanted
    tokens = next(iter(values.values())).shape[1]
    assert found["grid"] == (4, 4)
    for one in found["drivers"]:
        own = values[one["layer"]][:, :, one["neuron"]]
        best = own[:, 0].topk(3)
        files = [found["pictures"][place]["file"] for place, _, _ in one["images"]]
        assert files == [f"image {number}" for number in best.indices.tolist()]
        for image, (_, value, patches) in zip(best.indices.tolist(), one["images"]):
            assert value == pytest.approx(own[image, 0].item(), rel=1e-3)
            patch = own[image, tokens - 16 :].clamp(min=0)
            assert patches == (patch / patch.max().clamp(min=1e-12) * 99).round().int().tolist()


def test_samples_are_those_of_lowest_checksum_with_their_edited_probabilities(
    reference: Reference, paths: nplight.CategoryPaths
) -> None:
    found = gathered(reference, paths, 80).to_dict()
    keys = torch.tensor(checksums(reference.images))
    model = reference.model.eval()
    for label, entries in found["samples"].items():
        own = (reference.labels == int(label)).nonzero().flatten()
        lowest = own[keys[own].argsort()][:2].tolist()
        assert [found["pictures"][place]["file"] for place, *_ in entries] == [f"image {one}" for one in lowest]
        for image, (_, *facts) in zip(lowest, entries):
            expected = []
            for operation in (None, "remove", "enhance"):
                with torch.no_grad():
                    if operation is None:
                        scores = model(reference.images[[image]])
                    else:
                        with nplight.intervene(model, paths.neurons[int(label)], operation):
                            scores = model(reference.images[[image]])
                expected.append(scores.softmax(1)[0, int(label)].item())
            assert facts == pytest.approx(expected, abs=1e-5)


def test_what_is_kept_is_bounded(reference: Reference, paths: nplight.CategoryPaths) -> None:
    found = gathered(reference, paths, 80, most_neurons=5).to_dict()
    assert len(found["drivers"]) == 5
    assert all(len(one["images"]) == 3 for one in found["drivers"])
    assert all(len(own) == 2 for own in found["samples"].values())
    assert len(found["pictures"]) <= 5 * 3 + 10 * 2
    users = [sum((one["neuron"] in own[one["layer"]]) for own in paths.neurons.tolist()) for one in found["drivers"]]
    everything = gathered(reference, paths, 80).to_dict()["drivers"]
    most = sorted(sum((one["neuron"] in own[one["layer"]]) for own in paths.neurons.tolist()) for one in everything)
    assert sorted(users) == most[-5:]
