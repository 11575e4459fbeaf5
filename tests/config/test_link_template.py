"""URLs of links on the pages."""

import pytest

from probe.config.link_template import find_link_problem


@pytest.mark.parametrize(
    "template",
    [
        "https://grafana.example/trace/{trace_id}",
        "http://[::1]:3000/explore?left=%7B%22q%22:%22{trace_id}%22%7D",
    ],
)
def test_links(template: str) -> None:
    """Absolute URLs, also with a port, a query and percent-encoded braces."""
    assert find_link_problem(template, "{trace_id}") is None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("grafana.example/{trace_id}", "not an absolute http or https URL"),
        ("javascript:alert('{trace_id}')", "not an absolute http or https URL"),
        ("https://grafana.example:0/{trace_id}", "not an absolute http or https URL"),
        ("https://grafana.example/a b", "not an absolute http or https URL"),
        ("https://ann:secret@grafana.example/{trace_id}", "without user and password"),
        ("https://grafana.example/{probe}", "the only placeholder is {trace_id}"),
    ],
)
def test_invalid_links(template: str, problem: str) -> None:
    """A browser cannot open them, or a page must not show them."""
    assert problem in (find_link_problem(template, "{trace_id}") or "")
