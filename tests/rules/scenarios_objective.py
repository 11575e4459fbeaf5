"""Scenarios of ModelObjectiveMissed and of its evidence recordings."""

from math import log10

from tests.rules.scenario import (
    DEFAULT_LABELS,
    HOUR,
    MINUTE,
    Check,
    episodes,
    firing,
    missed,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import (
    GOOD,
    PAUSED,
    REFUSED,
    SLOW,
    TIMEOUT,
    Objective,
    Outcome,
    Probe,
    Script,
)
from tests.rules.scripted_target import Target

NAME = "ModelObjectiveMissed"
PAGES = "ModelObjectiveMissed|ModelErrorBudgetBurn|ModelDown"
BREAKS = 6 * MINUTE
FIRES = BREAKS + 6 * MINUTE  # 3m of evidence, a scrape and an evaluation
HEALS = BREAKS + 15 * MINUTE
RESOLVED = HEALS + 15 * MINUTE  # 2m without a bad event, 10m of keep_firing_for
HEALTHY: Script = {0: (GOOD,)}
AVAILABLE = Objective(slo="up", target=0.999, threshold="+Inf")


def incident(*outcomes: Outcome) -> Script:
    """Return a script with `outcomes` alternating from BREAKS to HEALS."""
    return {0: (GOOD,), BREAKS: outcomes, HEALS: (GOOD,)}


HALF_SLOW = incident(SLOW, GOOD)


def target(script: Script, *objectives: Objective, interval: float = 5, **labels: str) -> Target:
    objectives = objectives or (Objective(),)
    probe = Probe(script=script, interval=interval, objectives=objectives)
    return Target((probe,), {**DEFAULT_LABELS, **labels})


def evidence(cluster: str, window: str, expected: float) -> Check:
    """Check that the evidence after 21 minutes is `expected`, within 6 %."""
    labels = f'cluster="{cluster}", window="{window}"'
    return Check(
        at=21 * MINUTE,
        expr=f"abs(inference_probe:slo_evidence:log10{{{labels}}} / {expected} - 1) < bool 0.06",
        samples={
            f'{{{labels}, job="inference-probe", probe="sentiment", slo="fast", alert="page"}}': 1
        },
    )


def fires_and_resolves(*alerts: str) -> tuple[Check, ...]:
    """Check that exactly `alerts` fire, and only during the incident."""
    return (
        silent(0, BREAKS + 3 * MINUTE, NAME),
        firing(FIRES, *alerts, name=NAME),
        throughout(FIRES, HEALS + 10 * MINUTE, NAME),
        firing(RESOLVED, name=NAME),
    )


FIRING = (
    scenario(
        "half of the responses are slow: fires, and resolves",
        target(HALF_SLOW),
        checks=fires_and_resolves(missed()),
    ),
    scenario(
        "one response in ten is slow: fires, also in minutes without a slow response",
        target({0: (SLOW, *[GOOD] * 9)}),
        checks=(firing(15 * MINUTE, missed(), name=NAME), throughout(HOUR / 4, HOUR, NAME)),
    ),
    scenario(
        "half of the responses of a probe every minute are slow",
        target({0: (GOOD,), BREAKS: (SLOW, GOOD)}, interval=60),
        checks=(
            silent(0, BREAKS + 4 * MINUTE, NAME),
            firing(BREAKS + HOUR / 4, missed(), name=NAME),
        ),
    ),
    scenario(
        "a share between one and three times the allowed one, at a short interval: fires on",
        target({0: (*[GOOD] * 9, SLOW)}, Objective(target=0.95), interval=1),
        checks=(
            silent(0, 10 * MINUTE, NAME),
            firing(25 * MINUTE, missed(), name=NAME),
            throughout(25 * MINUTE, 38 * MINUTE, NAME),
        ),
    ),
    scenario(
        "one response in ten of a probe every minute is slow: fires within two hours",
        target({0: (*[GOOD] * 9, SLOW)}, interval=60),
        checks=(
            silent(0, HOUR, NAME),
            firing(2 * HOUR, missed(), name=NAME),
            throughout(2 * HOUR, 3 * HOUR, NAME),
        ),
    ),
    scenario(
        "one response in 15 of a probe every minute is slow: few pages",
        target({0: (*[GOOD] * 14, SLOW)}, interval=60),
        checks=(firing(5.5 * HOUR, missed(), name=NAME), episodes(5.5 * HOUR, NAME, 2)),
    ),
    scenario(
        "errors and timeouts miss both objectives, slow responses the latency objective only",
        target(incident(TIMEOUT, REFUSED, GOOD), Objective(), AVAILABLE),
        target(incident(SLOW), Objective(), AVAILABLE, cluster="slow"),
        checks=fires_and_resolves(missed(), missed(slo="up"), missed(cluster="slow")),
    ),
    scenario(
        "fires through failed scrapes, a gap of 3 minutes and a restart",
        Target(
            (Probe(script={0: (GOOD,), BREAKS: (SLOW, GOOD)}),),
            starts=(0, FIRES + 5 * MINUTE + 5),
            failed_scrapes=(
                BREAKS + 3 * MINUTE,
                *range(FIRES + 2 * MINUTE, FIRES + 5 * MINUTE, 15),
            ),
        ),
        checks=(
            firing(FIRES + MINUTE, missed(), name=NAME),
            throughout(FIRES + MINUTE, FIRES + 25 * MINUTE, NAME),
        ),
    ),
    scenario(
        "replicas are added up, clusters and namespaces are not; one replica stops",
        target(HALF_SLOW, instance="a"),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "inference-probe", "instance": "b"},
            stops=BREAKS + 3 * MINUTE,
        ),
        target(HEALTHY, cluster="b"),
        target(HEALTHY, namespace="n"),
        target(HALF_SLOW, cluster="b", namespace="n"),
        checks=fires_and_resolves(missed(), missed(cluster="b", namespace="n")),
    ),
    scenario(
        "two targets with the same job, instance and probe do not break the rules",
        target(HALF_SLOW, pod="a"),
        target(HALF_SLOW, pod="b"),
        checks=fires_and_resolves(missed()),
    ),
)

