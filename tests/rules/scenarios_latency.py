"""Scenarios of the SLI and of HighModelLatency."""

from dataclasses import replace
from math import inf

from tests.rules.daemon import Target
from tests.rules.scenario import (
    HOUR,
    MINUTE,
    Check,
    case,
    firing,
    high_latency,
    no_data,
    silent,
    throughout,
)
from tests.rules.scripted_probe import (
    GOOD,
    REFUSED,
    SLOW,
    TIMEOUT,
    Objective,
    Outcome,
    Probe,
    Script,
)

TURNS_SLOW = 6 * MINUTE
FIRES = TURNS_SLOW + 13 * MINUTE  # 10 of `for`, and time to be scraped and evaluated
TURNS_GOOD = TURNS_SLOW + 22 * MINUTE
RESOLVED = TURNS_GOOD + 7 * MINUTE  # the window of 5, scraped and evaluated
ONE_IN_THREE_SLOW = (SLOW, GOOD, GOOD)
NAME = "HighModelLatency"
UP = Objective(slo="up", target=0.999, threshold="+Inf")


def troubled(*outcomes: Outcome) -> Script:
    """Good, then these outcomes in turns for half an hour, then good again."""
    return {0: (GOOD,), TURNS_SLOW: outcomes, TURNS_GOOD: (GOOD,)}


def target(probe: Probe, **labels: str) -> Target:
    return Target((probe,), {"job": "inference-probe", "instance": "probe:10115", **labels})


def comes_and_goes(*alerts: str) -> tuple[Check, ...]:
    """Nothing fires too early, these do while it lasts, and nothing does after."""
    return (
        silent(0, TURNS_SLOW + 9 * MINUTE, NAME),
        firing(FIRES, *alerts, name=NAME),
        throughout(FIRES, TURNS_GOOD, NAME),
        firing(RESOLVED, name=NAME),
    )


def no_phantoms(end: float) -> tuple[Check, ...]:
    """No event was ever counted as bad."""
    series = '{job="inference-probe", probe="sentiment", slo="fast"}'
    expr = f"max_over_time(inference_probe:slo_bad:increase5m[{end}s])"
    return silent(0, end), Check(at=end, expr=expr, samples={series: 0})


SLOW_AT_TIMES = Probe(script=troubled(*ONE_IN_THREE_SLOW))
HEALTHY = Probe(script={0: (GOOD,)})

BASICS = (
    case(
        "one answer in three is slow: fires, and resolves",
        target(SLOW_AT_TIMES),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "one slow answer does not fire",
        target(Probe(script={0: (GOOD,), TURNS_SLOW: (SLOW,), TURNS_SLOW + 5: (GOOD,)})),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "a model that just meets its objective keeps it",
        target(
            Probe(
                interval=3,
                objectives=(Objective(target=0.9),),
                script=troubled(SLOW, *[GOOD] * 9),
            )
        ),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "fast errors are bad events",
        target(Probe(script=troubled(REFUSED, GOOD))),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "one failed scrape while pending and one while firing",
        Target((SLOW_AT_TIMES,), failed=(TURNS_SLOW + 5 * MINUTE, FIRES + 5 * MINUTE)),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "two objectives on one probe: slow answers miss the fast one only",
        target(Probe(script=troubled(*ONE_IN_THREE_SLOW), objectives=(Objective(), UP))),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "two objectives on one probe: timeouts miss both",
        target(Probe(script=troubled(TIMEOUT, GOOD), objectives=(Objective(), UP))),
        checks=comes_and_goes(high_latency(), high_latency(slo="up")),
    ),
    case(
        "a probe every 10 minutes is too slow for 5 minutes: silent, however slow the model",
        target(Probe(interval=600, script={0: (GOOD,), HOUR: (SLOW,)})),
        checks=(silent(0, 3 * HOUR, NAME),),
    ),
    case(
        "a restart inside the window",
        Target((SLOW_AT_TIMES,), starts=(0, TURNS_SLOW + 6 * MINUTE + 5, FIRES + 125)),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "a restart of a healthy probe makes no bad events",
        Target((HEALTHY,), starts=(0, TURNS_SLOW + 5)),
        checks=no_phantoms(30 * MINUTE),
    ),
)

