"""Recent times, read from the daemon's metrics."""

import pytest

from probe.demo.metrics import ProbeCounts, ThresholdObjective

METRICS = """
# TYPE inference_probe_latency_seconds histogram
inference_probe_latency_seconds_bucket{probe="a",outcome="success",le="0.1"} 10
inference_probe_latency_seconds_bucket{probe="a",outcome="success",le="0.5"} 90
inference_probe_latency_seconds_bucket{probe="a",outcome="success",le="1.0"} 100
inference_probe_latency_seconds_bucket{probe="a",outcome="success",le="+Inf"} 100
inference_probe_latency_seconds_count{probe="a",outcome="success"} 100
inference_probe_latency_seconds_bucket{probe="a",outcome="failure",le="+Inf"} 20
inference_probe_latency_seconds_count{probe="a",outcome="failure"} 20
# TYPE inference_probe_slo_objective_ratio gauge
inference_probe_slo_objective_ratio{probe="a",slo="fast",signal="latency",threshold="0.5"} 0.99
inference_probe_slo_objective_ratio{probe="a",slo="up",signal="latency",threshold="+Inf"} 0.999
"""


def test_good_ratio() -> None:
    """Good results are successes under the threshold of the latency objective."""
    counts = ProbeCounts.parse(METRICS)
    assert counts.objective == ThresholdObjective(signal="latency", ratio=0.99, threshold="0.5")
    assert counts.good_ratio == pytest.approx(90 / 120)


@pytest.mark.parametrize(("q", "seconds"), [(0.05, 0.05), (0.5, 0.3), (0.95, 0.75), (1.0, 1.0)])
def test_quantiles_interpolate(q: float, seconds: float) -> None:
    """Quantiles of successes are interpolated linearly in a bucket."""
    assert ProbeCounts.parse(METRICS).quantile(q) == pytest.approx(seconds)


def test_since() -> None:
    """`since` subtracts earlier counts. Without new results there are no latencies to show."""
    counts = ProbeCounts.parse(METRICS)
    assert counts.since(ProbeCounts()).good_ratio == counts.good_ratio
    assert counts.since(counts).finished == 0
    assert str(counts.since(counts)).strip() == ""


def test_signal() -> None:
    """The counts are those of the first objective with a threshold, whatever its signal is."""
    metrics = METRICS.replace('signal="latency"', 'signal="time_to_first_token"', 1)
    metrics += """
inference_probe_time_to_first_token_seconds_bucket{probe="a",outcome="success",le="0.5"} 30
inference_probe_time_to_first_token_seconds_bucket{probe="a",outcome="success",le="+Inf"} 40
inference_probe_time_to_first_token_seconds_count{probe="a",outcome="success"} 40
inference_probe_time_to_first_token_seconds_count{probe="a",outcome="failure"} 20
inference_probe_slo_objective_ratio{probe="a",slo="b",signal="latency",threshold="0.1"} 0.9
"""
    counts = ProbeCounts.parse(metrics)
    assert counts.objective
    assert counts.objective.signal == "time_to_first_token"
    assert counts.good_ratio == pytest.approx(30 / 60)
