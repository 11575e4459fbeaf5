"""Compare models with and without batches: `python -m bench.batching [--quick]`.

Runs the toy model of `inference-probe demo --model=batching` with several settings, and tests each
with `inference-probe load` at four rates, with Poisson arrivals. Prints the 95th percentile of the
latency next to the formula of `inference-probe size` and to a simulation of the same model, with
the queue, the batches and the throughput, and publishes the table in docs/capacity.md. Exit code 1
if the machine was too busy for a rate, 2 if the load test cannot run.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.batching_load import LoadTestError, run_load, serve_model
from bench.batching_prediction import predicted_plan, simulate_p95
from bench.batching_report import Comparison, describe_settings, render_comparisons
from bench.markdown import environment, publish
from probe.demo.batch_queue import BatchSettings

RATES = (50, 100, 150, 200)

# It ends the steps in which the queue grows, but not those of which the percentile is of interest.
SLO = "95% < 300ms"

# Duration of a rate, without the warm-up.
STEP_SECONDS = 35

MODELS = (
    BatchSettings(max_batch_size=1),
    BatchSettings(max_batch_size=8, max_wait_seconds=0.020),
    BatchSettings(max_batch_size=8, max_wait_seconds=0.0),
    BatchSettings(max_batch_size=16, max_wait_seconds=0.020),
)

DOCUMENT = Path(__file__).parent.parent / "docs/capacity.md"


def main() -> int:
    args = _arguments()
    rates, models = (RATES[:2], MODELS[:2]) if args.quick else (RATES, MODELS)
    try:
        comparisons = list(_compare(models, rates))
    except LoadTestError as error:
        print(error, file=sys.stderr)
        return 2
    text = render_comparisons(comparisons, f"{environment()}.")
    print(text)
    if any(comparison.step.is_void for comparison in comparisons):
        print("a step is void: this machine is too busy, so nothing is published", file=sys.stderr)
        return 1
    if not args.quick:
        publish("batching", text, DOCUMENT)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare models with and without batches.")
    parser.add_argument(
        "--quick", action="store_true", help="two models and rates, only to check that it works"
    )
    return parser.parse_args()


def _compare(models: Sequence[BatchSettings], rates: Sequence[int]) -> Iterator[Comparison]:
    for settings in models:
        print(describe_settings(settings), file=sys.stderr)
        with serve_model(settings) as url:
            steps = run_load(url, rates, slo=SLO, step_seconds=STEP_SECONDS)
        for step in steps:
            plan = predicted_plan(settings, step.rate)
            simulated = simulate_p95(settings, step.rate, seconds=step.seconds)
            yield Comparison(settings=settings, step=step, plan=plan, simulated=simulated)


if __name__ == "__main__":
    sys.exit(main())
