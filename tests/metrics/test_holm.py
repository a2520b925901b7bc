from __future__ import annotations

from scipy.stats import norm

from nplight.metrics import Estimate, holm_below


def below(errors: dict[str, float]) -> list[str]:
    """Of normal values these many standard errors below 0."""

    def estimate_at(name: str, level: float) -> Estimate:
        half = float(norm.ppf(0.5 + level / 2))
        return Estimate(-errors[name], -errors[name] - half, -errors[name] + half, 100)

    return holm_below(list(errors), estimate_at)


def test_the_smallest_of_many_must_be_clearer_than_one_alone() -> None:
    assert below({"a": 2.1}) == ["a"]
    assert below({"a": 2.1, **{str(number): 0.0 for number in range(9)}}) == []
    assert below({"a": 2.9, **{str(number): 0.0 for number in range(9)}}) == ["a"]


def test_it_takes_what_the_procedure_on_p_values_takes() -> None:
    errors = {"a": 2.0, "b": 3.5, "c": 2.2, "d": 2.5, "e": 0.3}
    ordered = sorted(errors, key=lambda name: -errors[name])
    expected = []
    for step, name in enumerate(ordered):
        if 2 * norm.sf(errors[name]) > 0.05 / (len(ordered) - step):
            break
        expected.append(name)
    assert below(errors) == expected
    assert below({}) == []
