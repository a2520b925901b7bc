"""The fast engine: layer-progressive search without repeated work.

At step l the forward pass up to block l-1 is that of the path chosen so far, so every node row keeps the stream that
enters block l. Block l runs once, with its neurons at alpha times their clean values; the blocks after it are
differentiated with respect to the stream `o` that leaves block l. ∂F/∂z_l is the transposed down projection applied to
g = ∂F/∂o at the path tokens. The path's derivative is a JVP advanced with the stream (`JVPRows`, one path token) or a
VJP from the same backward pass (`VJPRows`, several). Choosing the path of block l then corrects `o` at the path tokens:
nothing else in block l depends on its neurons there.

With a tolerance, the node rows are those of a Gauss rule of the rule, and images that these do not settle go on with
more (`progressive`). The path that is chosen is the same for all node rows of an image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.jvp_rows import JVPRows
from nplight.attribution.layer_scores import joint_sums, layer_sums
from nplight.attribution.problem import Problem
from nplight.attribution.progressive import choose_layer_by_layer
from nplight.attribution.ranking import PathScores
from nplight.attribution.vjp_rows import VJPRows


def progressive_search(problem: Problem) -> PathScores:
    """Layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) for a group of images.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import Problem, clean_pass, progressive_search, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> best = progressive_search(problem)
        >>> torch.equal(best.ranking, planted.paths)
        True
    """

    def first_layer(part: Problem, images: Tensor) -> list[Tensor]:
        return [layer_sums(part, part.targets.new_zeros(len(images), 0, part.top_k))]

    return choose_layer_by_layer(problem, JointRows, first_layer)


class JointRows:
    """The node rows of a group of images and the path chosen so far, scored by the joint attribution score.

    Args:
        problem: the search.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        values = problem.clean.values[0]
        edited = (problem.nodes[:, None, None] - 1) * problem.vit.down[0].increment(values)[:, None]
        rows_type = JVPRows if values.shape[1] == 1 else VJPRows
        self._rows: EngineRows = rows_type(problem, edited)
        self._path_value = torch.zeros_like(values[..., 0])  # (images, path tokens)

    def sums(self, layer: int) -> Tensor:
        """Run the layer, and return `Problem.sums` of the scores of its neurons, (images, sums, width)."""
        gradients = self._rows.advance(layer, self._problem.clean.values[layer])
        return joint_sums(self._problem, layer, self._path_value, *gradients)

    def choose(self, layer: int, neurons: Tensor) -> None:
        """After `sums` or `pass_by`: add the neurons (images, K) of the layer to the path."""
        down, value = self._problem.vit.down[layer], self._problem.clean.values[layer]
        picks = neurons.unsqueeze(1).expand(-1, value.shape[1], -1)
        self._path_value = self._path_value + value.gather(2, picks).sum(2)
        # Neurons outside the path return to their clean values; the chosen ones join the direction.
        off_path = value.scatter(2, picks, 0)
        on_path = torch.zeros_like(value).scatter(2, picks, 1)
        opened = 1 - self._problem.nodes[:, None, None]
        self._rows.correct(opened * down.increment(off_path)[:, None], down.increment(on_path))

    def pass_by(self, layer: int) -> None:
        """Instead of `sums`: run the layer without scores."""
        self._rows.pass_by(layer, self._problem.clean.values[layer])

    def keep(self, images: Tensor) -> None:
        """Go on with some of the images: (images,) int64, positions."""
        self._problem = self._problem.of(images)
        self._path_value = self._path_value[images]
        self._rows.keep(self._problem, images)

    def path_sums(self, path: Tensor) -> Tensor:
        """After the last layer: `Problem.sums` of the joint attribution scores of the paths, (images, sums)."""
        _, path_gradient = self._rows.advance(self._problem.vit.depth)
        return (self._path_value.unsqueeze(1) * self._problem.sums(path_gradient)).mean(2)
