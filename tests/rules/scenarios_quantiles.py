"""Scenarios of the recorded quantiles."""

from tests.rules.daemon import Target
from tests.rules.scenario import MINUTE, Check, case
from tests.rules.scripted_probe import REFUSED, Outcome, Probe, Script

BUCKETS = ("0.25", "0.5", "1.0", "2.5", "+Inf")
SHARES = {0.1: 48, 0.4: 7, 0.8: 3, 2: 2}  # of a minute's 60: up to 80 %, 92 %, 97 % and all
ANSWERS: Script = {
    0: tuple(
        Outcome(latency=latency, success=True)
        for latency, share in SHARES.items()
        for _ in range(share)
    ),
    6 * MINUTE: (REFUSED,),
}
QUANTILES = ("0.5", "0.9", "0.95", "0.99")  # of which each is in a bucket of its own


def one_in_each_bucket(metric: str, **labels: str) -> Check:
    """How many bounds each quantile is above."""
    pairs = {"job": "inference-probe", "probe": "sentiment", **labels}
    text = ", ".join(f'{key}="{value}"' for key, value in pairs.items())
    recorded = f"inference_probe:{metric}_seconds:quantile5m"
    return Check(
        at=6 * MINUTE,
        expr=" + ".join(f"({recorded} > bool {bound})" for bound in BUCKETS[:-1]),
        samples={f'{{{text}, quantile="{it}"}}': bucket for bucket, it in enumerate(QUANTILES)},
    )


def absent(metric: str) -> Check:
    return Check(at=13 * MINUTE, expr=f"inference_probe:{metric}_seconds:quantile5m", samples={})


SCENARIOS = (
    case(
        "quantiles are of successes, and absent where there were none",
        Target((Probe(script=ANSWERS, interval=1, buckets=BUCKETS, phases=("wait",)),)),
        checks=(
            one_in_each_bucket("latency"),
            one_in_each_bucket("phase", phase="wait"),
            absent("latency"),
            absent("phase"),
        ),
    ),
)
