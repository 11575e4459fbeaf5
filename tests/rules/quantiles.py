"""Scenarios of the recorded quantiles."""

from .daemon import Target
from .fate import REFUSED, SLOW, Probe, Script
from .scenario import MINUTE, Check, case

ANSWERS: Script = {0: (SLOW,), 6 * MINUTE: (REFUSED,)}  # 0.8 s, so between the buckets 0.5 and 1.0
QUANTILES = ("0.5", "0.9", "0.95", "0.99")


def above_half_a_second(metric: str, **labels: str) -> Check:
    pairs = {"job": "inference-probe", "probe": "sentiment", **labels}
    text = ", ".join(f'{key}="{value}"' for key, value in pairs.items())
    return Check(
        at=6 * MINUTE,
        expr=f"inference_probe:{metric}_seconds:quantile5m > bool 0.5",
        samples={f'{{{text}, quantile="{quantile}"}}': 1 for quantile in QUANTILES},
    )


def absent(metric: str) -> Check:
    return Check(at=13 * MINUTE, expr=f"inference_probe:{metric}_seconds:quantile5m", samples={})


SCENARIOS = (
    case(
        "quantiles are of successes, and absent where there were none",
        Target((Probe(script=ANSWERS, phases=("wait",)),)),
        checks=(
            above_half_a_second("latency"),
            above_half_a_second("phase", phase="wait"),
            absent("latency"),
            absent("phase"),
        ),
    ),
)
