"""Which of many differences are beyond a bound (Holm 1979, Scand. J. Stat. 6, 65)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nplight.metrics.replicates import Estimate


def holm_below(
    names: Sequence[str], estimate_at: Callable[[str, float], Estimate], bound: float = 0.0, *, level: float = 0.95
) -> list[str]:
    """The names whose values are below a bound; the chance that any of them is named wrongly is at most 1 - level.

    Holm's procedure in terms of intervals: with m names left, a name whose interval at level 1 - (1 - level) / m is
    below the bound is taken, and the rest is looked at again.

    Args:
        names: of the values.
        estimate_at: name, level -> the value with its interval at this level.
        bound: that the values are compared with.
        level: of confidence in all names together.

    Returns:
        The names, the most certain first; those taken together in the order of `names`.

    Examples:
        >>> from nplight.metrics import Estimate, holm_below
        >>> def estimate_at(name: str, level: float) -> Estimate:
        ...     half = 2.0 if level > 0.95 else 1.5  # a higher level has a wider interval
        ...     value = {"removed": -3.0, "enhanced": -1.0}[name]
        ...     return Estimate(value, value - half, value + half, 20)
        ...
        >>> holm_below(["enhanced", "removed"], estimate_at)
        ['removed']
    """
    left, taken = list(names), list[str]()
    while left:
        corrected = 1 - (1 - level) / len(left)
        beyond = [name for name in left if estimate_at(name, corrected).high < bound]
        if not beyond:
            break
        taken += beyond
        left = [name for name in left if name not in beyond]
    return taken
