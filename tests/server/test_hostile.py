"""Text from models, redirects and clients cannot inject markup into a page."""

import html
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from probe.result import Excerpt, Failure, Phase, Reason, RedirectHop, Result
from tests.builders import make_result
from tests.server.page_fixtures import Site, site_of

pytestmark = pytest.mark.timing

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</pre></details></title><svg/onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)//\u2028\x00\x1b",
    "<!-- ]]>&lt;b&gt;",
)


class Skeleton(HTMLParser):
    """The elements of a page, with the values of attributes that can be active."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        active = {"href", "src", "action", "style"}
        attributes = [(name, value if name in active else None) for name, value in attrs]
        self.elements.append((tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(tag)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))


def failure(text: str) -> Result:
    """Return a failure in which each field that others control is `text`."""
    hop = RedirectHop(url=text, status=302, phases={Phase.WAIT: 0.1})
    return replace(
        make_result(status=200, hops=(hop,), final_hop=hop),
        failure=Failure(reason=Reason.ASSERTION, detail=text),
        excerpt=Excerpt(headers={text: text}, body=text),
    )


def pages(directory: Path, text: str) -> dict[str, str]:
    directory.mkdir()
    with site_of(directory, authenticated=True) as site:
        site.history.record(failure(text))
        return {path: site.get(path).text for path in ("/", "/probes/model")}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_keeps_its_shape(tmp_path: Path, text: str) -> None:
    """It has the same elements, attributes and links as with a harmless failure."""
    harmless, hostile = pages(tmp_path / "a", "all is well"), pages(tmp_path / "b", text)
    for path, page in hostile.items():
        assert Skeleton(page).elements == Skeleton(harmless[path]).elements
    assert html.unescape(hostile["/probes/model"]).count(text) >= 4


@pytest.fixture
def site(tmp_path: Path) -> Any:
    with site_of(tmp_path) as site:
        yield site


@pytest.mark.parametrize("path", ["/probe?name={}", "/probes/{}", "/api/v1/probes/{}/results"])
@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\r\nSet-Cookie: a=b", "é\u202e"])
def test_a_name_in_an_error_is_not_markup(site: Site, path: str, text: str) -> None:
    """An error that quotes the name is plain text or JSON, and browsers must not guess its type."""
    response = site.get(path.format(text))
    assert response.status_code == 404
    assert response.headers["Content-Type"].split(";")[0] in ("text/plain", "application/json")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers
