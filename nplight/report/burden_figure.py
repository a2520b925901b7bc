"""The neural burden over a training as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go


def burden_figure(records: Sequence[Mapping[str, Any]]) -> go.Figure:
    """The burden of every layer and of all, and the pruned share, against optimizer steps.

    Args:
        records: in order, with `step`, `burden`, `by_layer` and `pruned`.
    """
    import plotly.graph_objects as go

    steps = [record["step"] for record in records]
    figure = go.Figure()
    for layer in range(len(records[0]["by_layer"])):
        values = [100 * record["by_layer"][layer] for record in records]
        figure.add_scatter(x=steps, y=values, name=f"layer {layer}", line={"width": 1})
    figure.add_scatter(
        x=steps,
        y=[100 * record["burden"] for record in records],
        name="all layers",
        line={"width": 3, "color": "black"},
    )
    figure.add_scatter(
        x=steps, y=[100 * record["pruned"] for record in records], name="pruned neurons", line={"dash": "dot"}
    )
    figure.update_layout(
        title="Neural burden: load of the surviving neurons beyond that in the dense twin",
        xaxis_title="optimizer step",
        yaxis_title="%",
        template="plotly_white",
    )
    return figure
