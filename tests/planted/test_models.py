"""All models of known paths by name."""

from __future__ import annotations

from nplight.planted import MODELS, PLANTED, TRIGGERS, PlantedCase


def test_every_model_has_a_name_of_its_own_and_is_made_of_a_seed() -> None:
    assert list(MODELS) == [*PLANTED, *TRIGGERS]
    for name in PLANTED:
        assert isinstance(MODELS[name], PlantedCase)
    build = MODELS["trigger_1"]
    assert not isinstance(build, PlantedCase)
    assert build(seed=0).name == "trigger_1"
