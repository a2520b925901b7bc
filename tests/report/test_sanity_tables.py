from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nplight.methods import METHODS
from nplight.report.sanity_tables import read_out_table, sanity_table, stability_table
from tests.report.test_terminal_tables import shown


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    stability, sanity = (json.loads((folder / f"{name}.json").read_text()) for name in ("stability", "sanity"))
    return stability, sanity


def test_the_tables_show_the_shares_of_every_search(finished: Path) -> None:
    stability, sanity = read(finished)
    rows = {line.split()[0]: line for line in shown(stability_table(stability)).splitlines() if line.split()}
    for name, values in stability["searches"].items():
        noise = sum(estimate["value"] for estimate in values["kept"]["noise"]) / 5
        assert rows[name].split()[1] == f"{noise * 100:.0f}"
        difference = values["over_same_category"]
        assert (
            rows[name]
            .rstrip()
            .endswith(
                f"{100 * difference['value']:.0f} [{100 * difference['low']:.0f}, {100 * difference['high']:.0f}]"
            )
        )
    text = shown(sanity_table(sanity))
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()}
    for name, values in sanity["searches"].items():
        first, last = (f"{values['randomised'][step]['value'] * 100:.0f}" for step in (0, -1))
        assert rows[name].split()[1:3] == [first, last]
    text = shown(read_out_table(sanity))
    assert f"{sanity['read_out']['searches']['jas']['label']['value'] * 100:.1f} [" in text
    assert "random control" in text
    assert sanity["read_out"]["caveat"] in " ".join(text.split())


def test_no_line_is_wider_than_a_terminal_and_none_is_cut(finished: Path) -> None:
    stability, sanity = read(finished)
    full = {"value": 1.0, "low": 0.955, "high": 1.0}
    for result in (stability, sanity):
        values = {**result["searches"]["jas"], "over_same_category": full, "wrong_target": full}
        result["searches"] = dict.fromkeys(METHODS, values)
    sanity["read_out"]["searches"] = dict.fromkeys(METHODS, dict.fromkeys(("label", "prediction"), full))
    for table in (stability_table(stability), sanity_table(sanity), read_out_table(sanity)):
        text = shown(table)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert all(f"\n {name} " in text or f"\n{name} " in text for name in METHODS)
        assert "[96, 100]" in text or "[95.5, 100.0]" in text


def test_a_share_that_is_not_defined_is_a_dash(finished: Path) -> None:
    stability, sanity = read(finished)
    nothing = dict.fromkeys(("value", "low", "high"))
    stability["searches"]["jas"] |= {"over_same_category": nothing, "same_category": nothing}
    sanity["read_out"]["control"] = dict.fromkeys(("label", "prediction"), nothing)
    assert "–" in shown(stability_table(stability))
    assert "–" in shown(read_out_table(sanity))
