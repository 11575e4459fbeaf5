"""Scenarios of objectives on the time to first token and on the time per output token."""

from tests.rules.scenario import (
    HOUR,
    MINUTE,
    Check,
    alert,
    firing,
    histogram_missing,
    missed,
    scenario,
    silent,
)
from tests.rules.scripted_probe import Objective, Outcome, Probe, Script
from tests.rules.scripted_target import Target

NAME = "ModelObjectiveMissed"
BREAKS = 6 * MINUTE
FIRES = BREAKS + 6 * MINUTE
TOTAL = Objective(slo="total", threshold="1.0")
FIRST = Objective(slo="first", threshold="0.25", signal="time_to_first_token")
EACH = Objective(slo="each", threshold="0.05", signal="time_per_output_token")
OBJECTIVES = (TOTAL, FIRST, EACH)

FAST = Outcome(latency=0.8, success=True, first_token=0.1, per_token=0.02)
SLOW_FIRST_TOKEN = Outcome(latency=0.8, success=True, first_token=0.5, per_token=0.01)
SLOW_TOKENS = Outcome(latency=0.9, success=True, first_token=0.1, per_token=0.06)
WITHOUT_USAGE = Outcome(latency=0.8, success=True, first_token=0.1)
TRUNCATED = Outcome(latency=0.2, reason="first_byte_timeout")


def target(
    script: Script, *objectives: Objective, buckets: tuple[str, ...] = (), interval: float = 5
) -> Target:
    probe = Probe(
        script=script,
        interval=interval,
        objectives=objectives or OBJECTIVES,
        buckets=buckets or ("0.05", "0.25", "0.5", "1.0", "+Inf"),
        streams=True,
    )
    return Target((probe,))


def bad(at: float, **counts: float) -> Check:
    """Check the number of bad requests of each objective since the start."""
    return Check(
        at=at,
        expr="sum by (slo) (inference_probe:slo_bad:count) > bool 0",
        samples={f'{{slo="{slo}"}}': float(count > 0) for slo, count in counts.items()},
    )


def missing(slo: str = "each") -> str:
    return alert("InferenceProbeSignalMissing", slo=slo)


SCENARIOS = (
    scenario(
        "a slow first token misses only the objective on it",
        target({0: (FAST,), BREAKS: (SLOW_FIRST_TOKEN,)}),
        checks=(
            silent(0, BREAKS + 3 * MINUTE, NAME),
            bad(FIRES, total=0, first=1, each=0),
            firing(FIRES, missed(slo="first"), name=NAME),
        ),
    ),
    scenario(
        "slow tokens miss only the objective on the time of each",
        target({0: (FAST,), BREAKS: (SLOW_TOKENS,)}),
        checks=(
            bad(FIRES, total=0, first=0, each=1),
            firing(FIRES, missed(slo="each"), name=NAME),
        ),
    ),
    scenario(
        "a stream that fails early is bad for each signal",
        target({0: (FAST,), BREAKS: (FAST, TRUNCATED)}),
        checks=(
            bad(FIRES, total=1, first=1, each=1),
            firing(FIRES, *(missed(slo=slo) for slo in ("total", "first", "each")), name=NAME),
        ),
    ),
    scenario(
        "thresholds that move add no bad requests, also a whole number of seconds",
        target(
            {0: (SLOW_FIRST_TOKEN,)},
            Objective(slo="first", threshold="0.5", signal="time_to_first_token", until=8 * MINUTE),
            Objective(slo="first", threshold="1.0", signal="time_to_first_token", since=8 * MINUTE),
        ),
        checks=(
            silent(0, 20 * MINUTE),
            Check(
                at=20 * MINUTE,
                expr="sum(inference_probe:slo_bad:increase30m)",
                samples={"{}": 0},
            ),
        ),
    ),
    scenario(
        "a threshold that is no bucket of its signal",
        target({0: (FAST,)}, Objective(slo="first", threshold="0.3", signal="time_to_first_token")),
        checks=(firing(10 * MINUTE, histogram_missing()),),
    ),
    scenario(
        "buckets that came through OTLP: le has no decimal point",
        target(
            {0: (FAST,), BREAKS: (Outcome(latency=1.5, success=True, first_token=1.2),)},
            Objective(slo="first", threshold="1.0", signal="time_to_first_token"),
            buckets=("1", "+Inf"),
        ),
        checks=(firing(FIRES, missed(slo="first"), name=NAME),),
    ),
)

MISSING = (
    scenario(
        "a server without usage is a ticket after 30 minutes, until there is a value",
        target({0: (WITHOUT_USAGE,), 36 * MINUTE: (FAST,)}, FIRST, EACH),
        checks=(
            silent(0, 30 * MINUTE),
            firing(33 * MINUTE, missing()),
            firing(39 * MINUTE),
        ),
    ),
    scenario(
        "usage that is missing now and then, or an objective without alerts: nothing",
        target({0: (WITHOUT_USAGE, WITHOUT_USAGE, FAST)}, FIRST, EACH, interval=60),
        target({0: (FAST,)}, FIRST, EACH),
        checks=(silent(0, 38 * MINUTE),),
    ),
    scenario(
        "values that end, of a probe every 40 minutes",
        target({0: (FAST,), HOUR: (WITHOUT_USAGE,)}, EACH, interval=40 * MINUTE),
        checks=(silent(0, 6 * HOUR), firing(8 * HOUR, missing())),
    ),
)