SILENT = (
    scenario(
        "an outage of 45 s of a probe every second",
        target(
            {0: (GOOD,), 20 * MINUTE: (REFUSED,), 20 * MINUTE + 45: (GOOD,)},
            interval=1,
        ),
        checks=(silent(0, 40 * MINUTE),),
    ),
    scenario(
        "the same outage after 20 minutes that just miss the objective",
        target(
            {
                0: (*[GOOD] * 59, SLOW),
                20 * MINUTE: (REFUSED,),
                20 * MINUTE + 45: (GOOD,),
            },
            interval=1,
        ),
        checks=(silent(0, 40 * MINUTE, NAME),),
    ),
    scenario(
        "the same outage, and one response in 480 is slow at all times",
        target(
            {
                0: (*[GOOD] * 479, SLOW),
                20 * MINUTE: (REFUSED,),
                20 * MINUTE + 45: (*[GOOD] * 100, SLOW, *[GOOD] * 379),
            },
            interval=1,
        ),
        checks=(silent(0, HOUR, NAME),),
    ),
    scenario(
        "one response in a hundred is slow, as the objective allows",
        target({0: (GOOD,) * 99 + (SLOW,)}, interval=1),
        checks=(silent(0, HOUR, PAGES),),
    ),
    scenario(
        "one slow response of a daemon that has just started",
        target({0: (GOOD,), 20: (SLOW,), 25: (GOOD,)}),
        target({0: (SLOW,), 5: (GOOD,)}, cluster="first"),
        checks=(silent(0, 25 * MINUTE),),
    ),
    scenario(
        "one slow response in four of a probe every 10 minutes: not enough evidence",
        target({0: (GOOD,), 1200: (SLOW,), 1800: (GOOD,)}, interval=600),
        checks=(silent(0, HOUR),),
    ),
    scenario(
        "an objective with alert: ticket or alert: none does not page",
        target(HALF_SLOW, Objective(alert="ticket"), Objective(slo="no", alert="none")),
        checks=(silent(0, HEALS, PAGES),),
    ),
    scenario(
        "a paused probe, and failures in the startup grace",
        target({0: (GOOD,), BREAKS: (PAUSED,)}),
        target({0: (REFUSED,), 4 * MINUTE: (GOOD,)}, cluster="starting"),
        checks=(silent(0, 25 * MINUTE),),
    ),
    scenario(
        "a threshold that changes to less than the latency, and back",
        target(
            {0: (Outcome(latency=0.4, success=True),)},
            Objective(until=BREAKS + 5),
            Objective(threshold="0.25", since=BREAKS + 5, until=BREAKS + 65),
            Objective(since=BREAKS + 65),
        ),
        checks=(silent(0, 25 * MINUTE, PAGES),),
    ),
)

QUARTER_BAD = 0.25 * log10(0.25 / 0.01) + 0.75 * log10(0.75 / 0.99)

EVIDENCE = (
    scenario(
        "evidence is the number of requests times their relative entropy to the budget",
        target({0: (SLOW,)}, cluster="bad"),
        target({0: (SLOW, *[GOOD] * 3)}, cluster="quarter"),
        target({0: (GOOD,) * 49 + (SLOW,)}, Objective(target=0.95), cluster="kept"),
        checks=(
            evidence("bad", "10m", 120 * 2),
            evidence("quarter", "10m", 120 * QUARTER_BAD),
            evidence("quarter", "20m", 240 * QUARTER_BAD),
            evidence("quarter", "1h", 252 * QUARTER_BAD),
            evidence("quarter", "6h", 252 * QUARTER_BAD),
            Check(
                at=21 * MINUTE,
                expr='inference_probe:slo_evidence:log10{cluster="kept"}',
                samples={},
            ),
        ),
    ),
)

SCENARIOS = (*FIRING, *SILENT, *EVIDENCE)
