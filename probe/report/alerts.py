"""Pages that fired, from the series ALERTS of Prometheus."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from probe.prometheus.client import PrometheusClient
from probe.prometheus.probe_group import ProbeGroup
from probe.report.incident import Incident

# If there is a longer time between two samples of an alert, it has fired twice. Rules are evaluated
# at least every 2 min.
MAX_SAMPLE_SECONDS = 300.0

# A page that fires within this time after the end of an incident still belongs to it, because rules
# have windows of up to an hour.
MAX_DELAY_SECONDS = 600.0


@dataclass(frozen=True, slots=True, order=True)
class Page:
    """A page that fired from `start` to `end` (Unix seconds). `slo` is empty for outages."""

    start: float
    end: float
    alert: str
    slo: str


def read_pages(client: PrometheusClient, group: ProbeGroup, start: float, end: float) -> list[Page]:
    """Return the pages by ascending start; empty without the rules. Raises PrometheusError."""
    times: dict[tuple[str, str], set[float]] = {}
    selector = group.selector("ALERTS", 'alertstate="firing"', 'slo_severity="page"')
    for part in client.samples(selector, start, end):
        for series in part:
            key = (series.labels["alertname"], series.labels.get("slo", ""))
            times.setdefault(key, set()).update(time for time, _ in series.samples)
    return sorted(page for key, found in times.items() for page in find_pages(found, *key))


def find_pages(times: Iterable[float], alert: str, slo: str) -> list[Page]:
    """Return the pages of one alert that fired at `times` (Unix seconds), in any order.

    Several series can be the same alert, such as those of two instances.
    """
    pages: list[Page] = []
    for time in sorted(times):
        if pages and time - pages[-1].end <= MAX_SAMPLE_SECONDS:
            pages[-1] = replace(pages[-1], end=time)
        else:
            pages.append(Page(time, time, alert, slo))
    return pages


def pages_of(incident: Incident, slo: str, pages: Sequence[Page]) -> tuple[Page, ...]:
    """Return the pages that fired because of an incident of the objective `slo`."""
    return tuple(
        page
        for page in pages
        if page.slo in ("", slo)
        and page.end >= incident.start
        and page.start <= incident.end + MAX_DELAY_SECONDS
    )
