"""`/metrics`, `/probe`, compression and methods, over real sockets."""

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
from starlette.applications import Starlette

from probe.clock import Clock
from probe.history.history import History
from probe.metrics.exposition import render
from probe.result import Reason, Result
from probe.server.app import MAX_ON_DEMAND_PROBES, create_app
from probe.server.on_demand import OnDemandRefused, OnDemandTarget
from probe.server.server import Server, bind
from tests.builders import make_result
from tests.server.http_server_fixture import http_server
from tests.server.page_fixtures import Site, lifecycle_of, site_of, wait_until

pytestmark = pytest.mark.timing


class App:
    """The application with a probe that returns at once, and some that wait for `release`."""

    def __init__(self) -> None:
        self.runs = 0
        self.release = threading.Event()
        self.results = iter([make_result(), make_result(reason=Reason.REFUSED, latency=0.5)])
        registry = CollectorRegistry()
        counter = Counter("words", "Some words that compress well.", ["n"], registry=registry)
        for n in range(100):
            counter.labels(str(n)).inc()
        stuck = ["stuck", *(f"stuck {n}" for n in range(MAX_ON_DEMAND_PROBES))]
        targets = {
            "quick model": OnDemandTarget(run=self._quick, interval=0.4),
            "refused": OnDemandTarget(run=self._refused, interval=0.4),
            **{name: OnDemandTarget(run=self._stuck, interval=60.0) for name in stuck},
        }
        listener = bind("127.0.0.1:0")
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

    def stop(self) -> None:
        self.release.set()
        self.server.stop()

    def _quick(self) -> Result:
        self.runs += 1
        return next(self.results)

    def _refused(self) -> Result:
        raise OnDemandRefused("the budget is exhausted")

    def _stuck(self) -> Result:
        self.runs += 1
        self.release.wait(10)
        return make_result()

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)  # type: ignore[arg-type]


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.stop()


@pytest.fixture(scope="module")
def shared_app() -> Iterator[App]:
    """Return an App for tests that run no probe."""
    app = App()
    yield app
    app.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("site")) as site:
        site.add_history()
        yield site


def test_metrics_as_text_and_as_openmetrics(shared_app: App) -> None:
    """A scrape gets the format that it accepts."""
    text = shared_app.get("/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=")
    assert 'words_total{n="1"} 1.0' in text.text
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = shared_app.get("/metrics", headers=accept)
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["1.x", "\xb2", "", "9" * 5000])
@pytest.mark.parametrize("media_type", ["text/plain", "application/openmetrics-text"])
def test_invalid_versions_are_ignored(shared_app: App, media_type: str, version: str) -> None:
    """A scrape that accepts an invalid version gets a response in another one."""
    accept = f"{media_type}; version={version}".encode("latin-1")
    response = shared_app.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert 'words_total{n="1"} 1.0' in response.text


def test_metrics_are_compressed(shared_app: App) -> None:
    """A scrape that accepts gzip gets gzip; another one gets plain text."""
    request = Request(shared_app.url + "/metrics", headers={"Accept-Encoding": "gzip"})
    with urlopen(request) as response:
        body = response.read()
        assert response.headers["Content-Encoding"] == "gzip"
    assert b"words_total" in gzip.decompress(body)
    with urlopen(shared_app.url + "/metrics") as response:
        assert response.headers["Content-Encoding"] is None


