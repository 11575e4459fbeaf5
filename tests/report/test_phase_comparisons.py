"""Phases compared with earlier, from a history of four weeks in a real Prometheus."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from probe.history.phase_comparison import PhaseComparison
from probe.prometheus.client import PrometheusClient
from probe.prometheus.probe_group import ProbeGroup
from probe.remote_server import RemoteServer
from probe.report.html_report import render_html
from probe.report.markdown import render_markdown
from probe.report.period import Period
from probe.report.phase_comparisons import PhaseComparisons, read_phase_comparisons
from probe.report.report import SlaReport
from probe.report.wording import phase_sentences
from probe.result import Phase
from tests.prometheus.processes import backfill, running_prometheus

HOUR, DAY = 3600, 86400
SCRAPE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Hour:
    """The successes of one hour: `start` is in seconds before the end of the history."""

    start: int
    wait: float
    """Mean (seconds)."""
    successes: int = 60
    restart: bool = False


HOURS = [
    Hour(28 * DAY + 2 * HOUR, 0.2),
    Hour(3 * DAY + 2 * HOUR, 5.0, successes=6),
    Hour(2 * DAY + 2 * HOUR, 0.12),
    Hour(DAY + 2 * HOUR, 0.1),
    Hour(2 * HOUR, 0.3, restart=True),
    Hour(HOUR, 5.0, successes=6),
]


def lines(end: int) -> Iterator[str]:
    """Yield the samples of HOURS in the OpenMetrics format. One in 20 successes has a handshake."""
    series: dict[str, list[str]] = {}
    counts, sums = {Phase.WAIT: 0.0, Phase.TLS: 0.0}, {Phase.WAIT: 0.0, Phase.TLS: 0.0}
    for hour in HOURS:
        for second in range(0, HOUR, SCRAPE_SECONDS):
            if hour.restart and second == HOUR // 2:
                counts, sums = dict.fromkeys(counts, 0.0), dict.fromkeys(sums, 0.0)
            successes = hour.successes * SCRAPE_SECONDS / HOUR
            for phase, share, mean in ((Phase.WAIT, 1.0, hour.wait), (Phase.TLS, 0.05, 1.0)):
                counts[phase] += successes * share
                sums[phase] += successes * share * mean
                for suffix, values in (("count", counts), ("sum", sums)):
                    name = f"inference_probe_phase_seconds_{suffix}"
                    labels = f'job="probes",instance="a:10115",probe="chat",phase="{phase}"'
                    scraped = end - hour.start + second + SCRAPE_SECONDS
                    sample = f"{name}{{{labels}}} {values[phase]} {scraped}"
                    series.setdefault(f"{suffix} {phase}", []).append(sample)
    for samples in series.values():
        yield from samples


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhaseComparisons]:
    """Yield the comparison at the end of a day."""
    directory: Path = tmp_path_factory.mktemp("phases")
    end = int(time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    backfill(directory, list(lines(end)))
    with (
        running_prometheus("prometheus", directory, {}) as url,
        PrometheusClient(RemoteServer(url=url)) as client,
    ):
        period = Period(name="test", start=end - DAY, end=end)
        group = ProbeGroup("chat", job="probes")
        found = read_phase_comparisons(client, group, period)
        last_hour = replace(period, start=end - HOUR)
        assert read_phase_comparisons(client, group, last_hour) is None
        assert found
        assert found.end == end - HOUR
        yield found


def test_means(comparisons: PhaseComparisons) -> None:
    """Means are those of the last hour with enough successes, and of the same hour earlier."""
    (wait,) = comparisons.phases
    assert wait.phase is Phase.WAIT  # and not the few handshakes
    assert wait.recent == pytest.approx(0.3, rel=0.001)
    assert wait.usual == pytest.approx(0.11, rel=0.001)
    assert wait.four_weeks_ago == pytest.approx(0.2, rel=0.001)
    assert comparisons.days_without_mean == (3,)


def test_sentences(comparisons: PhaseComparisons, report: SlaReport) -> None:
    """The report says which phase is slower, how much, and which day is missing."""
    (probe,) = report.probes
    report = replace(report, probes=(replace(probe, phase_comparisons=comparisons),))
    sentences = [
        "chat: wait is slower: 300 ms is 2.7 times the usual 110 ms.",
        "chat: the same hour 3 days before has less than 10 successes or no data.",
    ]
    assert list(phase_sentences(report)) == sentences
    assert all(sentence in render_markdown(report) for sentence in sentences)
    assert all(sentence in render_html(report) for sentence in sentences)


def test_slower_than_both(report: SlaReport, comparisons: PhaseComparisons) -> None:
    """A phase that is slower than usual and than four weeks ago has one sentence."""
    (probe,) = report.probes
    phases = (PhaseComparison(Phase.WAIT, 0.3, 0.1, 0.15), PhaseComparison(Phase.TLS, 1, None, 1))
    comparisons = replace(comparisons, phases=phases, days_without_mean=(1, 2, 28))
    report = replace(report, probes=(replace(probe, phase_comparisons=comparisons),))
    slower, missing = phase_sentences(report)
    assert slower == (
        "chat: wait is slower: 300 ms is 3.0 times the usual 100 ms and 2.0 times the 150 ms of"
        " four weeks ago."
    )
    assert missing.startswith("chat: the same hour 1 day, 2 days and 4 weeks before has less")


def test_no_successes(report: SlaReport) -> None:
    """Without an hour of enough successes, the report says that nothing is compared."""
    (probe,) = report.probes
    report = replace(report, probes=(replace(probe, phase_comparisons=None),))
    (sentence,) = phase_sentences(report)
    assert sentence.startswith("chat: no hour at the end of the period has 10 successes")
    assert sentence in render_markdown(report)
    assert sentence in render_html(report)
