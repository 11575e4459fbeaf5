"""The ways in which the toy model misbehaves."""

from enum import StrEnum


class Fault(StrEnum):
    SLOW = "slow"
    ERRORS = "errors"
    DOWN = "down"
    TUTORIAL = "tutorial"

    @property
    def story(self) -> str:
        return _STORIES[self]

    @property
    def alerts(self) -> tuple[str, ...]:
        """Those of the bundled rules that this fault is made for, as they arrive."""
        if self in (Fault.ERRORS, Fault.DOWN):
            return ("ModelDown",)
        return ("ModelObjectiveMissed", "HighModelLatency")

    @property
    def seconds_to_alert(self) -> float:
        """For so long, at least, the fault must last for the last of them to fire."""
        return {"ModelDown": 180.0, "HighModelLatency": 600.0}[self.alerts[-1]]


_STORIES = {
    Fault.SLOW: "every answer takes 600 to 900 ms",
    Fault.ERRORS: "every answer is a fast HTTP 500",
    Fault.DOWN: "every connection is refused",
    Fault.TUTORIAL: "answers take 50 to 600 ms, 18 % of them more than 500 ms",
}
