"""From results to the text of a scrape."""

import gc
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from probe.clock import Clock
from probe.config.secrets import Template
from probe.metrics import catalogue
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import Exposition, negotiate_content_type, render
from probe.metrics.possible_reasons import possible_reasons
from probe.metrics.probe_counts import ProbeCounts
from probe.metrics.recorder import Recorder
from probe.result import Component, Outcome, Phase, Reason, Result, SkipReason
from probe.result_batch import BATCH_RESULTS
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.spending import SpendingMeter
from probe.scheduler.token_estimate import estimate_tokens
from tests.builders import make_probe, make_result

NOW = 1_800_000_000.5


class Exporter:
    """A recorder with one probe, `model`, and the samples of its scrape."""

    def __init__(self, directory: Path, **keys: Any) -> None:
        self.has_exemplars = False
        self.accounting = TickAccounting()
        self.accounting.add_probe("model")
        self.now = NOW
        self.recorder = Recorder(
            self.accounting, lambda: self.now, has_exemplars=lambda: self.has_exemplars
        )
        self.starting = True
        self.over_budget = False
        probe = make_probe(directory, **keys)
        self.spending = SpendingMeter(probe, estimate_tokens(probe), Clock())
        suspended = {"startup": lambda: self.starting, "budget": lambda: self.over_budget}
        self.recorder.add_probe(probe, suspended, self.spending)

    def page(self, accept: str = "text/plain") -> str:
        page, _ = render(accept, (self.recorder, DaemonInfo(NOW)), CollectorRegistry())
        return "".join(page)

    def samples(self) -> list[Sample]:
        families = text_string_to_metric_families(self.page())
        return [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a series of the probe; None if it is absent."""
        key = name, {"probe": "model", **labels}
        values = [sample.value for sample in self.samples() if (sample.name, sample.labels) == key]
        return values[0] if values else None

    def buckets(self, outcome: str) -> list[str]:
        return [
            sample.labels["le"]
            for sample in self.samples()
            if sample.name == "inference_probe_latency_seconds_bucket"
            and sample.labels["outcome"] == outcome
        ]


def test_counters_and_histograms_start_at_zero(tmp_path: Path) -> None:
    """Every reason and outcome is exported as 0 before the first run, but no phase."""
    cold = {"after_idle": "5m", "probe": True}
    keys = {"url": "https://model/", "proxy": "http://proxy:3128", "cold": cold}
    exporter = Exporter(tmp_path, budget={"requests_per_hour": 1}, **keys)
    for reason in Reason:
        if reason.is_stream_only:
            continue
        assert exporter.value("inference_probe_failures_total", reason=reason) == 0
    for skip in SkipReason:
        assert exporter.value("inference_probe_skipped_total", reason=skip) == 0
    for phase in Phase:
        assert exporter.value("inference_probe_phase_seconds_count", phase=phase) is None
    for outcome in Outcome:
        assert exporter.value("inference_probe_latency_seconds_count", outcome=outcome) == 0
    assert exporter.value("inference_probe_runs_total") == 0


@pytest.mark.parametrize(
    ("keys", "absent"),
    [
        ({"url": "http://127.0.0.1/"}, {"dns", "tls", "tls_timeout", "proxy"}),
        ({"url": "http://[::1]:80/"}, {"dns", "tls", "tls_timeout", "proxy"}),
        ({"url": "http://model/"}, {"tls", "tls_timeout", "proxy"}),
        ({"url": "https://127.0.0.1/"}, {"dns", "proxy"}),
        ({"url": "http://127.0.0.1/", "redirects": 1}, {"proxy"}),
        ({"url": "http://127.0.0.1/", "proxy": "http://p:1"}, {"tls", "tls_timeout"}),
        ({"url": "http://model/", "proxy": "http://127.0.0.1:1"}, {"dns", "tls", "tls_timeout"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_reasons_that_cannot_occur_are_not_preset(
    tmp_path: Path, keys: dict[str, Any], absent: set[str]
) -> None:
    """They are exported if they occur nevertheless, and a reload keeps them then."""
    exporter = Exporter(tmp_path, **keys)
    others = {reason for reason in Reason if reason.is_stream_only or reason is Reason.COLD}
    exported = {
        reason: exporter.value("inference_probe_failures_total", reason=reason) for reason in Reason
    }
    assert {reason for reason, value in exported.items() if value is None} - others == absent
    assert set(exported.values()) == {0, None}
    for reason in absent:
        exporter.recorder.record(make_result(reason=Reason(reason)))
    exporter.recorder.update_probe(make_probe(tmp_path, **keys, interval="9s"))
    for reason in absent:
        assert exporter.value("inference_probe_failures_total", reason=reason) == 1


def test_reasons_of_a_reference(tmp_path: Path) -> None:
    """A reference may be a name, and a scheme."""
    probe = replace(make_probe(tmp_path), url=Template.parse("${env:MODEL_URL}"))
    assert {Reason.DNS, Reason.TLS, Reason.TLS_TIMEOUT} < set(possible_reasons(probe))


def test_reasons_that_a_reload_makes_impossible(tmp_path: Path) -> None:
    """Those that have not occurred end, and the others are kept."""
    exporter = Exporter(tmp_path, url="https://model/")
    exporter.recorder.record(make_result(reason=Reason.TLS))
    exporter.recorder.update_probe(make_probe(tmp_path, url="http://model/"))
    assert exporter.value("inference_probe_failures_total", reason=Reason.TLS) == 1
    assert exporter.value("inference_probe_failures_total", reason=Reason.TLS_TIMEOUT) is None
    exporter.recorder.update_probe(make_probe(tmp_path, url="https://model/"))
    assert exporter.value("inference_probe_failures_total", reason=Reason.TLS_TIMEOUT) == 0


def test_streams_have_phases_and_reasons_of_their_own(tmp_path: Path) -> None:
    """Only a redirect in front of a stream has the phase `receive`."""
    exporter = Exporter(tmp_path, stream={"content": "$.text"})
    assert exporter.value("inference_probe_failures_total", reason=Reason.STALL_TIMEOUT) == 0
    exporter.recorder.record(make_result(phases={Phase.GENERATE: 0.2}))
    receive = {"name": "inference_probe_phase_seconds_count", "phase": Phase.RECEIVE}
    assert exporter.value(**receive) is None
    exporter.recorder.record(make_result(phases={Phase.RECEIVE: 0.1, Phase.GENERATE: 0.2}))
    assert exporter.value(**receive) == 1
    assert exporter.value("inference_probe_phase_seconds_count", phase=Phase.GENERATE) == 2


@pytest.mark.parametrize("keys", [{}, {"stream": {"content": "$.text"}}], ids=["plain", "stream"])
def test_results_during_a_scrape_do_not_change_its_text(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    """The text is written after the counts were read; one scrape has the counts of one moment."""
    exporter = Exporter(tmp_path, **keys)
    unchanged = exporter.page()
    parts, _ = render("text/plain", (exporter.recorder, DaemonInfo(NOW)), CollectorRegistry())
    exporter.recorder.record(make_result())
    exporter.recorder.record(make_result(reason=Reason.REFUSED))
    assert "".join(parts) == unchanged
    assert exporter.page() != unchanged


def test_a_changed_stream_keeps_the_phases(tmp_path: Path) -> None:
    """A run of the config before may end after the change."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result())
    exporter.recorder.update_probe(make_probe(tmp_path, stream={"content": "$.text"}))
    assert exporter.value("inference_probe_phase_seconds_count", phase=Phase.WAIT) == 1
    exporter.recorder.record(make_result(phases={Phase.RECEIVE: 0.1}))
    assert exporter.value("inference_probe_phase_seconds_count", phase=Phase.RECEIVE) == 1


def test_timestamps_are_absent_until_known(tmp_path: Path) -> None:
    """The last run and the last success are absent before the first one."""
    exporter = Exporter(tmp_path)
    assert exporter.value("inference_probe_last_run_timestamp_seconds") is None
    exporter.recorder.record(make_result(reason=Reason.REFUSED))
    assert exporter.value("inference_probe_last_run_timestamp_seconds") == NOW
    assert exporter.value("inference_probe_last_success_timestamp_seconds") is None
    exporter.recorder.record(make_result())
    assert exporter.value("inference_probe_last_success_timestamp_seconds") == NOW


def test_the_last_result(tmp_path: Path) -> None:
    """Success and status code are those of the last result, and absent before the first."""
    exporter = Exporter(tmp_path)
    success, status = "inference_probe_success", "inference_probe_last_status_code"
    assert (exporter.value(success), exporter.value(status)) == (None, None)
    for result, expected in (
        (make_result(status=200), (1, 200)),
        (make_result(reason=Reason.HTTP_5XX, status=503), (0, 503)),
        (make_result(reason=Reason.REFUSED), (0, None)),
        (make_result(reason=Reason.STARTUP, status=503), (0, 503)),
        (make_result(status=204), (1, 204)),
    ):
        exporter.recorder.record(result)
        assert (exporter.value(success), exporter.value(status)) == expected


def test_the_last_result_of_a_changed_and_of_a_removed_probe(tmp_path: Path) -> None:
    """A change of settings keeps the last result; with the probe its series disappear."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(reason=Reason.HTTP_5XX, status=503))
    exporter.recorder.update_probe(make_probe(tmp_path, interval="1m"))
    assert exporter.value("inference_probe_success") == 0
    assert exporter.value("inference_probe_last_status_code") == 503
    exporter.recorder.remove_probe("model")
    assert 'probe="model"' not in exporter.page()


def test_thresholds_are_buckets(tmp_path: Path) -> None:
    """The label `threshold` is exactly the `le` of a bucket, for any configured buckets."""
    objectives = [
        {"name": "odd", "target": "99%", "latency": "123ms"},
        {"name": "whole", "target": "95%", "latency": "1s"},
        {"name": "up", "target": "99.9%", "alert": "ticket"},
    ]
    exporter = Exporter(tmp_path, objectives=objectives, buckets=["100ms", "10s"])
    assert exporter.buckets("success") == ["0.1", "0.123", "1.0", "10.0", "+Inf"]
    for slo, threshold, alert, target in (
        ("odd", "0.123", "page", 0.99),
        ("whole", "1.0", "page", 0.95),
        ("up", "+Inf", "ticket", 0.999),
    ):
        labels = {"slo": slo, "threshold": threshold, "alert": alert, "signal": "latency"}
        assert exporter.value("inference_probe_slo_objective_ratio", **labels) == target
    for slo, seconds in (("odd", 0.123), ("whole", 1.0), ("up", None)):
        labels = {"slo": slo, "signal": "latency"}
        assert exporter.value("inference_probe_slo_threshold_seconds", **labels) == seconds


def test_good_and_bad_can_be_counted(tmp_path: Path) -> None:
    """Only a success within the threshold is in the bucket of the threshold."""
    exporter = Exporter(
        tmp_path, objectives=[{"name": "fast", "target": "99%", "latency": "500ms"}]
    )
    for result in (
        make_result(latency=0.5),
        make_result(latency=0.5001),
        make_result(latency=0.02, reason=Reason.HTTP_5XX),
    ):
        exporter.recorder.record(result)
    bucket = "inference_probe_latency_seconds_bucket"
    assert exporter.value(bucket, outcome="success", le="0.5") == 1
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 2
    assert exporter.value("inference_probe_latency_seconds_count", outcome="failure") == 1
    assert exporter.value("inference_probe_latency_seconds_sum", outcome="success") == 1.0001


@pytest.mark.parametrize("reason", [Reason.INTERNAL, Reason.STARTUP])
def test_failures_outside_the_slo_are_in_no_histogram(tmp_path: Path, reason: Reason) -> None:
    """`internal` and `startup` are counted as failures but not against the SLO."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(reason=reason))
    assert exporter.value("inference_probe_failures_total", reason=reason) == 1
    assert exporter.value("inference_probe_latency_seconds_count", outcome="failure") == 0


def _total(exporter: Exporter, name: str) -> float:
    """Return the value of a series without labels."""
    (value,) = [
        sample.value for sample in exporter.samples() if (sample.name, sample.labels) == (name, {})
    ]
    return value


@pytest.mark.parametrize(
    ("reason", "observed"),
    [(None, 1), (Reason.REFUSED, 1), (Reason.INTERNAL, 0), (Reason.STARTUP, 0)],
)
def test_corrections_of_observed_latencies(
    tmp_path: Path, reason: Reason | None, observed: int
) -> None:
    """A correction is observed if and only if a latency is observed."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(reason=reason, correction=0.25))
    assert _total(exporter, "inference_probe_clock_correction_seconds_count") == observed
    assert _total(exporter, "inference_probe_clock_correction_seconds_sum") == observed * 0.25


def test_lag_is_observed(tmp_path: Path) -> None:
    """The histogram has the number and the sum of the delays."""
    exporter = Exporter(tmp_path)
    exporter.recorder.observe_lag(0.25)
    exporter.recorder.observe_lag(0.5)
    assert _total(exporter, "inference_probe_schedule_lag_seconds_count") == 2
    assert _total(exporter, "inference_probe_schedule_lag_seconds_sum") == 0.75


def test_merged_reads_are_counted(tmp_path: Path) -> None:
    """Merged reads of successes and failures add up."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(merged_reads=2))
    exporter.recorder.record(make_result(merged_reads=1, reason=Reason.HTTP_5XX))
    assert exporter.value("inference_probe_merged_reads_total") == 3


def test_phases_of_successes_only(tmp_path: Path) -> None:
    """The phases of a failure are not observed."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(reason=Reason.FIRST_BYTE_TIMEOUT))
    assert exporter.value("inference_probe_phase_seconds_count", phase="wait") is None
    exporter.recorder.record(make_result(latency=0.25))
    assert exporter.value("inference_probe_phase_seconds_sum", phase="wait") == 0.25
    assert exporter.value("inference_probe_phase_seconds_count", phase="connect") is None


def test_server_times_of_successes_only(tmp_path: Path) -> None:
    """Server times of a failure are not observed; invalid ones are always counted."""
    exporter = Exporter(tmp_path)
    times: dict[str, Any] = {"server": {Component.QUEUE: 0.02}, "server_ignored": 2}
    exporter.recorder.record(make_result(reason=Reason.OVERLOADED, **times))
    assert exporter.value("inference_probe_server_seconds_count", component="queue") is None
    exporter.recorder.record(make_result(**times))
    exporter.recorder.record(make_result())
    assert exporter.value("inference_probe_server_seconds_count", component="queue") == 1
    assert exporter.value("inference_probe_server_seconds_sum", component="queue") == 0.02
    assert exporter.value("inference_probe_server_timing_ignored_total") == 4


def test_server_times_that_are_mapped_start_at_zero(tmp_path: Path) -> None:
    """Components of the config are exported from the start, with the buckets of phases. Others are
    absent until the server reports them: each is 15 series.
    """
    timing = {"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}
    exporter = Exporter(tmp_path, server_timing=[timing], phase_buckets=["4ms", "60ms"])
    assert exporter.value("inference_probe_server_seconds_count", component="total") == 0
    assert exporter.value("inference_probe_server_seconds_count", component="queue") is None
    assert exporter.value("inference_probe_server_timing_ignored_total") == 0
    exporter.recorder.record(make_result(server={Component.QUEUE: 0.03, Component.TOTAL: 0.05}))
    for component in ("queue", "total"):
        counts = {
            le: exporter.value("inference_probe_server_seconds_bucket", component=component, le=le)
            for le in ("0.004", "0.06", "+Inf")
        }
        assert counts == {"0.004": 0, "0.06": 1, "+Inf": 1}


def test_suspension(tmp_path: Path) -> None:
    """The metric is 1 while failures do not count against the SLO."""
    exporter = Exporter(tmp_path)
    assert exporter.value("inference_probe_suspended", reason="startup") == 1
    exporter.starting = False
    assert exporter.value("inference_probe_suspended", reason="startup") == 0


def test_url_is_shown_without_secrets(tmp_path: Path) -> None:
    """User, password and query of the URL are not in the label."""
    (tmp_path / "token").write_text("hunter2")
    url = "http://me:hunter2@host:8080/v1/${file:token}/predict?key=hunter2"
    exporter = Exporter(tmp_path, url=url, labels={"model": "m"})
    label = "http://host:8080/v1/${file:token}/predict"
    assert exporter.value("inference_probe_info", url=label, model="m") == 1
    assert "hunter2" not in exporter.page()


def test_labels_of_alerts(tmp_path: Path) -> None:
    """The info metrics have the labels in `alert_labels`, and only those."""
    exporter = Exporter(
        tmp_path,
        labels={"team": 'fraud "A"', "model": "m", "note": "n"},
        alert_labels=["team", "model"],
        objectives=[{"name": "fast", "target": "99%", "latency": "1s", "alert": "ticket"}],
    )
    labels = {"team": 'fraud "A"', "model": "m"}
    assert exporter.value("inference_probe_alert_info", down="ticket", **labels) == 1
    assert exporter.value("inference_probe_slo_alert_info", slo="fast", **labels) == 1


def test_no_labels_of_alerts(tmp_path: Path) -> None:
    """Without `alert_labels` only the level of ModelDown is exported."""
    exporter = Exporter(
        tmp_path, labels={"team": "fraud"}, objectives=[{"name": "up", "target": "99%"}]
    )
    assert exporter.value("inference_probe_alert_info", down="page") == 1
    assert "inference_probe_slo_alert_info" not in exporter.page()


def test_changed_labels_of_alerts(tmp_path: Path) -> None:
    """After a reload only the series with the new labels exist."""
    before = {
        "labels": {"team": "fraud"},
        "alert_labels": ["team"],
        "objectives": [{"name": "up", "target": "99%"}],
    }
    after = {**before, "labels": {"team": "search"}, "down": "none"}
    exporter = _reloaded(tmp_path, before, after)
    infos = [s for s in exporter.samples() if s.name.endswith("alert_info")]
    assert [sample.labels for sample in infos] == [
        {"probe": "model", "down": "none", "team": "search"},
        {"probe": "model", "slo": "up", "team": "search"},
    ]


def test_everything_declared_is_exported(tmp_path: Path) -> None:
    """Each metric of the catalogue has samples with exactly its declared labels."""
    objectives = [{"name": "fast", "target": "99%", "latency": "1s"}]
    exporter = Exporter(
        tmp_path,
        objectives=objectives,
        stream={"content": "$.text"},
        price={"input": 1, "currency": "USD"},
        budget={"tokens_per_day": "1k"},
        capacity={"safe_rate": "140/s"},
        version={"from": "header", "key": "X-Version"},
        histogram_by="version",
        cold={"after_idle": "5m"},
    )
    exporter.recorder.record(make_result(status=200, server={Component.TOTAL: 0.05}, version="1"))
    seen = {
        sample.name.removesuffix("_count"): set(sample.labels)
        for sample in exporter.samples()
        if not sample.name.endswith(("_bucket", "_sum"))
    }
    declared = {spec.name: set(spec.labels) for spec in catalogue.ALL_METRICS}
    del declared[catalogue.CERTIFICATE.name]  # absent without TLS
    del declared[catalogue.SLO_ALERT_INFO.name]  # absent without alert_labels
    for spec in (catalogue.LOST_TRACES, catalogue.FAILED_PUSHES):
        del declared[spec.name]  # absent without an OTLP receiver
    assert seen == declared


def test_promtool_check_metrics(tmp_path: Path) -> None:
    """`promtool check metrics` finds no problem."""
    objectives = [{"name": "fast", "target": "99%", "latency": "1s"}]
    exporter = Exporter(
        tmp_path,
        objectives=objectives,
        stream={"content": "$.text"},
        price={"input": 1, "currency": "USD"},
        budget={"tokens_per_day": "1k"},
    )
    exporter.recorder.record(make_result(status=200, server={Component.TOTAL: 0.05}))
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not on the PATH: install the package prometheus"
    process = subprocess.run(
        [promtool, "check", "metrics"],
        input=exporter.page(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout + process.stderr) == (0, "")


def test_both_formats_have_the_same_samples(tmp_path: Path) -> None:
    """The strict parser reads the OpenMetrics text, which has no `_created` samples."""
    exporter = Exporter(tmp_path, objectives=[{"name": "up", "target": "99%"}])
    exporter.recorder.record(make_result())
    page = exporter.page("application/openmetrics-text; version=1.0.0")
    families = openmetrics.text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    strict = {(s.name, *sorted(s.labels.items()), s.value) for f in families for s in f.samples}
    plain = {(s.name, *sorted(s.labels.items()), s.value) for s in exporter.samples()}
    assert strict == plain
    assert page.endswith("# EOF\n")
    assert "_created" not in page


def test_label_values_are_escaped(tmp_path: Path) -> None:
    """The parser returns quotes, backslashes and line breaks of a label unchanged."""
    value = 'a "quoted" \\ back\nslash, {braces} = é'
    exporter = Exporter(tmp_path, labels={"odd": value})
    (info,) = [s for s in exporter.samples() if s.name == "inference_probe_info"]
    assert info.labels["odd"] == value


def _reloaded(directory: Path, before: dict[str, Any], after: dict[str, Any]) -> Exporter:
    """Record a success and a failure under `before`, then change the settings to `after`."""
    exporter = Exporter(directory, **before)
    exporter.recorder.record(make_result(certificate_not_after=NOW))
    exporter.recorder.record(make_result(reason=Reason.REFUSED))
    exporter.recorder.update_probe(make_probe(directory, **after))
    return exporter


def _counts(exporter: Exporter) -> tuple[float | None, ...]:
    """Return the counts of latencies of both outcomes, of the phase `wait`, and of failures."""
    return (
        exporter.value("inference_probe_latency_seconds_count", outcome="success"),
        exporter.value("inference_probe_latency_seconds_count", outcome="failure"),
        exporter.value("inference_probe_phase_seconds_count", phase="wait"),
        exporter.value("inference_probe_failures_total", reason="refused"),
    )


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        ({"interval": "3s", "url": "http://other/"}, (1, 1, 1, 1)),
        ({"objectives": [{"name": "up", "target": "90%"}]}, (1, 1, 1, 1)),
        ({"objectives": []}, (1, 1, 1, 1)),
        ({"objectives": [{"name": "fast", "target": "99%", "latency": "100ms"}]}, (0, 0, 1, 1)),
        ({"objectives": [{"name": "fast", "target": "99%", "latency": "123ms"}]}, (0, 0, 1, 1)),
        ({"buckets": ["1s"]}, (0, 0, 1, 1)),
        ({"timeout": "6s"}, (1, 1, 1, 1)),
        ({"timeout": "60s"}, (1, 1, None, 1)),
        ({"phase_buckets": ["1s"]}, (0, 0, None, 1)),
    ],
    ids=[
        "interval and URL",
        "target",
        "no objective",
        "to a bucket",
        "to a new bucket",
        "buckets",
        "timeout with the same bounds of phases",
        "timeout with other bounds of phases",
        "phase buckets",
    ],
)
def test_settings_that_change(
    tmp_path: Path, keys: dict[str, Any], counts: tuple[int | None, ...]
) -> None:
    """A changed bucket or threshold resets a histogram in all its series; other counts are kept."""
    before = {"objectives": [{"name": "up", "target": "99%"}]}
    assert _counts(_reloaded(tmp_path, before, before | keys)) == counts


def test_safe_rate(tmp_path: Path) -> None:
    """It exists for a probe with the key only, and a reload keeps, changes or removes it."""
    name, capacity = "inference_probe_safe_rate", {"capacity": {"safe_rate": "0.5/s"}}
    assert Exporter(tmp_path).value(name) is None
    assert Exporter(tmp_path, **capacity).value(name) == 0.5
    assert _reloaded(tmp_path, capacity, {**capacity, "interval": "3s"}).value(name) == 0.5
    changed = {"capacity": {"safe_rate": "140/s"}}
    assert _reloaded(tmp_path, capacity, changed).value(name) == 140
    assert _reloaded(tmp_path, capacity, {}).value(name) is None


def test_times_of_the_last_runs_are_kept(tmp_path: Path) -> None:
    """The times of the last run and the last success survive a reload."""
    exporter = _reloaded(tmp_path, {}, {"interval": "3s"})
    assert exporter.value("inference_probe_last_run_timestamp_seconds") == NOW
    assert exporter.value("inference_probe_last_success_timestamp_seconds") == NOW


def test_a_server_time_that_is_mapped_later_starts_at_zero(tmp_path: Path) -> None:
    """A new mapping starts at 0; the histograms of known components are kept."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result(server={Component.QUEUE: 0.02}))
    timing = {"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}
    exporter.recorder.update_probe(make_probe(tmp_path, server_timing=[timing]))
    assert exporter.value("inference_probe_server_seconds_count", component="queue") == 1
    assert exporter.value("inference_probe_server_seconds_count", component="total") == 0
    exporter.recorder.record(make_result(server={Component.TOTAL: 0.02}))
    exporter.recorder.update_probe(
        make_probe(tmp_path, server_timing=[timing | {"key": "X-Other"}])
    )
    assert exporter.value("inference_probe_server_seconds_count", component="total") == 1


def test_certificate_of_another_url(tmp_path: Path) -> None:
    """The expiry is kept as long as the URL stays the same."""
    expiry = "inference_probe_tls_certificate_not_after_timestamp_seconds"
    assert _reloaded(tmp_path, {}, {"interval": "3s"}).value(expiry) == NOW
    assert _reloaded(tmp_path, {}, {"url": "http://other/"}).value(expiry) is None


@pytest.mark.parametrize(("started", "expiry"), [(-1, None), (1, NOW)])
def test_certificate_of_a_run_in_flight(
    tmp_path: Path, started: float, expiry: float | None
) -> None:
    """A run that started before the URL changed does not set the expiry for the new URL.

    An http probe would never overwrite it, and ModelCertificateExpires would fire months later.
    """
    exporter = Exporter(tmp_path, url="https://127.0.0.1:1/")
    exporter.recorder.update_probe(make_probe(tmp_path, url="http://127.0.0.1:1/"))
    exporter.now += 2
    result = make_result(certificate_not_after=NOW)
    started_at = datetime.fromtimestamp(NOW + started, UTC)
    exporter.recorder.record(replace(result, started=started_at))
    name = "inference_probe_tls_certificate_not_after_timestamp_seconds"
    assert exporter.value(name) == expiry


def test_certificate_after_the_end_of_tls(tmp_path: Path) -> None:
    """The expiry outlasts a failure without a connection, but not a success without TLS."""
    exporter = Exporter(tmp_path)
    name = "inference_probe_tls_certificate_not_after_timestamp_seconds"
    exporter.recorder.record(make_result(certificate_not_after=NOW))
    exporter.recorder.record(make_result(reason=Reason.REFUSED))
    assert exporter.value(name) == NOW
    exporter.recorder.record(make_result())
    assert exporter.value(name) is None


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=2.0.0", "application/openmetrics-text; version=1.0"),
        ("application/openmetrics-text;version=0.0.1,text/plain", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=x.y", "text/plain; version=0.0.4"),
        ("text/plain;q=0.5, application/openmetrics-text", "application/openmetrics-text"),
    ],
)
def test_negotiation(accept: str, content_type: str) -> None:
    """The format is that of prometheus_client; the result negotiates to itself."""
    negotiated = negotiate_content_type(accept)
    assert negotiated.startswith(content_type)
    assert negotiate_content_type(negotiated) == negotiated


def test_escaping_is_negotiated() -> None:
    """The content type repeats a known escaping scheme of the scrape."""
    accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
    assert negotiate_content_type(accept).endswith("; escaping=allow-utf-8")
    assert negotiate_content_type(f"{accept}-x").endswith("; escaping=underscores")


def test_probe_that_is_removed(tmp_path: Path) -> None:
    """Its series disappear, and a late result does not bring them back."""
    exporter = Exporter(tmp_path, capacity={"safe_rate": "140/s"})
    exporter.recorder.remove_probe("model")
    exporter.recorder.record(make_result())
    assert [sample for sample in exporter.samples() if "probe" in sample.labels] == []


COLD_STARTS = "inference_probe_cold_start_seconds_count"


def test_cold_starts_do_not_count(tmp_path: Path) -> None:
    """They are in their own histogram, and in no other one. A success is still a success."""
    exporter = Exporter(tmp_path, cold={"after_idle": "5m"})
    assert exporter.value(COLD_STARTS) == 0
    exporter.recorder.record(make_result(cold=True, is_excluded=True, server={Component.TOTAL: 1}))
    exporter.recorder.record(make_result(cold=True, reason=Reason.COLD))
    assert exporter.value(COLD_STARTS) == 2
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 0
    assert exporter.value("inference_probe_latency_seconds_count", outcome="failure") == 0
    assert exporter.value("inference_probe_phase_seconds_count", phase="wait") is None
    assert exporter.value("inference_probe_server_seconds_count", component="total") is None
    assert exporter.value("inference_probe_failures_total", reason="cold") == 1
    assert exporter.value("inference_probe_last_success_timestamp_seconds") == NOW


def test_cold_starts_that_count(tmp_path: Path) -> None:
    """With `count: true` or in an outage, they are in both histograms."""
    exporter = Exporter(tmp_path, cold={"after_idle": "5m", "count": True})
    exporter.recorder.record(make_result(cold=True))
    assert exporter.value(COLD_STARTS) == 1
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 1


def test_series_of_cold_starts(tmp_path: Path) -> None:
    """Signals of a protocol cost no series until there is a cold start."""
    plain, protocol = Exporter(tmp_path), Exporter(tmp_path, cold={})
    names = [sample.name for sample in plain.samples()]
    assert [sample.name for sample in protocol.samples()] == names
    protocol.recorder.record(make_result(cold=True, reason=Reason.COLD))
    assert protocol.value(COLD_STARTS) == 1
    assert protocol.value("inference_probe_failures_total", reason="cold") == 1
    assert protocol.value("inference_probe_skipped_total", reason="cold") is None
    probing = Exporter(tmp_path, cold={"after_idle": "5m", "probe": True})
    assert probing.value("inference_probe_skipped_total", reason="cold") == 0


def test_a_scrape_leaves_no_garbage(tmp_path: Path) -> None:
    """Copies of the counts are freed with the text, and not by a full garbage collection."""
    recorder = Exporter(tmp_path).recorder

    def scrape() -> None:
        exposition = Exposition(openmetrics=False)
        recorder.write_to(exposition)
        assert list(exposition.parts())

    scrape()
    gc.collect()
    gc.disable()
    try:
        scrape()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_results_are_counted_in_batches(tmp_path: Path) -> None:
    """Without scrapes, they do not pile up."""
    exporter, result = Exporter(tmp_path), make_result()
    references = sys.getrefcount(result)
    for _ in range(BATCH_RESULTS - 1):
        exporter.recorder.record(result)
    assert sys.getrefcount(result) == references + BATCH_RESULTS - 1
    exporter.recorder.record(result)
    assert sys.getrefcount(result) == references
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 16


def test_results_of_a_removed_probe_do_not_count_for_a_new_one(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result())
    exporter.recorder.remove_probe("model")
    exporter.recorder.add_probe(make_probe(tmp_path), {})
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 0


def test_results_of_a_removed_probe_count_for_the_daemon(tmp_path: Path) -> None:
    """The metrics of the daemon have no label `probe`."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result())
    exporter.recorder.remove_probe("model")
    exporter.recorder.add_probe(make_probe(tmp_path), {})
    assert _total(exporter, "inference_probe_clock_correction_seconds_count") == 1


def test_a_result_counts_with_the_config_of_its_run(tmp_path: Path) -> None:
    """An update resets a histogram whose buckets change, with the results until then."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result())
    exporter.recorder.update_probe(make_probe(tmp_path, buckets=["1s"]))
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 0


def test_the_last_run_is_the_time_of_its_end(tmp_path: Path) -> None:
    """It is not the time of the scrape."""
    exporter = Exporter(tmp_path)
    exporter.recorder.record(make_result())
    exporter.now += 5
    assert exporter.value("inference_probe_last_run_timestamp_seconds") == NOW


def test_a_bug_loses_no_other_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the exception. The scrape succeeds."""
    exporter, original = Exporter(tmp_path), ProbeCounts.record

    def record(counts: ProbeCounts, result: Result, *args: Any) -> None:
        if result.reason is Reason.DNS:
            raise RuntimeError("failed on purpose")
        original(counts, result, *args)

    monkeypatch.setattr(ProbeCounts, "record", record)
    for reason in (None, Reason.DNS, None):
        exporter.recorder.record(make_result(reason=reason))
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 2
    assert "counting a result of the probe model failed" in caplog.text
    assert "failed on purpose" in caplog.text
