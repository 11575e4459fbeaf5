"""A month with restarts, pauses, gaps and incidents in a real Prometheus: the counts are exact."""

import json
import random
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.commands import COMMAND, environment
from tests.prometheus.processes import backfill, running_prometheus
from tests.report.history import Life, Replica, Script, alert_lines, lines

HOUR, DAY = 3600.0, 86400.0

# The report reads six million samples, on a machine that may be busy.
TIMEOUT_SECONDS = 300.0

# The history begins a day before the month, and ends a day after it.
ORIGIN = datetime(2026, 8, 31, tzinfo=UTC).timestamp()
MONTH = (ORIGIN + DAY, ORIGIN + 31 * DAY)

SCRIPT = Script(
    end=32 * DAY,
    interval=20,
    scrape_interval=60,
    outages=[
        (4 * DAY + 3 * HOUR, 4 * DAY + 3.75 * HOUR, "http_5xx"),
        (11 * DAY + 9 * HOUR, 11 * DAY + 9.2 * HOUR, "refused"),
        (25 * DAY + 23.5 * HOUR, 26 * DAY + 0.5 * HOUR, "http_5xx"),
    ],
    slow=[(15 * DAY + 14 * HOUR, 15 * DAY + 16 * HOUR)],
    pauses=[(8 * DAY + 2 * HOUR, 8 * DAY + 4 * HOUR), (20 * DAY, 20 * DAY + HOUR)],
    # One of them contains the start of the month, and one a restart.
    scrape_gaps=[
        (DAY - HOUR, DAY + HOUR),
        (13 * DAY, 13 * DAY + 2 * HOUR),
        (29 * DAY + 5 * HOUR, 29 * DAY + 8 * HOUR),
    ],
    noise=400,
)


def restarted(instance: str, restarts: list[float], absent: float) -> Replica:
    """Return a replica that restarts at these times, and is absent for a while after each."""
    ends = [*sorted(restarts), SCRIPT.end]
    starts = [0.0, *(end + absent for end in ends[:-1])]
    return Replica(instance, [Life(*span) for span in zip(starts, ends, strict=True)])


@pytest.mark.full
def test_month(tmp_path: Path) -> None:
    """Events, runs and incidents of the month are those of the counters."""
    generator = random.Random(7)
    often = [generator.uniform(0, 32 * DAY) for _ in range(25)]
    replicas = [
        restarted("a:10115", [*often, 13 * DAY + HOUR], 7.0),
        restarted("b:10115", [6 * DAY, 18 * DAY, 27 * DAY + 11], 5 * HOUR),
    ]
    for replica in replicas:
        replica.run(SCRIPT, ORIGIN)
    page = alert_lines("ModelDown", ORIGIN + 4 * DAY + 3.1 * HOUR, ORIGIN + 4 * DAY + 3.8 * HOUR)
    backfill(tmp_path, [*lines(replicas, SCRIPT, ORIGIN), *page])
    with running_prometheus("prometheus", tmp_path, {}) as url:
        flags = (f"--prometheus.url={url}", "--period=2026-09", "--format=json", "--previous")
        done = subprocess.run(
            (*COMMAND, "report", *flags),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)

    def scraped(*names: str) -> int:
        return sum(replica.scraped_increase(name, *MONTH) for replica in replicas for name in names)

    latency, availability = document["objectives"]
    assert (latency["good"], latency["bad"]) == (scraped("fast"), scraped("slow", "failure"))
    assert availability["good"] == scraped("fast", "slow")
    assert availability["bad"] == scraped("failure")
    assert latency["total"] > 240_000
    (coverage,) = document["coverage"]
    assert (coverage["due"], coverage["run"]) == (scraped("ticks"), scraped("runs"))
    assert coverage["skipped"]["paused"] == scraped("skipped paused") == 2 * 3 * 180
    assert coverage["expected"] == pytest.approx(2 * 30 * DAY / SCRIPT.interval, rel=0.001)
    assert sum(item["restarts"] for item in coverage["replicas"]) == sum(
        MONTH[0] < ORIGIN + life.start <= MONTH[1] for item in replicas for life in item.lives
    )
    # A day without the second replica has the first one: nothing is absent but short restarts.
    assert coverage["absent_seconds"] == pytest.approx(0, abs=600)
    found = [
        (incident["from"][:13], next(iter(incident["reasons"])))
        for incident in latency["incidents"]
    ]
    assert found == [
        ("2026-09-04T03", "http_5xx"),
        ("2026-09-11T09", "refused"),
        ("2026-09-15T14", "slow"),
        ("2026-09-25T23", "http_5xx"),
    ]
    assert [page["alert"] for page in latency["incidents"][0]["pages"]] == ["ModelDown"]
    assert latency["incidents"][3]["seconds"] == pytest.approx(HOUR, abs=120)
    assert latency["previous"]["good"] == sum(
        replica.scraped_increase("fast", ORIGIN - DAY, MONTH[0]) for replica in replicas
    )
