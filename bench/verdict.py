"""A result and the bound that it has to meet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One result and its bound.

    With a `baseline`, the bound applies to the ratio of `value` to it.
    """

    criterion: str
    where: str
    value: float
    bound: float
    unit: str = ""
    baseline: float | None = None
    goal: float | None = None
    """A stricter bound for the future."""

    @property
    def compared(self) -> float:
        """The ratio, or the value if there is no baseline."""
        return self.value if self.baseline is None else self.value / self.baseline

    @property
    def met(self) -> bool:
        return self.compared <= self.bound
