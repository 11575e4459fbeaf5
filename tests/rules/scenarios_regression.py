"""Scenarios of ModelLatencyRegression: several days, with one probe for each case."""

from dataclasses import replace

from tests.rules.scenario import (
    DAY,
    DEFAULT_LABELS,
    HOUR,
    MINUTE,
    alert,
    firing,
    scenario,
    silent,
)
from tests.rules.scripted_probe import GOOD, REFUSED, Outcome, Probe, Script
from tests.rules.scripted_target import Target

NAME = "ModelLatencyRegression"
BUCKETS = ("0.005", "0.01", "0.067", "0.1", "0.15", "0.25", "0.5", "1.0", "+Inf")
SLOWS = 10 * HOUR  # of the day
HEALS = 14 * HOUR
BELOW_100_MS = Outcome(latency=0.09, success=True)
ABOVE_100_MS = Outcome(latency=0.11, success=True)  # the next bucket
SLOW = Outcome(latency=0.4, success=True)
FOUR_MS, NINE_MS = Outcome(latency=0.004, success=True), Outcome(latency=0.009, success=True)
SLOW_TAIL = (*[GOOD] * 8, SLOW, SLOW)


def probe(name: str, script: Script, interval: float = 30) -> Probe:
    return Probe(name=name, script=script, interval=interval, objectives=(), buckets=BUCKETS)


def on_day(day: int, *outcomes: Outcome, usual: Outcome = GOOD) -> Script:
    """Return a script with `outcomes` from SLOWS to HEALS of `day`, counted from 0."""
    return {0: (usual,), day * DAY + SLOWS: outcomes, day * DAY + HEALS: (usual,)}


def on_days(*days: int) -> Script:
    return {time: outcomes for day in days for time, outcomes in on_day(day, SLOW).items()}


def target(*probes: Probe, **labels: str) -> Target:
    return Target(probes, {**DEFAULT_LABELS, **labels})


def slower(probe: str, quantile: str, **labels: str) -> str:
    return alert(NAME, probe=probe, quantile=quantile, **labels)


SCENARIOS = (
    scenario(
        "four hours that are slower than those of the day before: fires, and resolves",
        target(
            probe("slower", on_day(1, SLOW)),
            probe("tail", on_day(1, *SLOW_TAIL)),
            probe("one bucket", on_day(1, ABOVE_100_MS, usual=BELOW_100_MS)),
            probe("milliseconds", on_day(1, NINE_MS, usual=FOUR_MS)),
            probe("slow every day", on_days(0, 1)),
            probe("infrequent", on_day(1, SLOW), interval=120),
            probe("down", on_day(1, REFUSED)),
            probe("no day before", on_day(0, SLOW)),
        ),
        replace(
            target(probe("slower", on_day(1, SLOW)), cluster="b", namespace="n"),
            starts=(0, DAY + SLOWS + 70 * MINUTE),
            failed_scrapes=(DAY + SLOWS + HOUR,),
        ),
        checks=(
            silent(0, DAY + SLOWS + 30 * MINUTE, NAME),
            firing(
                DAY + SLOWS + 100 * MINUTE,
                slower("slower", "0.5"),
                slower("slower", "0.95"),
                slower("slower", "0.5", cluster="b", namespace="n"),
                slower("slower", "0.95", cluster="b", namespace="n"),
                slower("tail", "0.95"),
                name=NAME,
            ),
            firing(DAY + HEALS + 70 * MINUTE, name=NAME),
        ),
        scrape_seconds=(60,),
    ),
    scenario(
        "the median of three days: an incident on the day before changes nothing",
        target(
            probe("again", on_days(2, 3)),
            probe("healed", on_days(2)),
            probe("usual", on_days(1, 2, 3)),
        ),
        checks=(
            firing(
                3 * DAY + SLOWS + 100 * MINUTE,
                slower("again", "0.5"),
                slower("again", "0.95"),
                name=NAME,
            ),
        ),
        scrape_seconds=(60,),
    ),
)
