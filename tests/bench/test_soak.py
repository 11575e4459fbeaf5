"""Samples and acceptance criteria of the soak test."""

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isnan

import pytest

from bench import soak
from bench.metrics_text import Buckets, quantile
from bench.soak_criteria import Soak, evaluate, growth, lost_ticks
from bench.soak_report import render_markdown
from bench.soak_samples import Metrics, Sample, count_ticks, parse_metrics
from bench.soak_targets import HEALTHY_KINDS
from bench.workload import HISTORY_SECONDS

LATENCY_SECONDS = 0.02


def _latency(count: int, median: float = LATENCY_SECONDS) -> Buckets:
    return {median - 1e-4: 0, median + 1e-4: count, inf: count}


def _sample(
    at: float,
    *,
    rss_megabytes: float = 60.0,
    median: float = LATENCY_SECONDS,
    ticks: Mapping[str, int] | None = None,
    **fields: object,
) -> Sample:
    """Return a sample of two probes with an interval of one second and without problems."""
    count = int(at)
    metrics = Metrics(
        ticks=ticks or {"tls-new-1": count, "hanging-2": count},
        intervals=dict.fromkeys(ticks or ("tls-new-1", "hanging-2"), 1),
        unbalanced=(),
        in_flight=0,
        skipped={},
        failures={("hanging", "body_timeout"): count},
        latency=dict.fromkeys(HEALTHY_KINDS, _latency(count, median)),
        lag={},
        correction={},
    )
    return Sample(
        requested=at,
        received=at,
        rss_megabytes=rss_megabytes,
        memory_megabytes=rss_megabytes + 5,
        threads=30,
        descriptors=40,
        metrics=replace(metrics, **fields),  # type: ignore[arg-type]
    )


def _soak(
    samples: Sequence[Sample],
    *,
    failed_pages: Sequence[str] = (),
    exit_code: int = 0,
    oom_kills: int | None = 0,
) -> Soak:
    return Soak(
        samples=samples,
        true_medians=dict.fromkeys(HEALTHY_KINDS, LATENCY_SECONDS),
        failed_pages=failed_pages,
        exit_code=exit_code,
        oom_kills=oom_kills,
    )


def _missed(soak: Soak) -> set[str]:
    return {verdict.criterion for verdict in evaluate(soak) if not verdict.met}


def _table(soak: Soak) -> str:
    return render_markdown(soak, evaluate(soak), [], rate=2)


GOOD = [_sample(at) for at in range(0, 1200, 5)]


def test_stable_daemon() -> None:
    """A daemon that does not change meets every bound, including three bounds of growth."""
    verdicts = evaluate(_soak(GOOD))
    assert all(verdict.met for verdict in verdicts)
    assert sum(verdict.criterion.startswith("growth of") for verdict in verdicts) == 3


