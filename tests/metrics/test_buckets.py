"""The default buckets: which histogram has which, and the accuracy of quantiles from them."""

import random
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from pathlib import Path
from statistics import NormalDist

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from probe.metrics import catalogue
from probe.metrics.exposition import Exposition
from probe.metrics.histogram import (
    COARSE_BUCKETS,
    DELAY_BUCKETS,
    LATENCY_BUCKETS,
    NETWORK_BUCKETS,
    Histogram,
)
from probe.metrics.recorder import Recorder
from probe.result import STREAM_PHASES, Component, Phase
from probe.scheduler.accounting import TickAccounting
from tests.builders import make_probe, make_result

SIGMA = 0.3
QUANTILE = 0.95
# Largest relative error of p95.
BOUND = 0.15
# Seconds: medians from 1 ms to 30 s, 20 per decade.
MEDIANS = [0.001 * 30_000 ** (step / 90) for step in range(91)]


def interpolated(bounds: Sequence[float], cumulative: Sequence[float], quantile: float) -> float:
    """Return the quantile as `histogram_quantile` computes it from classic buckets.

    `cumulative` are the counts of the buckets, the last one being that of +Inf.
    """
    rank = quantile * cumulative[-1]
    index = next(index for index, count in enumerate(cumulative) if count >= rank)
    if index == len(bounds):
        return bounds[-1]
    lower, before = (bounds[index - 1], cumulative[index - 1]) if index else (0.0, 0.0)
    return lower + (bounds[index] - lower) * (rank - before) / (cumulative[index] - before)


def exported_buckets(histogram: Histogram) -> list[Sample]:
    """Return the samples of all buckets as a scrape has them."""
    exposition = Exposition(openmetrics=False)
    exposition.add_family(catalogue.LAG, [histogram.samples(catalogue.LAG, "")])
    (family,) = text_string_to_metric_families(exposition.text())
    return [sample for sample in family.samples if sample.name.endswith("_bucket")]


def cumulative_counts(histogram: Histogram) -> list[float]:
    return [sample.value for sample in exported_buckets(histogram)]


def simulated_error(bounds: Sequence[float], median: float) -> float:
    """Return the relative error of p95 of 5,000 log-normal samples around `median` (seconds)."""
    generator = random.Random(1)
    samples = sorted(generator.lognormvariate(log(median), SIGMA) for _ in range(5000))
    histogram = Histogram(bounds)
    for sample in samples:
        histogram.observe(sample)
    exact = samples[round(QUANTILE * len(samples)) - 1]
    return interpolated(histogram.bounds, cumulative_counts(histogram), QUANTILE) / exact - 1


def exact_error(bounds: Sequence[float], median: float) -> float:
    """Return the relative error of p95 of infinitely many samples."""
    normal = NormalDist()
    cumulative = [*(normal.cdf(log(bound / median) / SIGMA) for bound in bounds), 1.0]
    exact = median * exp(SIGMA * normal.inv_cdf(QUANTILE))
    return interpolated(bounds, cumulative, QUANTILE) / exact - 1


def test_p95_of_the_latency_buckets() -> None:
    """p95 is within 15 % for medians from 1 ms to 30 s, and is never too low."""
    errors = [simulated_error(LATENCY_BUCKETS, median) for median in MEDIANS]
    assert max(errors) <= BOUND
    assert min(errors) >= -0.01
    assert max(exact_error(LATENCY_BUCKETS, median) for median in MEDIANS) <= 0.135


