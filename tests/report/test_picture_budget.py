from __future__ import annotations

from nplight.report.picture_budget import within_budget


def test_pictures_within_the_budget_come_in_turn() -> None:
    pictures = {
        "grid": [1, 1],
        "pictures": [{"file": str(place), "label": 0, "source": "x" * 10} for place in range(6)],
        "samples": {"0": [[0, 0.1], [1, 0.1]], "1": [[2, 0.1], [3, 0.1]]},
        "drivers": [{"layer": 0, "neuron": 3, "images": [[0, 0.5, [1]], [5, 0.4, [1]]]}],
    }
    assert within_budget({}, 100) == {}
    for characters, files in ((0, ""), (15, "0"), (21, "02"), (31, "021"), (41, "0213"), (1000, "02135")):
        kept = within_budget(pictures, characters)
        assert "".join(one["file"] for one in kept["pictures"]) == files
        shown = {entry[0] for entries in kept["samples"].values() for entry in entries}
        assert shown <= set(range(len(files)))
    everything = within_budget(pictures, 1000)
    assert everything["samples"] == {"0": [[0, 0.1], [2, 0.1]], "1": [[1, 0.1], [3, 0.1]]}
    assert everything["drivers"][0]["images"] == [[0, 0.5, [1]], [4, 0.4, [1]]]