TARGETS = (
    case(
        "two replicas add up",
        target(SLOW_AT_TIMES, instance="a:10115"),
        target(HEALTHY, instance="b:10115"),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "clusters and namespaces with the same names stay apart",
        target(SLOW_AT_TIMES, cluster="a", namespace="n"),
        target(HEALTHY, cluster="b", namespace="n"),
        target(HEALTHY, cluster="a", namespace="m"),
        checks=comes_and_goes(high_latency(cluster="a", namespace="n")),
    ),
    case(
        "two targets that share job, instance and probe do not end the rules",
        target(SLOW_AT_TIMES, pod="a"),
        target(SLOW_AT_TIMES, pod="b"),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "a scrape job with another name",
        target(SLOW_AT_TIMES, job="monitoring/model-sidecars"),
        checks=comes_and_goes(high_latency(job="monitoring/model-sidecars")),
    ),
)


def objectives(*them: Objective, script: Script | None = None, rebuilt: float = inf) -> Target:
    script = script or troubled(*ONE_IN_THREE_SLOW)
    return target(Probe(script=script, objectives=them, rebuilt=rebuilt))


LEVELS = (
    case(
        "an objective that asks for tickets gets this warning",
        objectives(Objective(alert="ticket")),
        checks=comes_and_goes(high_latency()),
    ),
    case(
        "an objective that asks for no alerts gets none",
        objectives(Objective(alert="none")),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "replicas that disagree on the alert level and the target do not end the rules",
        target(SLOW_AT_TIMES, instance="a:10115"),
        target(
            replace(SLOW_AT_TIMES, objectives=(Objective(target=0.95, alert="ticket"),)),
            instance="b:10115",
        ),
        checks=comes_and_goes(high_latency()),
    ),
)

MOVES = TURNS_SLOW + 5  # a reload between two scrapes
SLOW_TO_A_QUARTER: Script = {0: (Outcome(latency=0.4, success=True),)}

THRESHOLDS = (
    case(
        "a threshold that moves to another bucket makes no bad events",
        objectives(
            Objective(until=MOVES), Objective(threshold="0.25", since=MOVES), script={0: (GOOD,)}
        ),
        checks=no_phantoms(30 * MINUTE),
    ),
    case(
        "a threshold that moves to a new bucket starts the histogram anew: no bad events",
        objectives(
            Objective(until=MOVES),
            Objective(threshold="0.25", since=MOVES),
            script={0: (GOOD,)},
            rebuilt=MOVES,
        ),
        checks=no_phantoms(30 * MINUTE),
    ),
    case(
        "a threshold that moves below the latency fires",
        objectives(
            Objective(until=MOVES),
            Objective(threshold="0.25", since=MOVES),
            script=SLOW_TO_A_QUARTER,
        ),
        checks=(
            silent(0, TURNS_SLOW + 9 * MINUTE, NAME),
            firing(FIRES, high_latency(), name=NAME),
        ),
    ),
    case(
        "a threshold that moves above the latency resolves",
        objectives(
            Objective(threshold="0.25", until=FIRES + 5),
            Objective(since=FIRES + 5),
            script=SLOW_TO_A_QUARTER,
        ),
        checks=(
            throughout(13 * MINUTE, FIRES, NAME),
            firing(FIRES + 7 * MINUTE, name=NAME),
        ),
    ),
    case(
        "a threshold that is no bucket makes neither good nor bad events; the others count on",
        objectives(Objective(slo="typo", threshold="0.3"), Objective()),
        checks=(
            Check(
                at=FIRES,
                expr='{__name__=~"inference_probe:slo_(good|bad):count", slo="typo"}',
                samples={},
            ),
            firing(FIRES, high_latency(), no_data(slo="typo"), name=f"{NAME}|InferenceProbeNoData"),
        ),
    ),
)

SCENARIOS = (*BASICS, *TARGETS, *LEVELS, *THRESHOLDS)
