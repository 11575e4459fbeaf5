"""The texts of alerts about real faults of daemons and endpoints, as Alertmanager delivers them."""

import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest
import trustme

from probe.clock import HOUR_SECONDS
from probe.demo.alerts import AlertApi
from probe.demo.stack import Binaries, Stack
from tests.e2e import alert_texts
from tests.e2e.faulty_probers import (
    FACTOR,
    JOB,
    JOB_WITHOUT_BUCKETS,
    PROBE_INTERVAL_SECONDS,
    RESTARTS,
    FaultyProbers,
    Probers,
    serve_endpoints,
)

pytestmark = pytest.mark.timing

# The longest time is that of ModelLatencyRegression: it needs 50 requests, and lasts half an hour.
DELIVERY_SECONDS = 150

TICKET = {"severity": "warning", "slo_severity": "ticket"}

# Results of templates that failed.
BROKEN = re.compile(r"<no value>|<error|%!|\{\{|\}\}|\bNaN\b|\bInf\b|\s{2}|\s[.,:]")

Alert = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An alert, and what its texts must contain: the truth about the fault."""

    name: str
    labels: Mapping[str, str]
    text: str
    """Regular expression. Its group, if any, is a number."""
    least: float = -inf
    most: float = inf

    def matches(self, alert: Alert) -> bool:
        """Return whether this is the alert, at any level."""
        labels = {"alertname": self.name, "job": JOB, **self.labels}
        return bool(labels.items() <= alert["labels"].items())

    def problems(self, alert: Alert) -> Iterator[str]:
        """Yield what is wrong with the labels and texts of the alert."""
        labels = {"alertname": self.name, "job": JOB, **self.labels, **TICKET}
        if alert["labels"] != labels:
            yield f"labels: {alert['labels']}"
        summary, description = (alert["annotations"][key] for key in ("summary", "description"))
        if "\n" in summary or not summary:
            yield f"summary: {summary!r}"
        yield from (f"broken: {text}" for text in (summary, description) if BROKEN.search(text))
        match = re.search(self.text, f"{summary} {description}")
        if not match:
            yield f"text: {summary} {description}"
        elif match.groups() and not self.least <= float(match[1]) <= self.most:
            yield f"{match[1]} is not from {self.least} to {self.most}: {description}"


def expected(probers: Probers, *, loaded: datetime, expiry: datetime) -> list[Expected]:
    """Return the alerts about the faults. `loaded` is when the healthy daemon read its config."""
    minute = "%Y-%m-%d %H:%M UTC"
    max_skipped = 1.1 * HOUR_SECONDS / 2 / FACTOR / PROBE_INTERVAL_SECONDS
    return [
        Expected(
            name="InferenceProbeInstanceDown",
            labels={"instance": probers.killed},
            text=rf"failed to scrape {probers.killed} for at least 5 minutes",
        ),
        Expected(
            name="InferenceProbeRestarts",
            labels={"instance": probers.restarted},
            text=rf"{probers.restarted} had restarted (\d+) times in the last hour",
            least=RESTARTS,
            most=RESTARTS,
        ),
        Expected(
            name="InferenceProbePaused",
            labels={"instance": probers.paused},
            text=rf"{probers.paused} had been paused for more than 4 hours.* for its (\d+) probe,",
            least=1,
            most=1,
        ),
        Expected(
            name="InferenceProbeHistogramMissing",
            labels={"job": JOB_WITHOUT_BUCKETS},
            text=rf"job {JOB_WITHOUT_BUCKETS}, but for (\d+) of",
            least=3,
            most=3,
        ),
        Expected(
            name="InferenceProbeLate",
            labels={"instance": probers.starved},
            text=rf"requests of {probers.starved} .* had started about (\d+)ms or more after",
            least=100,
            most=250,
        ),
        Expected(
            name="InferenceProbeSkippedTicks",
            labels={"instance": probers.starved, "probe": "starved-0", "reason": "late"},
            text=r"had skipped (\d+) scheduled requests to starved-0 .* not start them in time",
            least=3,
            most=max_skipped,
        ),
        Expected(
            name="InferenceProbeReloadFailed",
            labels={"instance": probers.healthy},
            text=rf"{probers.healthy} could not load .* \(loaded at {loaded:{minute}}\)",
        ),
        Expected(
            name="ModelReplicaDown",
            labels={"instance": probers.cut_off, "probe": "sentiment"},
            text=rf"the last (\d+) requests from {probers.cut_off} to sentiment.* failure: refused",
            least=5,
        ),
        Expected(
            name="ModelCertificateExpires",
            labels={"probe": "vision"},
            text=rf"expires at {expiry:{minute}}",
        ),
        *(
            Expected(
                name="ModelLatencyRegression",
                labels={"probe": "translate", "quantile": quantile},
                text=rf"the {words} latency of translate .* was about (\d+)ms, and usually 20ms",
                least=150,
                most=999,
            )
            for quantile, words in (("0.5", "median"), ("0.95", "95th percentile"))
        ),
    ]


def server_context(authority: trustme.CA, expiry: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=expiry).configure_cert(context)
    return context


def collect(stack: Stack, alerting: AlertApi, cases: Sequence[Expected]) -> dict[int, Alert]:
    """Return the alert of each case, by the position of the case in `cases`.

    Prometheus sends a changed text a minute later. If texts have problems, the result is their
    version at the end of DELIVERY_SECONDS.
    """
    delivered: dict[int, Alert] = {}
    waiting = set(range(len(cases)))
    deadline = time.monotonic() + DELIVERY_SECONDS
    while waiting and time.monotonic() < deadline:
        stack.check()
        alerts = alerting.arrived()
        for position in list(waiting):
            for alert in filter(cases[position].matches, alerts):
                delivered[position] = alert
                if not any(cases[position].problems(alert)):
                    waiting.discard(position)
        time.sleep(0.5)
    alert_texts.collect(delivered.values())
    return delivered


@pytest.mark.full
def test_fault_texts(tmp_path: Path, newest_binaries: Binaries) -> None:
    """Each fault raises its ticket, and the values in the texts are true."""
    authority = trustme.CA()
    authority_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(authority_file))
    expiry = datetime.now(UTC) + timedelta(days=2)
    with (
        serve_endpoints(server_context(authority, expiry), authority_file) as endpoints,
        Stack(tmp_path, factor=FACTOR, stop=threading.Event()) as stack,
    ):
        faulty = FaultyProbers(stack, newest_binaries)
        faulty.start(endpoints)
        loaded = faulty.config_load_time(faulty.probers.healthy)
        with faulty.starve():
            endpoints.stop_replica()
            faulty.kill()
            faulty.break_config()
            faulty.restart()
            cases = expected(faulty.probers, loaded=loaded, expiry=expiry)
            delivered = collect(stack, faulty.alerting, cases)
    missing = [case.name for position, case in enumerate(cases) if position not in delivered]
    assert not missing
    problems = [
        f"{cases[position].name}: {problem}"
        for position, alert in delivered.items()
        for problem in cases[position].problems(alert)
    ]
    assert not problems, "\n".join(problems)
