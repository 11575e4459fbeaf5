"""The web endpoints, over real sockets."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from probe.clock import Clock
from probe.history.history import History
from probe.metrics.exposition import render
from probe.result import Reason, Result
from probe.server.app import MAX_ON_DEMAND_PROBES, create_app
from probe.server.on_demand import OnDemandTarget
from probe.server.server import Server, listen
from tests.builders import result_of
from tests.server.lifecycles import lifecycle_of
from tests.server.page_fixtures import site_of, wait_until


class Site:
    """A server with two probes: one answers at once, one when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.release = threading.Event()
        self.results = iter([result_of(), result_of(reason=Reason.REFUSED, latency=0.5)])
        registry = CollectorRegistry()
        counter = Counter("words", "Some words that compress well.", ["n"], registry=registry)
        for n in range(100):
            counter.labels(str(n)).inc()
        targets = {
            "quick model": OnDemandTarget(run=self._quick, interval=0.4),
            "stuck": OnDemandTarget(run=self._stuck, interval=60.0),
            **{
                f"stuck {n}": OnDemandTarget(run=self._stuck, interval=60.0)
                for n in range(MAX_ON_DEMAND_PROBES)
            },
        }
        listener = listen("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.server = Server(
            create_app(
                lambda accept: render(accept, (), registry),
                lambda: targets,
                History(time.monotonic),
                lifecycle_of(),
                Clock(),
            ),
            listener,
            Clock(),
        )
        self.server.start()

    def _quick(self) -> Result:
        self.asked += 1
        return next(self.results)

    def _stuck(self) -> Result:
        self.asked += 1
        self.release.wait(10)
        return result_of()

    def get(self, path: str, **more: object) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **more)  # type: ignore[arg-type]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.release.set()
    site.server.stop()


def test_metrics_as_text_and_as_openmetrics(site: Site) -> None:
    """A scrape gets the format that it asks for."""
    text = site.get("/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=")
    assert 'words_total{n="1"} 1.0' in text.text
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = site.get("/metrics", headers=accept)
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["1.x", "\xb2", "", "9" * 5000])
@pytest.mark.parametrize("form", ["text/plain", "application/openmetrics-text"])
def test_metrics_in_versions_that_are_none(site: Site, form: str, version: str) -> None:
    """A scrape that accepts nonsense is answered as one that accepts anything."""
    accept = f"{form}; version={version}".encode("latin-1")
    answer = site.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert 'words_total{n="1"} 1.0' in answer.text


def test_metrics_are_compressed(site: Site) -> None:
    """A scrape that takes gzip gets gzip; one that does not gets plain text."""
    asked = Request(site.url + "/metrics", headers={"Accept-Encoding": "gzip"})
    with urlopen(asked) as answer:
        body = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
    assert b"words_total" in gzip.decompress(body)
    with urlopen(site.url + "/metrics") as answer:
        assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize("path", ["/metrics", "/", "/probes/model", "/static/page.css"])
@pytest.mark.parametrize(
    ("accepted", "in_gzip"),
    [
        ("gzip", True),
        ("br, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("deflate, gzip; q=0.000", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_gzip_for_who_takes_it(tmp_path: Path, path: str, accepted: str, in_gzip: bool) -> None:
    """It can be refused with a weight of nothing; caches are told that there are two answers."""
    with site_of(tmp_path) as site:
        site.live()
        answer = site.get(path, headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("Content-Encoding") == "gzip") == in_gzip
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.text


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        (
            "application/openmetrics-text; version=7.1",
            "application/openmetrics-text; version=1.0.0",
        ),
        ("application/openmetrics-text; version=0.0.1", "text/plain; version=0.0.4"),
        ("text/plain; version=9", "text/plain; version=1.0.0"),
        ("*/*", "text/plain; version=0.0.4"),
    ],
)
def test_formats_are_few(site: Site, accept: str, said: str) -> None:
    """Whatever version is accepted, one that we write is said: a crowd cannot ask for many."""
    answer = site.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(f"{said}; charset=utf-8")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics", "/"])
def test_get_and_head_and_nothing_else(site: Site, path: str) -> None:
    """What can be looked at cannot be written to."""
    assert site.get(path).status_code == 200
    assert requests.head(site.url + path, timeout=10).status_code == 200
    assert requests.post(site.url + path, timeout=10).status_code == 405


def test_probe_on_demand(site: Site) -> None:
    """`/probe` runs the probe and answers with the result."""
    answer = site.get("/probe?name=quick+model")
    assert answer.status_code == 200
    assert answer.json() == {
        "probe": "model",
        "success": True,
        "reason": None,
        "detail": None,
        "status": None,
        "latency_seconds": 0.1,
        "phases": {"wait": 0.1},
        "server": {},
        "hops": [],
        "due": None,
        "started": "2026-01-02T03:04:05.000Z",
        "clock": "user",
        "correction_seconds": 0.0,
        "bytes": 0,
        "certificate_not_after": None,
        "cached": False,
    }


def test_one_request_in_each_interval(site: Site) -> None:
    """Asked again within the interval it gives the last answer; after it, a new one."""
    first = site.get("/probe?name=quick+model").json()
    again = site.get("/probe?name=quick+model").json()
    assert (again, site.asked) == ({**first, "cached": True}, 1)
    time.sleep(0.45)
    later = site.get("/probe?name=quick+model").json()
    assert (later["reason"], later["cached"], site.asked) == ("refused", False, 2)


def test_a_crowd_makes_one_request(site: Site) -> None:
    """Many who ask at once get one answer from one request, and scrapes go on meanwhile."""
    with ThreadPoolExecutor(60) as crowd:
        waiting = [crowd.submit(site.get, "/probe?name=stuck") for _ in range(60)]
        time.sleep(0.3)
        began = time.monotonic()
        assert site.get("/metrics").status_code == 200
        assert time.monotonic() - began < 2
        site.release.set()
        answers = [one.result().json() for one in waiting]
    assert site.asked == 1
    assert sorted(answer["cached"] for answer in answers) == [False] + [True] * 59


def test_a_long_wait_for_a_place_makes_one_request(site: Site) -> None:
    """While others take all the places for longer than its interval, many ask for a probe: they get
    one answer, which begins to age when its run does.
    """
    with ThreadPoolExecutor(2 * MAX_ON_DEMAND_PROBES) as crowd:
        for n in range(MAX_ON_DEMAND_PROBES):
            crowd.submit(site.get, f"/probe?name=stuck+{n}")
        wait_until(lambda: site.asked == MAX_ON_DEMAND_PROBES)
        waiting = [crowd.submit(site.get, "/probe?name=quick+model") for _ in range(3)]
        time.sleep(0.6)
        site.release.set()
        answers = [one.result().json() for one in waiting]
    assert sorted(answer["cached"] for answer in answers) == [False, True, True]


def test_names_that_are_not_there(site: Site) -> None:
    """Only configured probes can be run, never a URL; the answer says which there are."""
    unknown = site.get("/probe?name=http://example.com/")
    assert (unknown.status_code, "quick model, stuck" in unknown.text) == (404, True)
    nothing = site.get("/probe")
    assert (nothing.status_code, "/probe?name=NAME" in nothing.text) == (400, True)
    assert site.asked == 0


@pytest.mark.parametrize("address", ["10115", "host", ":port", ":70000", "127.0.0.1:-1"])
def test_listen_addresses_that_make_no_sense(address: str) -> None:
    """What is no HOST:PORT is refused with an example of one."""
    with pytest.raises(ValueError, match="write :10115 or"):
        listen(address)


def test_listens_on_both_families() -> None:
    """Without a host both IPv4 and IPv6 are answered."""
    with listen(":0") as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()
