"""The ways in which the toy model misbehaves."""

from enum import StrEnum


class Fault(StrEnum):
    """A fault of the toy model. The command line reads this without importing the model."""

    SLOW = "slow"
    ERRORS = "errors"
    DOWN = "down"
    TUTORIAL = "tutorial"

    @property
    def description(self) -> str:
        return _DESCRIPTIONS[self]

    @property
    def alerts(self) -> tuple[str, ...]:
        """The alerts that the fault must cause, in the order in which they fire."""
        if self in (Fault.ERRORS, Fault.DOWN):
            return ("ModelDown",)
        return ("ModelObjectiveMissed", "HighModelLatency")

    @property
    def seconds_to_alert(self) -> float:
        """How long the fault must last for the last of `alerts` to fire."""
        return {"ModelDown": 180.0, "HighModelLatency": 600.0}[self.alerts[-1]]


_DESCRIPTIONS = {
    Fault.SLOW: "every response takes 600 to 900 ms",
    Fault.ERRORS: "every response is a fast HTTP 500",
    Fault.DOWN: "every connection is refused",
    Fault.TUTORIAL: "responses take 50 to 600 ms, 18 % of them more than 500 ms",
}