def test_growth_is_not_evaluated_in_short_runs() -> None:
    """While the history fills, memory may grow; the table says that this was not evaluated."""
    growing = [_sample(at, rss_megabytes=60 + at / 10) for at in range(0, int(HISTORY_SECONDS), 5)]
    assert not _missed(_soak(growing))
    assert "not evaluated: too short" in _table(_soak(growing))
    assert "not evaluated: too short" in _table(_soak(GOOD[: 600 // 5]))
    assert "not evaluated" not in _table(_soak(GOOD[: 660 // 5]))


def test_matplotlib_is_required_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing library is reported before the test runs for twenty minutes."""
    monkeypatch.setattr(sys, "argv", ["bench.soak"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert soak.main() == 2
    assert "matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize(("per_minute", "missed"), [(0.05, False), (0.3, True)])
def test_growing_memory(per_minute: float, missed: bool) -> None:
    """With a deviation of 0.1 MB, growth of 3 MB in ten minutes is detected, 0.5 MB is allowed."""
    noise = random.Random(1)
    samples = [
        _sample(at, rss_megabytes=60 + at / 60 * per_minute + noise.gauss(0, 0.1))
        for at in range(0, 1200, 5)
    ]
    assert ("growth of RSS in 10 min" in _missed(_soak(samples))) is missed


def test_growth_during_the_warm_up() -> None:
    """Memory that grows at the beginning and then stays constant meets the bound."""
    samples = [_sample(at, rss_megabytes=60 + min(at, 250) / 10) for at in range(0, 1200, 5)]
    assert not _missed(_soak(samples))


def test_memory_limit() -> None:
    """One sample over 128 MiB is too much, in a cgroup and without one."""
    samples = [*GOOD[:-1], replace(GOOD[-1], memory_megabytes=134.3)]
    for oom_kills in (0, None):
        assert _missed(_soak(samples, oom_kills=oom_kills)) == {"highest memory"}


def test_a_killed_process_misses_a_bound() -> None:
    """The worker process is started again; the table must not hide that it was killed."""
    assert _missed(_soak(GOOD, oom_kills=1)) == {"processes killed at the memory limit"}


def test_growing_threads_and_descriptors() -> None:
    """One more per minute is a leak."""
    samples = [
        replace(sample, threads=30 + index // 12, descriptors=40 + index // 12)
        for index, sample in enumerate(GOOD)
    ]
    assert _missed(_soak(samples)) == {
        "growth of threads in 10 min",
        "growth of descriptors in 10 min",
    }


def test_bursts_are_not_growth() -> None:
    """More threads in most samples, but not in one of each minute, are a burst."""
    samples = [
        replace(sample, threads=30 + (50 if sample.received > 700 and sample.received % 60 else 0))
        for sample in GOOD
    ]
    assert not _missed(_soak(samples))


def test_outliers_are_not_growth() -> None:
    """A few outliers late in the run hardly change the slope and the noise."""
    values = [10.0 + n / 10 for n in range(100)]
    values[90:95] = [500.0] * 5
    slope, noise = growth([6.0 * n for n in range(100)], values)
    assert slope == pytest.approx(10, rel=0.05)
    assert noise < 1


def test_one_lost_tick() -> None:
    """A tick that is never counted is detected, also if samples are not whole seconds apart."""
    ticks = [(at := 1.3 * n, int(at) - (n > 50)) for n in range(100)]
    complete = [_sample(at, ticks={"model": int(at)}) for at, _ in ticks]
    incomplete = [_sample(at, ticks={"model": count}) for at, count in ticks]
    assert lost_ticks(complete) == 0
    assert lost_ticks(incomplete) == 1
    assert _missed(_soak(incomplete)) == {"ticks lost"}


def test_intervals_of_several_seconds() -> None:
    """A probe every four seconds has a quarter of the ticks, and loses none."""
    intervals = {"expensive": 4}
    samples = [_sample(at, ticks={"expensive": at // 4}, intervals=intervals) for at in range(90)]
    assert lost_ticks(samples) == 0
    assert lost_ticks([*samples, _sample(90, ticks={"expensive": 20}, intervals=intervals)]) == 2


def test_temporary_probes_lose_no_ticks() -> None:
    """Adding or removing a probe does not count as lost ticks."""
    samples = [
        _sample(0, ticks={"stays": 0, "goes": 0}),
        _sample(5, ticks={"stays": 5, "comes": 1}),
        _sample(10, ticks={"stays": 10, "comes": 6, "goes": 2}),
    ]
    assert lost_ticks(samples) == 0
    assert count_ticks(samples) == 10 + 6 + 2


def test_tick_that_is_not_accounted_for() -> None:
    """One probe in one scrape misses the bound."""
    samples = [*GOOD[:-1], _sample(1195, unbalanced=("hanging-2",))]
    assert _missed(_soak(samples)) == {"ticks not accounted for"}


@pytest.mark.parametrize("error", [-0.0012, 0.0012])
def test_error_of_the_median(error: float) -> None:
    """A median that differs by more than a millisecond in either direction misses the bound."""
    samples = [
        _sample(0),
        *(_sample(at, median=LATENCY_SECONDS + error) for at in range(5, 1200, 5)),
    ]
    assert _missed(_soak(samples)) == {"error of the median latency"}


def test_median_since_the_first_sample() -> None:
    """Latencies before the first sample do not count."""
    before = {LATENCY_SECONDS: 0.0, 0.5: 0.0, 0.6: 9_000.0, inf: 9_000.0}
    after = {
        LATENCY_SECONDS: 0.0,
        LATENCY_SECONDS + 1e-4: 10.0,
        0.5: 10.0,
        0.6: 9_010.0,
        inf: 9_010.0,
    }
    first = _sample(0, latency=dict.fromkeys(HEALTHY_KINDS, before))
    last = _sample(1195, latency=dict.fromkeys(HEALTHY_KINDS, after))
    assert not _missed(_soak([first, *GOOD[1:-1], last]))


def test_other_failures() -> None:
    """Failures of a healthy probe, failed pages and a wrong exit code miss their bounds."""
    failed = _sample(1195, failures={("tls-new", "reset"): 1, ("hanging", "reset"): 9})
    assert _missed(_soak([*GOOD[:-1], failed], failed_pages=["/: status 500"], exit_code=-9)) == {
        "failures of healthy probes",
        "pages not served",
        "exit code after SIGTERM",
    }


METRICS = """
# TYPE inference_probe_ticks_total counter
inference_probe_ticks_total{probe="tls-new-1"} 7
inference_probe_ticks_total{probe="hanging-2"} 7
inference_probe_interval_seconds{probe="tls-new-1"} 1
inference_probe_interval_seconds{probe="hanging-2"} 4
inference_probe_runs_total{probe="tls-new-1"} 6
inference_probe_runs_total{probe="hanging-2"} 4
inference_probe_in_flight{probe="tls-new-1"} 1
inference_probe_in_flight{probe="hanging-2"} 1
inference_probe_skipped_total{probe="tls-new-1",reason="late"} 0
inference_probe_skipped_total{probe="hanging-2",reason="late"} 1
inference_probe_failures_total{probe="hanging-2",reason="reset"} 4
inference_probe_failures_total{probe="hanging-2",reason="dns"} 0
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="success",le="0.02"} 3
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="success",le="+Inf"} 6
inference_probe_latency_seconds_bucket{probe="tls-new-1",outcome="failure",le="+Inf"} 9
inference_probe_schedule_lag_seconds_bucket{le="0.001"} 11
inference_probe_schedule_lag_seconds_bucket{le="+Inf"} 12
"""


def test_parse_metrics() -> None:
    """One of two probes has an unaccounted tick; failures and histograms are summed by kind."""
    metrics = parse_metrics(METRICS)
    assert metrics.ticks == {"tls-new-1": 7, "hanging-2": 7}
    assert metrics.intervals == {"tls-new-1": 1, "hanging-2": 4}
    assert metrics.unbalanced == ("hanging-2",)
    assert (metrics.in_flight, metrics.skipped) == (2, {"late": 1})
    assert metrics.failures == {("hanging", "reset"): 4}
    assert metrics.latency["tls-new"] == {0.02: 3, inf: 6}
    assert metrics.lag == {0.001: 11, inf: 12}


def test_quantile_of_buckets() -> None:
    """A quantile is interpolated within its bucket, and is at most the last finite bound."""
    buckets = {0.01: 0, 0.02: 10, 0.03: 10, inf: 20}
    assert quantile(buckets, 0.25) == pytest.approx(0.015)
    assert quantile(buckets, 0.99) == 0.03
    assert isnan(quantile({0.01: 0, inf: 0}, 0.5))
