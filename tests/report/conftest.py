"""A Prometheus with a simulated history that ends now."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from probe.prometheus.client import PrometheusClient
from probe.remote_server import RemoteServer
from probe.report.build import build_report, find_probes
from probe.report.period import Period
from probe.report.report import SlaReport
from tests.prometheus.processes import backfill, running_prometheus
from tests.report.history import Life, Replica, Script, alert_lines, lines

HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A history in a running Prometheus. `origin` is its start (Unix seconds)."""

    url: str
    origin: float
    script: Script
    replicas: list[Replica]

    def report(self, start: float, end: float, *, with_previous: bool = False) -> SlaReport:
        """Return the report for a period; times are seconds after the start of the history."""
        period = Period(name="test", start=self.origin + start, end=self.origin + end)
        with PrometheusClient(RemoteServer(url=self.url)) as client:
            return build_report(
                client,
                [group for group in find_probes(client, period) if group.probe == "chat"],
                period,
                with_previous=with_previous,
                created=time.time(),
                on_progress=lambda *_: None,
            )

    def scraped(self, start: float, end: float, *names: str) -> int:
        """Return the sum of the increases of counters, from the script."""
        return sum(
            replica.scraped_increase(name, self.origin + start, self.origin + end)
            for replica in self.replicas
            for name in names
        )


SCRIPT = Script(
    end=40 * HOUR,
    interval=20,
    scrape_interval=60,
    outages=[(20 * HOUR, 20.5 * HOUR, "http_5xx"), (30 * HOUR, 30.2 * HOUR, "refused")],
    slow=[(25 * HOUR, 25.5 * HOUR)],
    pauses=[(28 * HOUR, 29 * HOUR)],
    # A restart of the first replica is in the second gap.
    scrape_gaps=[(7.5 * HOUR, 8.5 * HOUR), (33 * HOUR, 34 * HOUR)],
    noise=200,
    new_version=26 * HOUR,
)


# Another probe, which has no failures.
QUIET_SCRIPT = Script(
    end=40 * HOUR,
    interval=20,
    scrape_interval=60,
    probe="quiet",
    objectives=[("99% < 500ms", "0.5", 0.99)],
)


def two_replicas() -> list[Replica]:
    """Return a replica that restarts three times, and one that is absent for a while."""
    first = Replica(
        "first:10115",
        [
            Life(0, 15 * HOUR + 13),
            Life(15 * HOUR + 25, 33.5 * HOUR),
            Life(33.5 * HOUR + 60, 36 * HOUR + 5),
            Life(36.5 * HOUR, 40 * HOUR),
        ],
    )
    return [first, Replica("second:10115", [Life(7, 35 * HOUR), Life(37 * HOUR, 40 * HOUR)])]


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    directory = tmp_path_factory.mktemp("history")
    origin, replicas = float(int(time.time()) - 40 * 3600), two_replicas()
    for replica in replicas:
        replica.run(SCRIPT, origin)
    alert = alert_lines(
        "ModelDown", origin + 20 * HOUR + 200, origin + 20.5 * HOUR + 60, severity="page"
    )
    other = alert_lines("ModelErrorBudgetBurn", origin + 10 * HOUR, origin + 10 * HOUR + 60)
    quiet = Replica("third:10115", [Life(0, 40 * HOUR)])
    quiet.run(QUIET_SCRIPT, origin)
    samples = [*lines(replicas, SCRIPT, origin), *lines([quiet], QUIET_SCRIPT, origin)]
    backfill(directory, [*samples, *alert, *other])
    with running_prometheus("prometheus", directory, {}) as url:
        yield History(url=url, origin=origin, script=SCRIPT, replicas=replicas)


@pytest.fixture(scope="session")
def report(history: History) -> SlaReport:
    """Return the report that begins in a gap of the scrapes."""
    return history.report(8 * HOUR, 40 * HOUR, with_previous=True)
