"""Labels of the lines in a latency chart, as they are on the page."""

import re
from pathlib import Path

import pytest

from tests.server.page_fixtures import Site, site_of

LABEL = re.compile(r'<text class="(\w+)".* dy="(-?)\d+".*>(.+)</text>')


def labels(site: Site, kind: str) -> list[str]:
    """Return the labels in the order of the page, each with its position."""
    site.add_history()  # latencies of 50 to 110 ms and one of 1.9 s
    return [
        f"{text} {'above' if minus else 'below'}"
        for label_kind, minus, text in LABEL.findall(site.get("/probes/model").text)
        if label_kind == kind
    ]


@pytest.mark.parametrize(
    ("latency", "expected"),
    [
        ("900ms", ["100 ms above", "1 s above"]),
        ("1s", ["100 ms above"]),
        ("1250ms", ["100 ms above"]),
        ("120ms", ["1 s above"]),
        ("250ms", ["100 ms above", "1 s above"]),
    ],
)
def test_a_grid_label_is_omitted_if_an_objective_crosses_it(
    tmp_path: Path, latency: str, expected: list[str]
) -> None:
    """A grid line has no label if the line of an objective is on it or closely above."""
    objectives = [{"name": "fast", "target": "90%", "latency": latency}]
    with site_of(tmp_path, objectives=objectives) as site:
        assert labels(site, "grid") == expected


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        (("200ms", "500ms"), ["500 ms above", "200 ms above"]),
        (("250ms", "300ms"), ["300 ms above", "250 ms below"]),
        (("250ms", "300ms", "350ms"), ["350 ms above", "250 ms below"]),
        (("40ms", "44ms"), ["44 ms above"]),
    ],
)
def test_objectives_close_together(
    tmp_path: Path, latencies: tuple[str, ...], expected: list[str]
) -> None:
    """The label of the stricter one moves below its line, or is omitted without space there."""
    objectives = [{"name": latency, "target": "90%", "latency": latency} for latency in latencies]
    with site_of(tmp_path, objectives=objectives) as site:
        assert labels(site, "objective") == expected
