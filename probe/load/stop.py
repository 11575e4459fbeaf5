"""Reasons why a load test ends."""

from enum import StrEnum


class StopReason(StrEnum):
    """Reason why a load test ended. The value completes the sentence "It ended because ..."."""

    CONFIRMED = "a rate was confirmed"
    NO_RATE = "no rate met the objectives"
    ENDPOINT_DOWN = "the endpoint failed at a rate that it had served before, or at all rates"
    SATURATED = "the load generator was too late or failed, even at the lowest rate"
    GENERATOR_FAILED = "a process of the load generator failed"
    OUT_OF_TIME = "the time was over before a rate was confirmed"
    MAX_REQUESTS = "--max-requests was reached"
    MAX_TOKENS = "--max-tokens was reached"
    INTERRUPTED = "it was interrupted"
    ONE_SHARE = "this is one of several shares, and --from-prometheus has the result of all"
    NOT_CONFIRMED = "no step of at least 2 minutes met the objectives"


class LoadTestEnded(Exception):
    """The load test has to end now. Its measurements until now are valid."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason
