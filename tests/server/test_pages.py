"""The pages and the API, as any client gets them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from probe.result import Component, Phase, Reason, RedirectHop
from probe.server.routes import MAX_PAGE_AGE_SECONDS
from tests.server.page_fixtures import UP, Site, answer, refusal, site_of

NAME = "127.0.0.1:5000/predict/results"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_of(tmp_path, "model", NAME) as site:
        yield site


def test_the_list_as_json(site: Site) -> None:
    """`/api/v1/probes` says of each probe how it keeps its promises."""
    site.add(ago=5, **answer(0.3))
    site.add(**answer(0.9))
    told = site.get("/api/v1/probes").json()["probes"]
    assert [one["probe"] for one in told] == ["model", NAME]
    model = told[0]
    assert model["url"] == "http://model:5000/predict"
    assert model["last"]["latency_seconds"] == pytest.approx(0.9062)
    assert model["latency_seconds"]["p50"] == pytest.approx(0.3062)
    counted = {"good": 1, "bad": 1, "met": False}
    fast = model["objectives"][0]
    assert fast["windows"] == {"5m": counted, "1h": counted, "kept": counted}
    assert fast["budget_left"] == pytest.approx(-4)
    assert told[1]["last"] is None
    assert told[1]["objectives"][1]["windows"]["5m"] == {"good": 0, "bad": 0, "met": None}


def test_one_probe_as_json(site: Site) -> None:
    """`/results` has the results as `once` prints them, the last one first, also of odd names."""
    site.add(NAME, ago=5, **answer(0.3))
    site.add(NAME, **refusal())
    told = site.get("/api/v1/probes/127.0.0.1:5000%2Fpredict%2Fresults/results").json()
    assert [one["reason"] for one in told["recent"]] == ["overloaded", None]
    assert told["slowest"] == told["recent"][1:]
    assert told["failures"] == told["recent"][:1]
    assert told["failures"][0]["status"] == 503
    assert told["phases"]["connect"] == {"p50": 0.0011, "p95": 0.0011, "p99": 0.0011}


def test_redirects_as_json(site: Site) -> None:
    """Each request of a chain is there, the one that was answered as well."""
    asked = RedirectHop(url="http://model/old", status=301, phases={Phase.WAIT: 0.1})
    landed = RedirectHop(url="http://model/new", status=200, phases={Phase.WAIT: 0.2})
    site.add(hops=(asked,), final_hop=landed)
    site.add()
    single, chain = site.get("/api/v1/probes/model/results").json()["recent"]
    assert [hop["url"] for hop in chain["hops"]] == ["http://model/old"]
    assert chain["landing"] == {"url": landed.url, "status": 200, "phases": {"wait": 0.2}}
    assert (single["hops"], single["landing"]) == ([], None)


def test_answers_are_for_users_only(site: Site, tmp_path: Path) -> None:
    """Headers and body of what a model said are for who has logged in, on page and in JSON."""
    where = ("/probes/model", "/api/v1/probes/model/results", "/", "/api/v1/probes")
    site.add(**refusal())
    for path in where:
        assert "capacity" not in site.get(path).text
        assert "Retry-After" not in site.get(path).text
    directory = tmp_path / "users"
    directory.mkdir()
    with site_of(directory, logged_in=True) as users:
        users.add(**refusal())
        failure = users.get(where[1]).json()["failures"][0]
        assert failure["headers"] == {"Server": "<i>toy</i>", "Retry-After": "3"}
        assert failure["body_excerpt"].endswith("no capacity")
        assert "no capacity" in users.get(where[0]).text


def test_names_that_are_not_there(site: Site) -> None:
    """An unknown probe is a 404 that says which there are, in the form that was asked for."""
    page = site.get("/probes/<b>")
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "there are: 127.0.0.1" in page.text
    api = site.get("/api/v1/probes/nobody/results")
    assert api.status_code == 404
    assert api.json()["error"].startswith("no probe 'nobody'; there are:")
    assert "error" in site.get("/api/v2").json()
    assert site.get("/static/../app.py").status_code == 404
    assert site.get("/static/..%2fapp.py").status_code == 404


def test_times_are_for_machines_too(site: Site) -> None:
    """Each time on a page says itself in the form that the API has, which readers understand."""
    site.add(**refusal())
    page = site.get("/probes/model").text
    started = site.get("/api/v1/probes/model/results").json()["last"]["started"]
    assert f'<time datetime="{started}">' in page
    assert "<time>" not in page


def test_seconds_without_noise(site: Site) -> None:
    """A time is told as exactly as clocks tell it, without what sums of floats add."""
    site.add(phases={Phase.CONNECT: 0.1, Phase.WAIT: 0.2}, server={Component.QUEUE: 0.1 + 0.2})
    told = site.get("/api/v1/probes/model/results").json()
    assert told["last"]["latency_seconds"] == told["latency_seconds"]["p50"] == 0.3
    assert told["recent"][0]["latency_seconds"] == told["recent"][0]["server"]["queue"] == 0.3


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("/", "no-store"),
        ("/probes/model", "no-store"),
        ("/api/v1/probes", "no-store"),
        ("/api/v1/probes/model/results", "no-store"),
        ("/static/page.css", "no-cache"),
        ("/static/update.js", "no-cache"),
        ("/nothing", "no-cache"),
    ],
)
def test_what_browsers_are_told(site: Site, path: str, cached: str) -> None:
    """Every answer forbids what is not needed, and pages are not kept."""
    headers = site.get(path).headers
    assert headers["Cache-Control"] == cached
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


def test_static_files_are_asked_for_once(site: Site) -> None:
    """What has not changed is not sent again."""
    first = site.get("/static/page.css")
    again = site.get("/static/page.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.text) == (200, 304, "")


def test_what_models_and_configs_say_is_escaped(tmp_path: Path) -> None:
    """Neither a failure's words nor a URL of the config can become part of the page."""
    with site_of(tmp_path, logged_in=True, url="http://model/<img>/'x'", method="GET") as site:
        site.add(**refusal())
        for path in ("/", "/probes/model"):
            page = site.get(path).text
            assert page.count("<script") == 1
            assert "<img" not in page
            assert "<i>" not in page
        assert "&lt;script&gt;" in site.get("/probes/model").text


