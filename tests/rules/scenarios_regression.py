"""Scenarios of ModelLatencyRegression: days of a daemon, with a probe for each."""

from dataclasses import replace

from tests.rules.daemon import Target
from tests.rules.scenario import DAY, HOUR, MINUTE, alert, case, firing, silent
from tests.rules.scripted_probe import GOOD, REFUSED, Outcome, Probe, Script

NAME = "ModelLatencyRegression"
BUCKETS = ("0.005", "0.01", "0.067", "0.1", "0.15", "0.25", "0.5", "1.0", "+Inf")
SLOWS = 10 * HOUR  # of the day that counts, or of each day
HEALS = 14 * HOUR
FASTER = Outcome(latency=0.09, success=True)  # the bucket below that of 0.11
NEXT_BUCKET = Outcome(latency=0.11, success=True)
SLOWER = Outcome(latency=0.4, success=True)
TINY, SMALL = Outcome(latency=0.004, success=True), Outcome(latency=0.009, success=True)
TAIL = (*[GOOD] * 8, SLOWER, SLOWER)


def probe(name: str, script: Script, interval: float = 30) -> Probe:
    return Probe(name=name, script=script, interval=interval, objectives=(), buckets=BUCKETS)


def on_day(day: int, *outcomes: Outcome, usual: Outcome = GOOD) -> Script:
    """Some hours of that day are so; day 0 is the first."""
    return {0: (usual,), day * DAY + SLOWS: outcomes, day * DAY + HEALS: (usual,)}


def on_days(*days: int) -> Script:
    return {time: them for day in days for time, them in on_day(day, SLOWER).items()}


def daemon(*probes: Probe, **labels: str) -> Target:
    return Target(probes, {"job": "inference-probe", "instance": "probe:10115", **labels})


def slower(probe: str, quantile: str, **labels: str) -> str:
    return alert(NAME, probe=probe, quantile=quantile, **labels)


SCENARIOS = (
    case(
        "an afternoon that is slower than yesterday's: fires, and resolves",
        daemon(
            probe("slower", on_day(1, SLOWER)),
            probe("tail", on_day(1, *TAIL)),
            probe("by a bucket", on_day(1, NEXT_BUCKET, usual=FASTER)),
            probe("by milliseconds", on_day(1, SMALL, usual=TINY)),
            probe("slow every day", on_days(0, 1)),
            probe("too seldom", on_day(1, SLOWER), interval=120),
            probe("down", on_day(1, REFUSED)),
            probe("without a yesterday", on_day(0, SLOWER)),
        ),
        replace(
            daemon(probe("slower", on_day(1, SLOWER)), cluster="b", namespace="n"),
            starts=(0, DAY + SLOWS + 70 * MINUTE),
            failed=(DAY + SLOWS + HOUR,),
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
        scrapes=(60,),
    ),
    case(
        "the median of three days: the day after an incident is neither blind nor misled",
        daemon(
            probe("again", on_days(2, 3)),
            probe("mended", on_days(2)),
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
        scrapes=(60,),
    ),
)
