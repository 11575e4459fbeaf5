"""Scenarios of the SLI recordings and of HighModelLatency."""

from dataclasses import replace

from tests.rules.scenario import (
    HOUR,
    MINUTE,
    Check,
    firing,
    high_latency,
    histogram_missing,
    scenario,
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
from tests.rules.scripted_target import Target

TURNS_SLOW = 6 * MINUTE
FIRES = TURNS_SLOW + 13 * MINUTE  # 10m of `for`, a scrape and an evaluation
TURNS_GOOD = TURNS_SLOW + 22 * MINUTE
KEEP_FIRING = 15 * MINUTE
RESOLVED = TURNS_GOOD + 12 * MINUTE + KEEP_FIRING  # the window of 10m, a scrape and an evaluation
ONE_IN_THREE_SLOW = (SLOW, GOOD, GOOD)
NAME = "HighModelLatency"
AVAILABLE = Objective(slo="up", target=0.999, threshold="+Inf")


def incident(*outcomes: Outcome) -> Script:
    """Return a script: good, then `outcomes` alternating for 22 minutes, then good again."""
    return {0: (GOOD,), TURNS_SLOW: outcomes, TURNS_GOOD: (GOOD,)}


def target(probe: Probe, **labels: str) -> Target:
    return Target((probe,), {"job": "inference-probe", "instance": "probe:10115", **labels})


def fires(*alerts: str) -> tuple[Check, ...]:
    """Check that exactly `alerts` fire, from 10 minutes after the incident begins to its end."""
    return (
        silent(0, TURNS_SLOW + 9 * MINUTE, NAME),
        firing(FIRES, *alerts, name=NAME),
        throughout(FIRES, TURNS_GOOD, NAME),
    )


def fires_and_resolves(*alerts: str) -> tuple[Check, ...]:
    """Check that exactly `alerts` fire, and are held for 15 minutes after the incident."""
    return (
        *fires(*alerts),
        throughout(TURNS_GOOD, TURNS_GOOD + KEEP_FIRING, NAME),
        firing(RESOLVED, name=NAME),
    )


def no_bad_events(end: float) -> tuple[Check, ...]:
    """Check that the SLI recordings count no bad event up to `end`."""
    series = '{job="inference-probe", probe="sentiment", slo="fast"}'
    expr = f"max_over_time(inference_probe:slo_bad:increase5m[{end}s])"
    return silent(0, end), Check(at=end, expr=expr, samples={series: 0})


PARTLY_SLOW = Probe(script=incident(*ONE_IN_THREE_SLOW))
HEALTHY = Probe(script={0: (GOOD,)})

BASICS = (
    scenario(
        "one response in three is slow: fires, and resolves",
        target(PARTLY_SLOW),
        checks=fires_and_resolves(high_latency()),
    ),
    scenario(
        "one slow response does not fire",
        target(Probe(script={0: (GOOD,), TURNS_SLOW: (SLOW,), TURNS_SLOW + 5: (GOOD,)})),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "a model that just meets its objective does not fire",
        target(
            Probe(
                interval=3,
                objectives=(Objective(target=0.9),),
                script=incident(SLOW, *[GOOD] * 9),
            )
        ),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "fast errors are bad events",
        target(Probe(script=incident(REFUSED, GOOD))),
        checks=fires(high_latency()),
    ),
    scenario(
        "one failed scrape while pending and one while firing",
        Target((PARTLY_SLOW,), failed_scrapes=(TURNS_SLOW + 5 * MINUTE, FIRES + 5 * MINUTE)),
        checks=fires(high_latency()),
    ),
    scenario(
        "two objectives on one probe: slow responses miss the latency objective only",
        target(Probe(script=incident(*ONE_IN_THREE_SLOW), objectives=(Objective(), AVAILABLE))),
        checks=fires(high_latency()),
    ),
    scenario(
        "two objectives on one probe: timeouts miss both",
        target(Probe(script=incident(TIMEOUT, GOOD), objectives=(Objective(), AVAILABLE))),
        checks=fires(high_latency(), high_latency(slo="up")),
    ),
    scenario(
        "a probe every 5 minutes is too infrequent for a window of 5 minutes, but not for 10",
        target(Probe(interval=300, script={0: (GOOD,), HOUR: (SLOW,)})),
        checks=(silent(0, HOUR, NAME), firing(2.5 * HOUR, high_latency(), name=NAME)),
    ),
    scenario(
        "one response in 36 of a probe every 10 s is slow: 10 minutes often have a single slow one",
        target(Probe(interval=10, script={0: (SLOW, *[GOOD] * 35)})),
        checks=(
            silent(0, 20 * MINUTE, NAME),
            firing(2 * HOUR, high_latency(), name=NAME),
            throughout(2 * HOUR, 2.5 * HOUR, NAME),
        ),
    ),
    scenario(
        "an outage of 45 s is in every window of 10 minutes for 10 minutes",
        target(
            Probe(
                interval=1,
                script={
                    0: (*[GOOD] * 479, SLOW),
                    20 * MINUTE: (REFUSED,),
                    20 * MINUTE + 45: (*[GOOD] * 479, SLOW),
                },
            )
        ),
        checks=(silent(0, HOUR),),
    ),
    scenario(
        "restarts within the window",
        Target((PARTLY_SLOW,), starts=(0, TURNS_SLOW + 6 * MINUTE + 5, FIRES + 125)),
        checks=fires(high_latency()),
    ),
    scenario(
        "a restart of a healthy probe makes no bad events",
        Target((HEALTHY,), starts=(0, TURNS_SLOW + 5)),
        checks=no_bad_events(30 * MINUTE),
    ),
)

TARGETS = (
    scenario(
        "two replicas are added up",
        target(PARTLY_SLOW, instance="a:10115"),
        target(HEALTHY, instance="b:10115"),
        checks=fires(high_latency()),
    ),
    scenario(
        "clusters and namespaces with the same names are separate",
        target(PARTLY_SLOW, cluster="a", namespace="n"),
        target(HEALTHY, cluster="b", namespace="n"),
        target(HEALTHY, cluster="a", namespace="m"),
        checks=fires(high_latency(cluster="a", namespace="n")),
    ),
    scenario(
        "two targets with the same job, instance and probe do not break the rules",
        target(PARTLY_SLOW, pod="a"),
        target(PARTLY_SLOW, pod="b"),
        checks=fires(high_latency()),
    ),
    scenario(
        "a scrape job with another name",
        target(PARTLY_SLOW, job="monitoring/model-sidecars"),
        checks=fires(high_latency(job="monitoring/model-sidecars")),
    ),
)


def with_objectives(
    *objectives: Objective, script: Script | None = None, histogram_resets: tuple[float, ...] = ()
) -> Target:
    script = script or incident(*ONE_IN_THREE_SLOW)
    return target(Probe(script=script, objectives=objectives, histogram_resets=histogram_resets))


LEVELS = (
    scenario(
        "an objective with alert: ticket gets this warning",
        with_objectives(Objective(alert="ticket")),
        checks=fires(high_latency()),
    ),
    scenario(
        "an objective with alert: none gets no alert",
        with_objectives(Objective(alert="none")),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "replicas with different alert levels and targets do not break the rules",
        target(PARTLY_SLOW, instance="a:10115"),
        target(
            replace(PARTLY_SLOW, objectives=(Objective(target=0.95, alert="ticket"),)),
            instance="b:10115",
        ),
        checks=fires(high_latency()),
    ),
)

THRESHOLD_CHANGES = TURNS_SLOW + 5  # a reload between two scrapes
ABOVE_250_MS: Script = {0: (Outcome(latency=0.4, success=True),)}

THRESHOLDS = (
    scenario(
        "a threshold that changes to another bucket adds no bad events",
        with_objectives(
            Objective(until=THRESHOLD_CHANGES),
            Objective(threshold="0.25", since=THRESHOLD_CHANGES),
            script={0: (GOOD,)},
        ),
        checks=no_bad_events(30 * MINUTE),
    ),
    scenario(
        "a threshold that changes to a new bucket resets the histogram: no bad events",
        with_objectives(
            Objective(until=THRESHOLD_CHANGES),
            Objective(threshold="0.25", since=THRESHOLD_CHANGES),
            script={0: (GOOD,)},
            histogram_resets=(THRESHOLD_CHANGES,),
        ),
        checks=no_bad_events(30 * MINUTE),
    ),
    scenario(
        "a threshold that changes to less than the latency fires",
        with_objectives(
            Objective(until=THRESHOLD_CHANGES),
            Objective(threshold="0.25", since=THRESHOLD_CHANGES),
            script=ABOVE_250_MS,
        ),
        checks=(
            silent(0, TURNS_SLOW + 9 * MINUTE, NAME),
            firing(FIRES, high_latency(), name=NAME),
        ),
    ),
    scenario(
        "a threshold that changes to more than the latency resolves",
        with_objectives(
            Objective(threshold="0.25", until=FIRES + 5),
            Objective(since=FIRES + 5),
            script=ABOVE_250_MS,
        ),
        checks=(
            throughout(13 * MINUTE, FIRES, NAME),
            firing(FIRES + 12 * MINUTE + KEEP_FIRING, name=NAME),
        ),
    ),
    scenario(
        "a threshold that is not a bucket has no events; other objectives are not affected",
        with_objectives(Objective(slo="typo", threshold="0.3"), Objective()),
        checks=(
            Check(
                at=FIRES,
                expr='{__name__=~"inference_probe:slo_(good|bad):count", slo="typo"}',
                samples={},
            ),
            firing(FIRES, high_latency(), histogram_missing(), name=f"{NAME}|InferenceProbe.+"),
        ),
    ),
)

SCENARIOS = (*BASICS, *TARGETS, *LEVELS, *THRESHOLDS)
