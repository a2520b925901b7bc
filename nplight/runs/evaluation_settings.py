"""The settings of an evaluation run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from nplight.errors import ArgumentError, check_at_least, check_choice, described, listed
from nplight.metrics import (
    CONTROLS,
    Condition,
    all_conditions,
    depth_conditions,
    dose_conditions,
    extreme_conditions,
)
from nplight.neurons import FILLS, Fill, Tokens
from nplight.vit import OpenViT

EvaluatedTokens = Literal["path", "all", "both"]
Drawn = Literal["category", "image"]


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How an evaluation run tests paths.

    Attributes:
        fractions: shares of the other neurons that are pruned, in [0, 1].
        fill: what stands in a pruned neuron: `zero`; or, gathered over the discover images, its `mean` or `peak`, or
            `resample`, its value in another image.
        tokens: the tokens that are edited: `path`, as the paper; `all`; or `both`: those of `path`, and all tokens
            with the path removed, with all other neurons pruned, and with every neuron pruned. Paths that were searched
            at all tokens are edited at all tokens (`for_paths`).
        seed: chooses the neurons that a fraction below 1 prunes, the neurons of the controls, and the images of
            `resample`.
        replicates: of the bootstrap over images that gives every measure its 95% interval.
        controls: names of `CONTROLS` that every search is compared with; empty or `None`: none.
        draws: of a control, under the main conditions; the others have a quarter of them.
        pruned_per: whether the neurons that a fraction below 1 prunes are drawn per `category` or per `image`.
        depths: shares of the layers, in [0, 1]: the path is removed, and kept, in the first of them alone.
        scales: factors of the path's neurons.
        own: whether each image's own path is removed and enhanced, on the images that it was found with.

    Raises:
        ArgumentError: a setting is wrong.

    Examples:
        >>> from nplight.runs import EvaluationSettings
        >>> EvaluationSettings(fractions=(0.5, 1.0), fill="mean").fill
        'mean'
    """

    fractions: Sequence[float] = (0.1, 0.3, 0.5, 1.0)
    fill: Fill = "zero"
    tokens: EvaluatedTokens = "both"
    seed: int = 0
    replicates: int = 1000
    controls: Sequence[str] | None = ("random",)
    draws: int = 20
    pruned_per: Drawn = "category"
    depths: Sequence[float] = (0.25, 0.5, 0.75)
    scales: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    own: bool = True

    def __post_init__(self) -> None:
        all_conditions(1, (), self.fractions)
        depth_conditions(1, 4, self.depths)
        check_choice("fill", self.fill, FILLS)
        check_choice("tokens", self.tokens, ("path", "all", "both"))
        check_at_least("replicates", self.replicates, 0)
        check_at_least("draws", self.draws, 1)
        check_choice("pruned_per", self.pruned_per, ("category", "image"))
        if isinstance(self.controls, str):
            raise ArgumentError(f"`controls` must be a list of names, got {described(self.controls)}")
        for name in self.controls or ():
            check_choice("controls", name, CONTROLS)
        for scale in self.scales:
            if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 <= scale < float("inf"):
                raise ArgumentError(f"`scales` must be finite factors of at least 0, got {described(scale)}")

    @property
    def main_tokens(self) -> Tokens:
        """The tokens that are edited under every condition."""
        return "all" if self.tokens == "all" else "path"

    @property
    def names_of_controls(self) -> tuple[str, ...]:
        """The controls, each once."""
        return tuple(dict.fromkeys(self.controls or ()))

    @property
    def own_draws(self) -> int:
        """Draws of the control of images' own paths: a random path of each image's own, so that few are enough."""
        return min(self.draws, 5)

    def for_paths(self, tokens: Mapping[str, Tokens]) -> EvaluationSettings:
        """The settings for paths that may have been searched at all tokens, which are edited at all tokens.

        Args:
            tokens: search -> the tokens at which its paths were searched.

        Returns:
            With `both`, and all paths searched at all tokens, the settings with `all`; else themselves.

        Raises:
            ArgumentError: paths that were searched at all tokens would be edited at the path tokens.
        """
        at_all = [name for name, searched in tokens.items() if searched == "all"]
        if not at_all or self.tokens == "all":
            return self
        if self.tokens == "both" and len(at_all) == len(tokens):
            return replace(self, tokens="all")
        raise ArgumentError(
            f"`tokens` must be 'all' to evaluate paths that were searched at all tokens, those of {listed(at_all)}, "
            f"got {self.tokens!r}"
            + ("" if self.tokens == "path" else ", which edits the paths of all searches at the path tokens first")
            + "; paths of other searches are then edited at all tokens too, or evaluate them in a run of their own"
        )

    def edited_tokens(self, vit: OpenViT) -> tuple[Tokens, ...]:
        """The tokens that are edited, the main ones first; `all` is left out where every token is a path token."""
        return ("path", "all") if self.tokens == "both" and not vit.has_all_path_tokens else (self.main_tokens,)

    def conditions(self, vit: OpenViT, top_k: int, sizes: Sequence[int]) -> tuple[Condition, ...]:
        """The conditions under which category paths are tested.

        Args:
            vit: the opened model.
            top_k: neurons per layer of the path.
            sizes: numbers of neurons per layer to keep.
        """
        main, *others = self.edited_tokens(vit)
        return (
            *all_conditions(top_k, sizes, self.fractions, tokens=main),
            Condition("none", tokens=main),
            *(condition for tokens in others for condition in extreme_conditions(top_k, sizes, tokens=tokens)),
            *depth_conditions(top_k, vit.depth, self.depths, tokens=main),
            *dose_conditions(top_k, self.scales, tokens=main),
        )

    def to_dict(self) -> dict[str, Any]:
        """What the results depend on, as plain values."""
        return {**asdict(self), "controls": list(self.names_of_controls)}

    def notes(self) -> list[str]:
        """What a reader of the results must know."""
        notes = []
        if self.fill != "zero":
            notes.append(f"pruned neurons hold their fill {self.fill!r}, not 0")
        if self.tokens == "all":
            notes.append("neurons are edited at every token, not at the path tokens alone")
        return notes
