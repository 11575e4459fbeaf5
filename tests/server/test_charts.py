"""The labels of the lines in a plot, as they are on the page."""

import re
from pathlib import Path

import pytest

from tests.server.page_fixtures import Site, site_of

LABEL = re.compile(r'<text class="(\w+)".* dy="(-?)\d+".*>(.+)</text>')


def labels(site: Site, kind: str) -> list[str]:
    """In the order of the page, each with where it stands of its line."""
    site.live()  # answers of 50 to 110 ms and one of 1.9 s
    return [
        f"{words} {'above' if minus else 'below'}"
        for found, minus, words in LABEL.findall(site.get("/").text)
        if found == kind
    ]


@pytest.mark.parametrize(
    ("latency", "told"),
    [
        ("900ms", ["100 ms above", "1 s above"]),
        ("1s", ["100 ms above"]),
        ("1250ms", ["100 ms above"]),
        ("120ms", ["1 s above"]),
        ("250ms", ["100 ms above", "1 s above"]),
    ],
)
def test_no_objective_strikes_a_label_through(
    tmp_path: Path, latency: str, told: list[str]
) -> None:
    """A line of the grid goes without its label where an objective's is on it or closely above."""
    objectives = [{"name": "fast", "target": "90%", "latency": latency}]
    with site_of(tmp_path, objectives=objectives) as site:
        assert labels(site, "grid") == told


@pytest.mark.parametrize(
    ("latencies", "told"),
    [
        (("200ms", "500ms"), ["500 ms above", "200 ms above"]),
        (("250ms", "300ms"), ["300 ms above", "250 ms below"]),
        (("250ms", "300ms", "350ms"), ["350 ms above", "250 ms below"]),
        (("40ms", "44ms"), ["44 ms above"]),
    ],
)
def test_objectives_close_together(
    tmp_path: Path, latencies: tuple[str, ...], told: list[str]
) -> None:
    """The stricter one's label moves below its line; one that has no place there is left out."""
    objectives = [{"name": one, "target": "90%", "latency": one} for one in latencies]
    with site_of(tmp_path, objectives=objectives) as site:
        assert labels(site, "objective") == told
