"""Links from the pages to runbook, dashboard and Prometheus."""

from pathlib import Path

import pytest

from probe.server.links import page_links
from tests.commands import invoke
from tests.server.page_fixtures import site_of

GRAFANA = "https://grafana.example/d/x?var-probe={probe}&var-ds=prod"


def test_links_on_the_pages(tmp_path: Path) -> None:
    """A link with {probe} is on the page of a probe, with its encoded name; others are on all."""
    links = page_links(
        {"runbook": "http://wiki.example/r", "dashboard": GRAFANA, "prometheus": None}
    )
    with site_of(tmp_path, "a:b/c", links=links) as site:
        home, probe = site.get("/").text, site.get("/probes/a:b%2Fc").text
        for page in (home, probe):
            assert '<a href="http://wiki.example/r">runbook</a>' in page
            assert "prometheus</a>" not in page
        assert "dashboard</a>" not in home
        url = "https://grafana.example/d/x?var-probe=a%3Ab%2Fc&amp;var-ds=prod"
        assert f'<a href="{url}">dashboard</a>' in probe


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("grafana.example/d", "not an absolute http or https URL"),
        ("javascript:alert(1)", "not an absolute http or https URL"),
        ("http://", "not an absolute http or https URL"),
        ("http://[::1", "not an absolute http or https URL"),
        ("http://a.example:99999/", "not an absolute http or https URL"),
        ("https://ann@a.example/", "the pages show this URL; write it without user"),
        ("https://ann:secret@a.example/", "write it without user and password"),
        ("http://a.example/a b", "not an absolute http or https URL"),
        ("http://a.example/{name}", "the only placeholder is {probe}; write %7B and %7D"),
    ],
)
def test_invalid_urls(url: str, message: str) -> None:
    """The error names the flag and has an example."""
    with pytest.raises(ValueError, match=r"--web\.dashboard-url: ") as error:
        page_links({"dashboard": url})
    assert message in str(error.value)
    assert "secret" not in str(error.value)
    assert "write, for example, https://grafana.example/d/" in str(error.value)


def test_run_rejects_an_invalid_url() -> None:
    """`run` exits with 2 and prints the error."""
    result = invoke("run", "--url=http://127.0.0.1:1/", "--web.runbook-url=wiki")
    assert result.returncode == 2
    assert result.stderr.startswith("--web.runbook-url: not an absolute http or https")
