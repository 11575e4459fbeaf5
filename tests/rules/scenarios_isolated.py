"""Scenarios of InferenceProbeIsolated."""

from tests.rules.scenario import (
    DEFAULT_LABELS,
    DELAY,
    HOUR,
    MINUTE,
    firing,
    instance_alert,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import GOOD, REFUSED, TIMEOUT, Outcome, Probe, Script
from tests.rules.scripted_target import Target

NAME = "InferenceProbeIsolated"
ISOLATED = instance_alert(NAME)
BREAKS = 6 * MINUTE
HEALS = BREAKS + 20 * MINUTE
KEEP_FIRING = 15 * MINUTE
OUTAGE: Script = {0: (GOOD,), BREAKS: (TIMEOUT,), HEALS: (GOOD,)}
HEALTHY: Script = {0: (GOOD,)}
HOSTS = ("http://a:8080/predict", "http://b/predict", "https://user@b:8443/v1")


def probes(
    *scripts: Script, urls: tuple[str, ...] = HOSTS, interval: float = 5
) -> tuple[Probe, ...]:
    """Return a probe for each script, each to one of `urls`."""
    return tuple(
        Probe(
            script=script, name=f"m{n}", url=urls[n % len(urls)], interval=interval, objectives=()
        )
        for n, script in enumerate(scripts)
    )


def breaks(at: float, outcome: Outcome = REFUSED) -> Script:
    return {0: (GOOD,), at: (outcome,)}


SCENARIOS = (
    scenario(
        "three probes to two hosts fail at once: fires before ModelDown, and resolves after it",
        Target(probes(OUTAGE, OUTAGE, OUTAGE)),
        Target(
            probes(HEALTHY, HEALTHY, HEALTHY), {**DEFAULT_LABELS, "instance": "b", "job": "other"}
        ),
        checks=(
            silent(0, BREAKS + MINUTE),
            firing(BREAKS + 150 + DELAY + 30, ISOLATED, name=NAME),
            throughout(BREAKS + 4 * MINUTE, HEALS + KEEP_FIRING, NAME),
            firing(HEALS + KEEP_FIRING + DELAY),
        ),
    ),
    scenario(
        "a slow probe has no result yet, and one model was down before",
        Target(
            (
                *probes(breaks(0), OUTAGE, OUTAGE, OUTAGE),
                Probe(script=OUTAGE, name="slow", interval=900, objectives=()),
            ),
            starts=(-HOUR,),
        ),
        checks=(throughout(BREAKS + 4 * MINUTE, HEALS, NAME),),
    ),
    scenario(
        "the daemon restarts while it is isolated",
        Target(
            probes(breaks(BREAKS), breaks(BREAKS), breaks(BREAKS)),
            starts=(0, BREAKS + 5 * MINUTE + 5),
        ),
        checks=(throughout(BREAKS + 4 * MINUTE, HOUR, NAME),),
    ),
    scenario(
        "silent: one host, two probes, or a probe with successes",
        Target(probes(OUTAGE, OUTAGE, OUTAGE, urls=HOSTS[:1])),
        Target(probes(OUTAGE, OUTAGE), {**DEFAULT_LABELS, "instance": "b"}),
        Target(probes(OUTAGE, OUTAGE, OUTAGE, HEALTHY), {**DEFAULT_LABELS, "instance": "c"}),
        checks=(silent(0, HEALS, NAME),),
    ),
    scenario(
        "silent: three outages, each 8 minutes after the one before",
        Target(probes(breaks(BREAKS), breaks(BREAKS + 480), breaks(BREAKS + 960))),
        checks=(silent(0, HOUR, NAME),),
    ),
)
