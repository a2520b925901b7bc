"""Search by the gradient averaged over the line from the zero image, the "influence pattern" of the published program.

The baseline that the program of Wang et al. (ICLR 2025) compares with and names after Lu et al. (2021). It scores every
layer separately; `influence_pattern_chain` is the definition of Lu et al.
"""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import (
    NodeRows,
    Problem,
    Settled,
    many_counts,
    settle,
    streams_on_line,
    token_gradients,
)


def influence_pattern(problem: Problem) -> Settled:
    """Score of a neuron: Σ_k ω_k ∂F/∂z_l at the image α_k x, signed, mean over the path tokens.

    x is the normalised image: the line starts at the image of zeros, which is not a black image. The gradient is
    multiplied neither by z nor by x.
    """

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        def run(rows: NodeRows) -> list[Tensor]:
            return token_gradients(part, 0, streams_on_line(part, part.nodes, rows), rows)

        # Sums of stream gradients: `pull_back` is linear, and is applied to the sums over nodes.
        layers = part.summed_layers(part.in_chunks(run))
        return [down.pull_back(sums).mean(2) for down, sums in zip(part.vit.down, layers)]

    return settle(problem, evaluate, many_counts(problem))
