"""What an evaluation gathers over the discover images before it tests paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from nplight.metrics import CONTROLS
from nplight.neurons import FixedReferences, Gathering, References, Tokens, gathering
from nplight.runs.context import RunContext, discover_pass
from nplight.runs.evaluation_settings import EvaluationSettings
from nplight.vit import OpenViT


def gathered_references(
    vit: OpenViT, settings: EvaluationSettings, context: RunContext
) -> tuple[Mapping[Tokens, References], Sequence[Tensor]]:
    """Gather the fill at all edited tokens, and the mean activations, in the same data passes.

    Args:
        vit: the opened model.
        settings: of the run.
        context: of the loop.

    Returns:
        Edited tokens -> the fill there, empty for `zero`; and per layer (width,) the mean of each neuron, empty if no
        control needs it.
    """
    steps: dict[Tokens | None, Gathering | References] = {}
    if settings.fill != "zero":
        for tokens in settings.edited_tokens(vit):
            steps[tokens] = gathering(vit, settings.fill, tokens=tokens, seed=settings.seed)
    if any(CONTROLS[name].gathers for name in settings.names_of_controls):
        steps[None] = gathering(vit, "mean", tokens=settings.main_tokens)
    with isolate_rng():
        while unfinished := {key: step for key, step in steps.items() if isinstance(step, Gathering)}:
            for batch in discover_pass(context, "Gathering references"):
                with context.forward_context():
                    for step in unfinished.values():
                        step.update(batch.images)
            steps.update({key: step.finish() for key, step in unfinished.items()})
    means = steps.pop(None, None)
    fills = {tokens: step for tokens, step in steps.items() if tokens is not None and isinstance(step, References)}
    if not isinstance(means, FixedReferences):
        return fills, ()
    return fills, [means.values[layer].flatten() for layer in range(vit.depth)]
