"""Measurements of load tests with chosen counts."""

from collections import Counter
from collections.abc import Callable

from probe.load.measurement import Counts, LatencyHistogram, StepMeasurement
from probe.load.objective import LoadObjective
from probe.result import Component, Phase, Reason

OBJECTIVE = LoadObjective(target=0.95, threshold_seconds=0.1)


def second(
    requests: int,
    bad: int = 0,
    *,
    failed: int = 0,
    reason: Reason = Reason.OVERLOADED,
    completed: int | None = None,
    in_flight: float | None = None,
    latency: float = 0.05,
    lag: float = 0.0,
) -> Counts:
    """Return the counts of one second. Failures are bad; `latency` and `lag` are in seconds."""
    completed = requests if completed is None else completed
    latencies, lags = LatencyHistogram(), LatencyHistogram()
    if completed > failed:
        latencies.observe(latency, completed - failed)
    if requests:
        lags.observe(lag, requests)
    events = requests if reason.counts_against_slo else requests - failed
    return Counts(
        offered=requests,
        completed=completed,
        failures=Counter({reason: failed} if failed else {}),
        events=(events,),
        bad=(bad + failed if reason.counts_against_slo else bad,),
        latencies=latencies,
        latency_seconds=latency * completed,
        phases={Phase.WAIT: latency * completed},
        components={Component.QUEUE: latency * completed / 2},
        in_flight_seconds=latency * requests if in_flight is None else in_flight,
        lags=lags,
    )


def measurement(*seconds: Counts) -> StepMeasurement:
    """Return a measurement in which all requests are judged."""
    return StepMeasurement(seconds=seconds, complete_until=len(seconds))


class ScriptedGenerator:
    """Load generator in virtual time. `respond` returns the counts of each second at a rate."""

    def __init__(self, respond: Callable[[float, int], Counts]) -> None:
        self._respond = respond
        self.clock = 0.0
        self.rates: list[float] = []
        """The rates of the steps until now."""
        self._seconds: list[Counts] = []

    def start(self, rate: float) -> None:
        self.rates.append(rate)
        self._seconds = []

    def measure(self, until: float) -> StepMeasurement:
        for number in range(len(self._seconds), int(until)):
            self._seconds.append(self._respond(self.rates[-1], number))
        return measurement(*self._seconds)

    def stop(self) -> StepMeasurement:
        self.clock += len(self._seconds)
        return measurement(*self._seconds)
