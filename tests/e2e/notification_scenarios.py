"""Incidents, and how many notifications they cause. Times are seconds before the time scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from tests.rules.scripted_probe import Objective, Outcome, Probe
from tests.rules.scripted_target import Target

MINUTE = 60
INTERVAL_SECONDS = 10
HEALTHY_SECONDS = 20 * MINUTE
END_SECONDS = 120 * MINUTE

GOOD = Outcome(latency=0.01, success=True)
BAD = Outcome(latency=0.01)
HUNG = Outcome(latency=inf)

# From each time after the healthy start on, the results of the probes; several alternate.
Timeline = Mapping[float, tuple[Outcome, ...]]

OBJECTIVES = (
    Objective(slo="fast", target=0.99, threshold="0.5"),
    Objective(slo="up", target=0.999, threshold="+Inf"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happens to `probes` probes of one instance, and the notifications about it."""

    description: str
    timeline: Timeline
    pages: int
    """Pages that are opened. Additional alerts of the incident update them."""
    max_tickets: int
    alerts: tuple[str, ...] = ()
    """Names of the alerts in the pages."""
    probes: int = 1
    restarts: tuple[float, ...] = ()

    def target(self, factor: int, start: float) -> Target:
        """Return the target, `factor` times as fast. `start` is its start (Unix seconds)."""
        script = {
            0.0: (GOOD,),
            **{
                (HEALTHY_SECONDS + begin) / factor: outcomes
                for begin, outcomes in self.timeline.items()
            },
        }
        return Target(
            tuple(
                Probe(
                    name=f"model-{number}",
                    url=f"http://host-{number}/predict",
                    script=script,
                    interval=INTERVAL_SECONDS / factor,
                    timeout=5 / factor,
                    objectives=OBJECTIVES,
                    buckets=("0.5", "+Inf"),
                )
                for number in range(self.probes)
            ),
            labels={},
            starts=(0, *((HEALTHY_SECONDS + at) / factor for at in self.restarts)),
            startup_grace=300 / factor,
            clock_ahead=start,
        )


def periodic(bad: float, good: float, cycles: int) -> Timeline:
    """Return a timeline of `cycles` outages of `bad` seconds, `good` seconds apart."""
    period = bad + good
    return {
        cycle * period + offset: (outcome,)
        for cycle in range(cycles)
        for offset, outcome in ((0.0, BAD), (bad, GOOD))
    }


OUTAGE: Timeline = {0: (BAD,), 30 * MINUTE: (GOOD,)}

OBJECTIVE = ("ModelObjectiveMissed", "ModelErrorBudgetBurn")

INCIDENTS: Mapping[str, Incident] = {
    "outage": Incident(
        description="a model is down for 30 minutes",
        timeline=OUTAGE,
        pages=1,
        max_tickets=1,
        alerts=("ModelDown", *OBJECTIVE),
    ),
    "half": Incident(
        description="every second request to a model fails for 30 minutes",
        timeline={0: (BAD, GOOD), 30 * MINUTE: (GOOD,)},
        pages=1,
        max_tickets=2,
        alerts=OBJECTIVE,
    ),
    "flapping": Incident(
        description="a model fails for 10 s twice a minute, for 30 minutes",
        timeline={0: (BAD, GOOD, GOOD), 30 * MINUTE: (GOOD,)},
        pages=1,
        max_tickets=2,
        alerts=OBJECTIVE,
    ),
    "periodic": Incident(
        description="a model is down four times for 5 minutes, 15 minutes apart",
        timeline=periodic(5 * MINUTE, 15 * MINUTE, 4),
        pages=4,
        max_tickets=2,
        alerts=("ModelDown", *OBJECTIVE),
    ),
    "hung": Incident(
        description="the scheduler of an instance with ten probes hangs for 30 minutes",
        timeline={0: (HUNG,), 30 * MINUTE: (GOOD,)},
        probes=10,
        pages=1,
        max_tickets=0,
        alerts=("InferenceProbeNoData",),
    ),
    "isolated": Incident(
        description="an instance with ten probes has no network for 30 minutes",
        timeline=OUTAGE,
        probes=10,
        pages=1,
        max_tickets=10,
        alerts=("InferenceProbeIsolated",),
    ),
    "restart": Incident(
        description="an instance restarts while all models are healthy",
        timeline={},
        probes=3,
        restarts=(0,),
        pages=0,
        max_tickets=0,
    ),
    "restart-in-outage": Incident(
        description="an instance restarts during an outage of 30 minutes",
        timeline=OUTAGE,
        restarts=(10 * MINUTE,),
        pages=1,
        max_tickets=1,
        alerts=("ModelDown", *OBJECTIVE),
    ),
}