def test_prometheus_interpolates_in_the_same_way(tmp_path: Path) -> None:
    """histogram_quantile of a real Prometheus, from the exported buckets, has the same result."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not on the PATH: install the package prometheus"
    histogram = Histogram(LATENCY_BUCKETS)
    for step in range(100):
        histogram.observe(0.05 * 1.02**step)
    expected = interpolated(histogram.bounds, cumulative_counts(histogram), QUANTILE)
    series = [
        {"series": f'x_bucket{{le="{sample.labels["le"]}"}}', "values": f"{sample.value}"}
        for sample in exported_buckets(histogram)
    ]
    check = {
        "expr": f"abs(histogram_quantile({QUANTILE}, x_bucket) - {expected}) < bool 1e-9",
        "eval_time": "0s",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    path = tmp_path / "test.yml"
    path.write_text(
        yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": [check]}]})
    )
    process = subprocess.run(
        [promtool, "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_order_and_number() -> None:
    """All bounds increase; the network has 8, and the latency at most 32 in steps of 1.5."""
    for bounds in (LATENCY_BUCKETS, NETWORK_BUCKETS, COARSE_BUCKETS, DELAY_BUCKETS):
        assert list(bounds) == sorted(set(bounds))
    steps = [round(upper / lower, 9) for lower, upper in pairwise(LATENCY_BUCKETS)]
    assert (LATENCY_BUCKETS[0], LATENCY_BUCKETS[-1]) == (0.001, 120.0)
    assert max(steps) <= 1.5
    assert len(LATENCY_BUCKETS) <= 32
    assert len(NETWORK_BUCKETS) == len(COARSE_BUCKETS) == 8


def exported_bounds(tmp_path: Path, **keys: object) -> dict[str, tuple[float, ...]]:
    """Return the bounds of all histograms of a probe, by outcome, phase or component."""
    accounting = TickAccounting()
    accounting.add_probe("model")
    recorder = Recorder(accounting)
    recorder.add_probe(make_probe(tmp_path, **keys), {})
    phases = dict.fromkeys(Phase, 0.01)
    recorder.record(make_result(phases=phases, server={Component.TOTAL: 0.05}))
    exposition = Exposition(openmetrics=False)
    recorder.write_to(exposition)
    bounds: dict[str, tuple[float, ...]] = {}
    for family in text_string_to_metric_families(exposition.text()):
        for sample in family.samples:
            if sample.name.endswith("_bucket") and sample.labels["le"] != "+Inf":
                labels = {key: sample.labels.get(key) for key in ("outcome", "phase", "component")}
                name = next(filter(None, labels.values()), family.name)
                bounds[name] = (*bounds.get(name, ()), float(sample.labels["le"]))
    return bounds


def test_which_histogram_has_which_buckets(tmp_path: Path) -> None:
    """Fine buckets are those of the latency of successes, of `wait` and of `receive`."""
    bounds = exported_bounds(tmp_path, timeout="120s")
    for name in ("success", "wait", "receive", *STREAM_PHASES):
        assert bounds.pop(name) == LATENCY_BUCKETS
    for name in ("dns", "connect", "tls", "send"):
        assert bounds.pop(name) == NETWORK_BUCKETS
    assert bounds.pop("total") == COARSE_BUCKETS
    assert set(bounds.values()) == {DELAY_BUCKETS}
    assert "failure" not in bounds


@pytest.mark.parametrize(
    ("timeout", "last"),
    [("5s", 6.8), ("6.8s", 6.8), ("7s", 10.0), ("1ms", 0.001), ("1h", 120.0)],
)
def test_buckets_of_phases_end_at_the_timeout(tmp_path: Path, timeout: str, last: float) -> None:
    """No success takes longer. Those of the latency do not: probes are compared and added up."""
    bounds = exported_bounds(tmp_path, timeout=timeout)
    assert bounds["success"] == LATENCY_BUCKETS
    for phase in ("wait", "receive"):
        assert bounds[phase] == LATENCY_BUCKETS[: LATENCY_BUCKETS.index(last) + 1]
    network = [bound for bound in NETWORK_BUCKETS if bound < last]
    assert bounds["connect"][: len(network)] == tuple(network)
    assert len(bounds["connect"]) <= len(network) + 1


def test_phase_buckets_replace_all_but_those_of_the_latency(tmp_path: Path) -> None:
    """The key `phase_buckets` applies to every phase, to server times and to failures."""
    bounds = exported_bounds(tmp_path, phase_buckets=["1ms", "1s"])
    assert bounds["success"] == LATENCY_BUCKETS
    assert {bounds[name] for name in (*Phase, "total", "failure")} == {(0.001, 1.0)}
