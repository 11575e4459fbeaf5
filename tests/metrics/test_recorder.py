"""From results to what Prometheus reads."""

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from probe.metrics import catalogue
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import render
from probe.metrics.histogram import COARSE_BUCKETS, LATENCY_BUCKETS
from probe.metrics.recorder import Recorder
from probe.result import Component, Outcome, Phase, Reason, SkipReason
from probe.scheduler.accounting import TickAccounting
from tests.builders import probe_of, result_of

NOW = 1_800_000_000.5


class Kept:
    """A recorder of one probe, and what a scrape of it says."""

    def __init__(self, directory: Path, **keys: Any) -> None:
        self.ledger = TickAccounting()
        self.ledger.add_probe("model")
        self.recorder = Recorder(self.ledger, lambda: NOW)
        self.starting = True
        self.recorder.add_probe(probe_of(directory, **keys), {"startup": lambda: self.starting})

    def page(self, accept: str = "text/plain") -> str:
        page, _ = render(accept, (self.recorder, DaemonInfo(NOW)), CollectorRegistry())
        return page.decode()

    def samples(self) -> list[Sample]:
        families = text_string_to_metric_families(self.page())
        return [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        wanted = {"probe": "model", **labels}
        found = [one.value for one in self.samples() if (one.name, one.labels) == (name, wanted)]
        return found[0] if found else None

    def buckets(self, outcome: str) -> list[str]:
        return [
            sample.labels["le"]
            for sample in self.samples()
            if sample.name == "inference_probe_latency_seconds_bucket"
            and sample.labels["outcome"] == outcome
        ]


def test_counters_and_histograms_start_at_zero(tmp_path: Path) -> None:
    """Every reason, skip, phase and outcome is there before the first probe, as 0."""
    kept = Kept(tmp_path)
    for reason in Reason:
        assert kept.value("inference_probe_failures_total", reason=reason) == 0
    for skip in SkipReason:
        assert kept.value("inference_probe_skipped_total", reason=skip) == 0
    for phase in Phase:
        assert kept.value("inference_probe_phase_seconds_count", phase=phase) == 0
    for outcome in Outcome:
        assert kept.value("inference_probe_latency_seconds_count", outcome=outcome) == 0
    assert kept.value("inference_probe_runs_total") == 0


def test_timestamps_are_absent_until_known(tmp_path: Path) -> None:
    """No last run before the first run, no last success before the first success."""
    kept = Kept(tmp_path)
    assert kept.value("inference_probe_last_run_timestamp_seconds") is None
    kept.recorder.record(result_of(reason=Reason.REFUSED))
    assert kept.value("inference_probe_last_run_timestamp_seconds") == NOW
    assert kept.value("inference_probe_last_success_timestamp_seconds") is None
    kept.recorder.record(result_of())
    assert kept.value("inference_probe_last_success_timestamp_seconds") == NOW


def test_thresholds_are_buckets(tmp_path: Path) -> None:
    """The objective names, letter for letter, a bucket of the histogram, whatever the buckets."""
    objectives = [
        {"name": "odd", "target": "99%", "latency": "123ms"},
        {"name": "whole", "target": "95%", "latency": "1s"},
        {"name": "up", "target": "99.9%", "alert": "ticket"},
    ]
    kept = Kept(tmp_path, objectives=objectives, buckets=["100ms", "10s"])
    assert kept.buckets("success") == ["0.1", "0.123", "1.0", "10.0", "+Inf"]
    for slo, threshold, alert, target in (
        ("odd", "0.123", "page", 0.99),
        ("whole", "1.0", "page", 0.95),
        ("up", "+Inf", "ticket", 0.999),
    ):
        labels = {"slo": slo, "threshold": threshold, "alert": alert, "signal": "latency"}
        assert kept.value("inference_probe_slo_objective_ratio", **labels) == target


def test_good_and_bad_can_be_counted(tmp_path: Path) -> None:
    """A success within the threshold is in its bucket; one above, and a fast error, are not."""
    kept = Kept(tmp_path, objectives=[{"name": "fast", "target": "99%", "latency": "500ms"}])
    for result in (
        result_of(latency=0.5),
        result_of(latency=0.5001),
        result_of(latency=0.02, reason=Reason.HTTP_5XX),
    ):
        kept.recorder.record(result)
    bucket = "inference_probe_latency_seconds_bucket"
    assert kept.value(bucket, outcome="success", le="0.5") == 1
    assert kept.value("inference_probe_latency_seconds_count", outcome="success") == 2
    assert kept.value("inference_probe_latency_seconds_count", outcome="failure") == 1
    assert kept.value("inference_probe_latency_seconds_sum", outcome="success") == 1.0001


@pytest.mark.parametrize("reason", [Reason.INTERNAL, Reason.STARTUP])
def test_our_own_faults_are_in_no_histogram(tmp_path: Path, reason: Reason) -> None:
    """`internal` and `startup` are counted as failures and never charged to the target."""
    kept = Kept(tmp_path)
    kept.recorder.record(result_of(reason=reason))
    assert kept.value("inference_probe_failures_total", reason=reason) == 1
    assert kept.value("inference_probe_latency_seconds_count", outcome="failure") == 0


def _total(kept: Kept, name: str) -> float:
    """The value of a series that no probe has for itself."""
    (found,) = [one.value for one in kept.samples() if (one.name, one.labels) == (name, {})]
    return found


@pytest.mark.parametrize(
    ("reason", "observed"),
    [(None, 1), (Reason.REFUSED, 1), (Reason.INTERNAL, 0), (Reason.STARTUP, 0)],
)
def test_corrections_are_those_of_latencies(
    tmp_path: Path, reason: Reason | None, observed: int
) -> None:
    """Where no latency is observed none was corrected."""
    kept = Kept(tmp_path)
    kept.recorder.record(result_of(reason=reason, correction=0.25))
    assert _total(kept, "inference_probe_clock_correction_seconds_count") == observed
    assert _total(kept, "inference_probe_clock_correction_seconds_sum") == observed * 0.25


def test_lag_is_observed(tmp_path: Path) -> None:
    """As much of it as there was."""
    kept = Kept(tmp_path)
    kept.recorder.observe_lag(0.25)
    kept.recorder.observe_lag(0.5)
    assert _total(kept, "inference_probe_schedule_lag_seconds_count") == 2
    assert _total(kept, "inference_probe_schedule_lag_seconds_sum") == 0.75


def test_merged_reads_are_counted(tmp_path: Path) -> None:
    """Of successes and of failures."""
    kept = Kept(tmp_path)
    kept.recorder.record(result_of(merged_reads=2))
    kept.recorder.record(result_of(merged_reads=1, reason=Reason.HTTP_5XX))
    assert kept.value("inference_probe_merged_reads_total") == 3


def test_phases_are_those_of_successes(tmp_path: Path) -> None:
    """A failure's phases are not mixed into the histograms of how long a phase takes."""
    kept = Kept(tmp_path)
    kept.recorder.record(result_of(reason=Reason.FIRST_BYTE_TIMEOUT))
    assert kept.value("inference_probe_phase_seconds_count", phase="wait") == 0
    kept.recorder.record(result_of(latency=0.25))
    assert kept.value("inference_probe_phase_seconds_sum", phase="wait") == 0.25
    assert kept.value("inference_probe_phase_seconds_count", phase="connect") == 0


def test_server_times_are_those_of_successes(tmp_path: Path) -> None:
    """What was told of a failure is in no histogram; what made no sense is always counted."""
    kept = Kept(tmp_path)
    told: dict[str, Any] = {"server": {Component.QUEUE: 0.02}, "server_ignored": 2}
    kept.recorder.record(result_of(reason=Reason.OVERLOADED, **told))
    assert kept.value("inference_probe_server_seconds_count", component="queue") is None
    kept.recorder.record(result_of(**told))
    kept.recorder.record(result_of())
    assert kept.value("inference_probe_server_seconds_count", component="queue") == 1
    assert kept.value("inference_probe_server_seconds_sum", component="queue") == 0.02
    assert kept.value("inference_probe_server_timing_ignored_total") == 4


def test_server_times_that_are_mapped_start_at_zero(tmp_path: Path) -> None:
    """What the config names is there beforehand, in the buckets of phases; what it does not, not:
    fifteen series for each component of each probe would be for nothing.
    """
    timing = {"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}
    kept = Kept(tmp_path, server_timing=[timing], phase_buckets=["4ms", "60ms"])
    assert kept.value("inference_probe_server_seconds_count", component="total") == 0
    assert kept.value("inference_probe_server_seconds_count", component="queue") is None
    assert kept.value("inference_probe_server_timing_ignored_total") == 0
    kept.recorder.record(result_of(server={Component.QUEUE: 0.03, Component.TOTAL: 0.05}))
    for component in ("queue", "total"):
        counts = {
            le: kept.value("inference_probe_server_seconds_bucket", component=component, le=le)
            for le in ("0.004", "0.06", "+Inf")
        }
        assert counts == {"0.004": 0, "0.06": 1, "+Inf": 1}


def test_suspension_is_told(tmp_path: Path) -> None:
    """Rules can see that failures are at present not charged to the model."""
    kept = Kept(tmp_path)
    assert kept.value("inference_probe_suspended", reason="startup") == 1
    kept.starting = False
    assert kept.value("inference_probe_suspended", reason="startup") == 0


def test_url_is_shown_without_secrets(tmp_path: Path) -> None:
    """User, password and query of the URL do not become a label."""
    (tmp_path / "token").write_text("hunter2")
    url = "http://me:hunter2@host:8080/v1/${file:token}/predict?key=hunter2"
    kept = Kept(tmp_path, url=url, labels={"model": "m"})
    shown = "http://host:8080/v1/${file:token}/predict"
    assert kept.value("inference_probe_info", url=shown, model="m") == 1
    assert "hunter2" not in kept.page()


def test_default_buckets() -> None:
    """From 1 ms to 2 minutes, no step above 1.5, and few enough to be stored for every probe."""
    steps = [round(b / a, 9) for a, b in pairwise(LATENCY_BUCKETS)]
    assert (LATENCY_BUCKETS[0], LATENCY_BUCKETS[-1]) == (0.001, 120.0)
    assert max(steps) <= 1.5
    assert len(LATENCY_BUCKETS) <= 32
    assert list(COARSE_BUCKETS) == sorted(COARSE_BUCKETS)


def test_everything_declared_is_exported(tmp_path: Path) -> None:
    """Each declared metric has samples with exactly the labels that it declares."""
    kept = Kept(tmp_path, objectives=[{"name": "up", "target": "99%"}])
    kept.recorder.record(result_of(server={Component.TOTAL: 0.05}))
    seen = {
        sample.name.removesuffix("_count"): set(sample.labels)
        for sample in kept.samples()
        if not sample.name.endswith(("_bucket", "_sum"))
    }
    declared = {one.name: set(one.labels) for one in catalogue.ALL_METRICS}
    del declared[catalogue.CERTIFICATE.name]  # absent without TLS
    assert seen == declared


def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    """`promtool check metrics` finds nothing to complain about."""
    kept = Kept(tmp_path, objectives=[{"name": "up", "target": "99%"}])
    kept.recorder.record(result_of(server={Component.TOTAL: 0.05}))
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not on the PATH: install the package prometheus"
    said = subprocess.run(
        [promtool, "check", "metrics"],
        input=kept.page(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    """OpenMetrics is valid to the strict parser, has the same samples and no `_created` ones."""
    kept = Kept(tmp_path, objectives=[{"name": "up", "target": "99%"}])
    kept.recorder.record(result_of())
    page = kept.page("application/openmetrics-text; version=1.0.0")
    families = openmetrics.text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    told = {(s.name, *sorted(s.labels.items()), s.value) for f in families for s in f.samples}
    plain = {(s.name, *sorted(s.labels.items()), s.value) for s in kept.samples()}
    assert told == plain
    assert page.endswith("# EOF\n")
    assert "_created" not in page


def test_any_label_value_can_be_read_back(tmp_path: Path) -> None:
    """Quotes, backslashes and line breaks in a label are escaped as the format demands."""
    odd = 'a "quoted" \\ back\nslash, {braces} = é'
    kept = Kept(tmp_path, labels={"odd": odd})
    (info,) = [one for one in kept.samples() if one.name == "inference_probe_info"]
    assert info.labels["odd"] == odd


def _reloaded(directory: Path, before: dict[str, Any], after: dict[str, Any]) -> Kept:
    """One success and one failure, and then other settings."""
    kept = Kept(directory, **before)
    kept.recorder.record(result_of(certificate_not_after=NOW))
    kept.recorder.record(result_of(reason=Reason.REFUSED))
    kept.recorder.update_probe(probe_of(directory, **after))
    return kept


def _counts(kept: Kept) -> tuple[float | None, ...]:
    """Latency of successes and of failures, phase `wait`, failures."""
    return (
        kept.value("inference_probe_latency_seconds_count", outcome="success"),
        kept.value("inference_probe_latency_seconds_count", outcome="failure"),
        kept.value("inference_probe_phase_seconds_count", phase="wait"),
        kept.value("inference_probe_failures_total", reason="refused"),
    )


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        ({"interval": "3s", "url": "http://other/"}, (1, 1, 1, 1)),
        ({"objectives": [{"name": "up", "target": "90%"}]}, (1, 1, 1, 1)),
        ({"objectives": [{"name": "fast", "target": "99%", "latency": "100ms"}]}, (1, 1, 1, 1)),
        ({"objectives": [{"name": "fast", "target": "99%", "latency": "123ms"}]}, (0, 0, 1, 1)),
        ({"buckets": ["1s"]}, (0, 0, 1, 1)),
        ({"phase_buckets": ["1s"]}, (0, 0, 0, 1)),
    ],
    ids=["pace and place", "target", "to a bucket", "to a new bucket", "buckets", "phase buckets"],
)
def test_settings_that_change(
    tmp_path: Path, keys: dict[str, Any], counts: tuple[int, ...]
) -> None:
    """What means the same is kept; a histogram of other buckets begins anew, in all its series."""
    assert _counts(_reloaded(tmp_path, {}, keys)) == counts


def test_times_of_the_last_runs_are_kept(tmp_path: Path) -> None:
    """A reload does not make a model look as if it had never answered."""
    kept = _reloaded(tmp_path, {}, {"interval": "3s"})
    assert kept.value("inference_probe_last_run_timestamp_seconds") == NOW
    assert kept.value("inference_probe_last_success_timestamp_seconds") == NOW


def test_a_server_time_that_is_mapped_later_starts_at_zero(tmp_path: Path) -> None:
    """And the histograms of those that were known go on, mapped or not."""
    kept = Kept(tmp_path)
    kept.recorder.record(result_of(server={Component.QUEUE: 0.02}))
    timing = {"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}
    kept.recorder.update_probe(probe_of(tmp_path, server_timing=[timing]))
    assert kept.value("inference_probe_server_seconds_count", component="queue") == 1
    assert kept.value("inference_probe_server_seconds_count", component="total") == 0
    kept.recorder.record(result_of(server={Component.TOTAL: 0.02}))
    kept.recorder.update_probe(probe_of(tmp_path, server_timing=[timing | {"key": "X-Other"}]))
    assert kept.value("inference_probe_server_seconds_count", component="total") == 1


def test_certificate_of_another_url(tmp_path: Path) -> None:
    """It is not that of the URL before."""
    expiry = "inference_probe_tls_certificate_not_after_timestamp_seconds"
    assert _reloaded(tmp_path, {}, {"interval": "3s"}).value(expiry) == NOW
    assert _reloaded(tmp_path, {}, {"url": "http://other/"}).value(expiry) is None


def test_probe_that_is_removed(tmp_path: Path) -> None:
    """Its series end, and what comes back of it later makes no new ones."""
    kept = Kept(tmp_path)
    kept.recorder.remove_probe("model")
    kept.recorder.record(result_of())
    assert [one for one in kept.samples() if "probe" in one.labels] == []
