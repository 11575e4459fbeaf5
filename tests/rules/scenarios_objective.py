"""Scenarios of ModelObjectiveMissed, and of the evidence that it goes by."""

from math import log10

from tests.rules.daemon import Target
from tests.rules.scenario import (
    HOUR,
    MINUTE,
    Check,
    case,
    firing,
    missed,
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

NAME = "ModelObjectiveMissed"
PAGES = "ModelObjectiveMissed|ModelErrorBudgetBurn|ModelDown"
BREAKS = 6 * MINUTE
FIRES = BREAKS + 6 * MINUTE  # 3m in which the evidence stands, scraped and evaluated
HEALS = BREAKS + 15 * MINUTE
RESOLVED = HEALS + 15 * MINUTE  # 2m without a bad one, 10m of keep_firing_for
HEALTHY: Script = {0: (GOOD,)}
UP = Objective(slo="up", target=0.999, threshold="+Inf")


def troubled(*outcomes: Outcome) -> Script:
    return {0: (GOOD,), BREAKS: outcomes, HEALS: (GOOD,)}


HALF_SLOW = troubled(SLOW, GOOD)


def one(script: Script, *objectives: Objective, interval: float = 5, **labels: str) -> Target:
    them = objectives or (Objective(),)
    probe = Probe(script=script, interval=interval, objectives=them)
    return Target((probe,), {"job": "inference-probe", "instance": "probe:10115", **labels})


def evidence(cluster: str, window: str, expected: float) -> Check:
    """It is that after 21 minutes, give or take 6 %."""
    labels = f'cluster="{cluster}", window="{window}"'
    return Check(
        at=21 * MINUTE,
        expr=f"abs(inference_probe:slo_evidence:log10{{{labels}}} / {expected} - 1) < bool 0.06",
        samples={
            f'{{{labels}, job="inference-probe", probe="sentiment", slo="fast", alert="page"}}': 1
        },
    )


def comes_and_goes(*alerts: str) -> tuple[Check, ...]:
    return (
        silent(0, BREAKS + 3 * MINUTE, NAME),
        firing(FIRES, *alerts, name=NAME),
        throughout(FIRES, HEALS + 10 * MINUTE, NAME),
        firing(RESOLVED, name=NAME),
    )


FIRING = (
    case(
        "half of the answers are slow: fires, and resolves",
        one(HALF_SLOW),
        checks=comes_and_goes(missed()),
    ),
    case(
        "one answer in ten is slow: fires, though there are minutes without a slow one",
        one({0: (SLOW, *[GOOD] * 9)}),
        checks=(firing(15 * MINUTE, missed(), name=NAME), throughout(HOUR / 4, HOUR, NAME)),
    ),
    case(
        "half of the answers of a probe every minute are slow",
        one({0: (GOOD,), BREAKS: (SLOW, GOOD)}, interval=60),
        checks=(
            silent(0, BREAKS + 4 * MINUTE, NAME),
            firing(BREAKS + HOUR / 4, missed(), name=NAME),
        ),
    ),
    case(
        "one answer in ten of a probe every minute is slow: hours tell",
        one({0: (*[GOOD] * 9, SLOW)}, interval=60),
        checks=(
            silent(0, HOUR, NAME),
            firing(2 * HOUR, missed(), name=NAME),
            throughout(2 * HOUR, 3 * HOUR, NAME),
        ),
        scrapes=(60,),
    ),
    case(
        "fast errors and timeouts are bad, and slow ones only for the objective that asks",
        one(troubled(TIMEOUT, REFUSED, GOOD), Objective(), UP),
        one(troubled(SLOW), Objective(), UP, cluster="slow"),
        checks=comes_and_goes(missed(), missed(slo="up"), missed(cluster="slow")),
    ),
    case(
        "failed scrapes, a gap of 3 minutes and a restart while it lasts",
        Target(
            (Probe(script={0: (GOOD,), BREAKS: (SLOW, GOOD)}),),
            starts=(0, FIRES + 5 * MINUTE + 5),
            failed=(BREAKS + 3 * MINUTE, *range(FIRES + 2 * MINUTE, FIRES + 5 * MINUTE, 15)),
        ),
        checks=(
            firing(FIRES + MINUTE, missed(), name=NAME),
            throughout(FIRES + MINUTE, FIRES + 25 * MINUTE, NAME),
        ),
    ),
    case(
        "replicas add up, clusters and namespaces do not, and one that is lost ends nothing",
        one(HALF_SLOW, instance="a"),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "inference-probe", "instance": "b"},
            gone=BREAKS + 3 * MINUTE,
        ),
        one(HEALTHY, cluster="b"),
        one(HEALTHY, namespace="n"),
        one(HALF_SLOW, cluster="b", namespace="n"),
        checks=comes_and_goes(missed(), missed(cluster="b", namespace="n")),
    ),
    case(
        "two targets that share job, instance and probe do not end the rules",
        one(HALF_SLOW, pod="a"),
        one(HALF_SLOW, pod="b"),
        checks=comes_and_goes(missed()),
    ),
)

SILENT = (
    case(
        "a blackout of 45 s of a probe every second",
        one(
            {0: (GOOD,), 20 * MINUTE: (REFUSED,), 20 * MINUTE + 45: (GOOD,)},
            interval=1,
        ),
        checks=(silent(0, 40 * MINUTE),),
    ),
    case(
        "the same blackout after a while that was a little worse than allowed",
        one(
            {
                0: (*[GOOD] * 59, SLOW),
                20 * MINUTE: (REFUSED,),
                20 * MINUTE + 45: (GOOD,),
            },
            interval=1,
        ),
        checks=(silent(0, 40 * MINUTE, NAME),),
    ),
    case(
        "one answer in a hundred is slow, as the objective allows",
        one({0: (GOOD,) * 99 + (SLOW,)}, interval=1),
        checks=(silent(0, HOUR, PAGES),),
    ),
    case(
        "one slow answer of a daemon that has just started",
        one({0: (GOOD,), 20: (SLOW,), 25: (GOOD,)}),
        one({0: (SLOW,), 5: (GOOD,)}, cluster="first"),
        checks=(silent(0, 25 * MINUTE),),
    ),
    case(
        "one slow answer in four of a probe every 10 minutes: short of the evidence",
        one({0: (GOOD,), 1200: (SLOW,), 1800: (GOOD,)}, interval=600),
        checks=(silent(0, HOUR),),
    ),
    case(
        "an objective that asks for tickets or for nothing pages nobody",
        one(HALF_SLOW, Objective(alert="ticket"), Objective(slo="no", alert="none")),
        checks=(silent(0, HEALS, PAGES),),
    ),
    case(
        "a probe that is paused, and failures while the model starts",
        one({0: (GOOD,), BREAKS: (PAUSED,)}),
        one({0: (REFUSED,), 4 * MINUTE: (GOOD,)}, cluster="starting"),
        checks=(silent(0, 25 * MINUTE),),
    ),
    case(
        "a threshold that moves below the latency, and back",
        one(
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
    case(
        "evidence is the number of requests times their relative entropy to the budget",
        one({0: (SLOW,)}, cluster="bad"),
        one({0: (SLOW, *[GOOD] * 3)}, cluster="quarter"),
        one({0: (GOOD,) * 49 + (SLOW,)}, Objective(target=0.95), cluster="kept"),
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
