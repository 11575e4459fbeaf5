"""The toy models, and the ways in which they misbehave.

The command line reads this without importing the models.
"""

from enum import StrEnum


class ModelType(StrEnum):
    """A toy model: a classifier, a language model that streams tokens, or one with batches."""

    SENTIMENT = "sentiment"
    LLM = "llm"
    BATCHING = "batching"

    @property
    def path(self) -> str:
        """The path of its URL, which accepts a POST."""
        return "/v1/chat/completions" if self is ModelType.LLM else "/predict"

    @property
    def probe_name(self) -> str:
        """The name of its probe in the demo."""
        return "chat" if self is ModelType.LLM else self.value

    @property
    def faults(self) -> tuple["Fault", ...]:
        return tuple(fault for fault in Fault if self in fault.models)


class Fault(StrEnum):
    """A fault of a toy model."""

    SLOW = "slow"
    ERRORS = "errors"
    DOWN = "down"
    TUTORIAL = "tutorial"
    SLOW_FIRST_TOKEN = "slow-first-token"
    STALL = "stall"
    TRUNCATED = "truncated"
    STREAM_ERROR = "stream-error"

    @property
    def models(self) -> tuple[ModelType, ...]:
        """The toy models that can have the fault."""
        if self in _STREAM_FAULTS:
            return (ModelType.LLM,)
        if self in (Fault.ERRORS, Fault.DOWN):
            return (ModelType.SENTIMENT, ModelType.BATCHING)
        return (ModelType.SENTIMENT,)

    @property
    def description(self) -> str:
        return _DESCRIPTIONS[self]

    @property
    def alerts(self) -> tuple[str, ...]:
        """The alerts that the fault must cause, in the order in which they fire."""
        if self in (Fault.SLOW, Fault.TUTORIAL, Fault.SLOW_FIRST_TOKEN):
            return ("ModelObjectiveMissed", "HighModelLatency")
        return ("ModelDown",)

    @property
    def seconds_to_alert(self) -> float:
        """How long the fault must last for the last of `alerts` to fire."""
        return {"ModelDown": 180.0, "HighModelLatency": 600.0}[self.alerts[-1]]


_STREAM_FAULTS = (Fault.SLOW_FIRST_TOKEN, Fault.STALL, Fault.TRUNCATED, Fault.STREAM_ERROR)

_DESCRIPTIONS = {
    Fault.SLOW: "every response takes 600 to 900 ms",
    Fault.ERRORS: "every response is a fast HTTP 500",
    Fault.DOWN: "every connection is refused",
    Fault.TUTORIAL: "responses take 50 to 600 ms, 18 % of them more than 500 ms",
    Fault.SLOW_FIRST_TOKEN: "the first token takes 600 to 900 ms, the others are fast",
    Fault.STALL: "every stream stops after its third token",
    Fault.TRUNCATED: "every stream ends after its third token, without a finish reason",
    Fault.STREAM_ERROR: "every stream has the status 200, and an error after its third token",
}