@pytest.mark.parametrize("path", ["/metrics", "/", "/probes/model", "/static/page.css"])
@pytest.mark.parametrize(
    ("accepted", "compressed"),
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
def test_gzip_is_negotiated(site: Site, path: str, accepted: str, compressed: bool) -> None:
    """A weight of 0 forbids gzip; `Vary` tells caches that there are two variants."""
    response = site.get(path, headers={"Accept-Encoding": accepted})
    assert (response.headers.get("Content-Encoding") == "gzip") == compressed
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.text


@pytest.mark.parametrize(
    ("accept", "content_type"),
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
def test_content_types_are_few(shared_app: App, accept: str, content_type: str) -> None:
    """Any accepted version maps to one that is written, so that clients share few responses."""
    response = shared_app.get("/metrics", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith(f"{content_type}; charset=utf-8")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics", "/"])
def test_only_get_and_head_are_allowed(shared_app: App, path: str) -> None:
    """A POST to a page is refused."""
    assert shared_app.get(path).status_code == 200
    assert requests.head(shared_app.url + path, timeout=10).status_code == 200
    assert requests.post(shared_app.url + path, timeout=10).status_code == 405


def test_probe_on_demand(app: App) -> None:
    """`/probe` runs the probe and returns the result."""
    response = app.get("/probe?name=quick+model")
    assert response.status_code == 200
    assert response.json() == {
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
        "stream": None,
        "spending": None,
        "certificate_not_after": None,
        "trace_id": None,
        "version": None,
        "segment": None,
        "payload": None,
        "cold": None,
        "cached": False,
    }


def test_a_refused_run(app: App) -> None:
    """The status differs from that of a failed probe, which is 200."""
    response = app.get("/probe?name=refused")
    assert (response.status_code, response.text) == (429, "the budget is exhausted\n")


def test_on_demand_probe_runs_once_per_interval(app: App) -> None:
    """A request within the interval gets the last result; after it, a new one."""
    first = app.get("/probe?name=quick+model").json()
    again = app.get("/probe?name=quick+model").json()
    assert (again, app.runs) == ({**first, "cached": True}, 1)
    time.sleep(0.45)
    later = app.get("/probe?name=quick+model").json()
    assert (later["reason"], later["cached"], app.runs) == ("refused", False, 2)


def test_concurrent_requests_share_one_run(app: App) -> None:
    """Sixty concurrent requests cause one run, and scrapes are served meanwhile."""
    with ThreadPoolExecutor(60) as clients:
        pending = [clients.submit(app.get, "/probe?name=stuck") for _ in range(60)]
        time.sleep(0.3)
        start = time.monotonic()
        assert app.get("/metrics").status_code == 200
        assert time.monotonic() - start < 2
        app.release.set()
        responses = [future.result().json() for future in pending]
    assert app.runs == 1
    assert sorted(response["cached"] for response in responses) == [False] + [True] * 59


def test_cache_age_counts_from_the_start_of_the_run(app: App) -> None:
    """Requests that wait longer than the interval for a free slot share one run."""
    with ThreadPoolExecutor(2 * MAX_ON_DEMAND_PROBES) as clients:
        for n in range(MAX_ON_DEMAND_PROBES):
            clients.submit(app.get, f"/probe?name=stuck+{n}")
        wait_until(lambda: app.runs == MAX_ON_DEMAND_PROBES)
        pending = [clients.submit(app.get, "/probe?name=quick+model") for _ in range(3)]
        time.sleep(0.6)
        app.release.set()
        responses = [future.result().json() for future in pending]
    assert sorted(response["cached"] for response in responses) == [False, True, True]


def test_unknown_probes(app: App) -> None:
    """Only configured probes can be run, never a URL; the error lists their names."""
    unknown = app.get("/probe?name=http://example.com/")
    assert (unknown.status_code, "quick model, refused, stuck" in unknown.text) == (404, True)
    missing = app.get("/probe")
    assert (missing.status_code, "/probe?name=NAME" in missing.text) == (400, True)
    assert app.runs == 0


@pytest.mark.parametrize("address", ["10115", "host", ":port", ":70000", "127.0.0.1:-1"])
def test_invalid_listen_addresses(address: str) -> None:
    """An address other than HOST:PORT is refused with an example."""
    with pytest.raises(ValueError, match="write :10115 or"):
        bind(address)


def test_listens_on_both_families() -> None:
    """Without a host, the server listens on IPv4 and IPv6."""
    with bind(":0") as listener:
        listener.listen()
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_clients_cannot_connect_before_the_server_starts() -> None:
    """Until then the port is reserved, and refuses connections instead of letting them wait."""
    listener = bind("127.0.0.1:0")
    address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    with http_server(listener=listener):
        assert requests.get(f"http://127.0.0.1:{address[1]}/", timeout=5).status_code
        with pytest.raises(OSError, match="Address already in use"):
            bind(f"127.0.0.1:{address[1]}")


def test_a_port_that_is_taken_after_the_bind_is_an_error() -> None:
    """Two sockets can be bound to one port as long as neither listens."""
    first = bind("127.0.0.1:0")
    second = bind(f"127.0.0.1:{first.getsockname()[1]}")
    with http_server(listener=first):
        server = Server(Starlette(), second, Clock())
        with pytest.raises(OSError, match="Address already in use"):
            server.start()
    second.close()


def test_the_404_names_the_paths_of_health_checks(tmp_path: Path) -> None:
    """A visitor of `/healthz` finds the right path."""
    with site_of(tmp_path) as site:
        response = site.get("/healthz")
    assert response.status_code == 404
    assert "/-/healthy and /-/ready" in response.text
