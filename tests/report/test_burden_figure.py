from __future__ import annotations

from nplight.report.burden_figure import burden_figure


def test_every_layer_all_layers_and_the_pruned_share_are_drawn() -> None:
    records = [
        {"step": 5, "burden": 0.0, "by_layer": [0.0, 0.0], "pruned": 0.0},
        {"step": 10, "burden": 0.2, "by_layer": [0.1, 0.3], "pruned": 0.5},
    ]
    lines = {line.name: (list(line.x), list(line.y)) for line in burden_figure(records).data}
    assert lines == {
        "layer 0": ([5, 10], [0, 10]),
        "layer 1": ([5, 10], [0, 30]),
        "all layers": ([5, 10], [0, 20]),
        "pruned neurons": ([5, 10], [0, 50]),
    }