def test_what_was_never_counted_is_said(tmp_path: Path) -> None:
    """A model that starts has missed nothing yet."""
    with site_of(tmp_path, objectives=[UP]) as site:
        site.add(reason=Reason.STARTUP, phases={})
        page = site.get("/").text
        assert "not counted: startup" in page
        assert "missed" not in page
        assert site.get("/probes/model").status_code == 200


def test_a_long_interval_is_said_in_hours(tmp_path: Path) -> None:
    """Who probes four times a day reads so."""
    with site_of(tmp_path, interval="6h") as site:
        assert "the probe runs every 6 h." in site.get("/").text
        assert ", every 6 h, timeout " in site.get("/probes/model").text


def test_the_page_of_many_probes_comes_soon(tmp_path: Path) -> None:
    """Of 200 probes with a full past it is there in a second, on a busy machine, and is small."""
    names = [f"model-{n}" for n in range(200)]
    with site_of(tmp_path, *names) as site:
        for name in names:
            site.live(name, results=130)
        elapsed = []
        for _ in range(4):
            elapsed.append(site.get("/").elapsed.total_seconds())
            time.sleep(MAX_PAGE_AGE_SECONDS)
        assert min(elapsed) < 1
        assert len(json.dumps(site.get("/api/v1/probes").json())) < 300_000


def test_who_shares_a_page_shares_nothing_else(site: Site) -> None:
    """Within a second all get one page; the headers of the third are those of the first."""
    asked = {"Accept-Encoding": "identity"}
    answers = [requests.get(site.url, headers=asked, timeout=5) for _ in range(3)]
    assert [answer.headers["Vary"] for answer in answers] == ["Accept-Encoding"] * 3
    assert [len(answer.headers) for answer in answers] == [len(answers[0].headers)] * 3
