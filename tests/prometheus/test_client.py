"""Queries of a real Prometheus, and of servers that refuse or respond with something else."""

import base64
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from probe.cli.command import UsageError
from probe.cli.main import build_parser
from probe.cli.prometheus_flags import read_prometheus_server
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.promql import selector
from probe.prometheus.series import Sample
from probe.remote_server import RemoteServer
from tests.prometheus.processes import backfill, running_prometheus
from tests.raw_servers import Server, always, http_response, once

START = 1_793_491_200  # 2026-11-01
SCRAPE_INTERVAL = 30
SCRAPES = 12_000

SELECTOR = selector("a_total", {"probe": 'p "q"'})
EMPTY = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus with a counter of one replica, and a short one of another."""
    directory = tmp_path_factory.mktemp("prometheus")
    backfill(
        directory,
        [
            "# TYPE a counter",
            *(
                f'a_total{{probe="p \\"q\\"",instance="0"}} {n} {START + n * SCRAPE_INTERVAL}'
                for n in range(SCRAPES)
            ),
            f'a_total{{probe="p \\"q\\"",instance="1"}} 5 {START + 90_000}',
        ],
    )
    with running_prometheus("prometheus", directory, {}) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[PrometheusClient]:
    with PrometheusClient(RemoteServer(url=url)) as client:
        yield client


def test_samples(client: PrometheusClient) -> None:
    """All samples are read once, although parts begin at the time of a sample."""
    read: list[Sample] = []
    other: list[Sample] = []
    end = START + (SCRAPES - 1) * SCRAPE_INTERVAL
    for part in client.samples(
        SELECTOR,
        START - 1,
        end,
        chunk_seconds=100_001,
    ):
        for series in part:
            (read if series.labels["instance"] == "0" else other).extend(series.samples)
    assert read == [(START + n * SCRAPE_INTERVAL, n) for n in range(SCRAPES)]
    assert other == [(START + 90_000, 5)]


def test_samples_begin_after_the_start(client: PrometheusClient) -> None:
    """A sample at the start belongs to the period before, and one at the end to this period."""
    parts = list(client.samples(SELECTOR, START, START + 60, chunk_seconds=30))
    assert [[list(series.samples) for series in part] for part in parts] == [
        [[(START + 30, 1)]],
        [[(START + 60, 2)]],
    ]


def test_instant(client: PrometheusClient) -> None:
    """The value at a time."""
    (series,) = client.instant(f"sum({SELECTOR})", START + 60.5)
    assert (series.labels, series.samples) == ({}, (Sample(START + 60.5, 2),))
    assert client.instant(SELECTOR) == []


def test_invalid_query(client: PrometheusClient) -> None:
    """The message is that of Prometheus."""
    with pytest.raises(PrometheusError, match=r"status 400\): .*parse error"):
        client.instant("sum(")
    with pytest.raises(PrometheusError, match="1 is a scalar, not a series"):
        client.instant("1")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        ("401 Unauthorized", "no", r"refuses \(status 401\): no; check --prometheus.username"),
        ("404 Not Found", "", "Mimir has the API under the path /prometheus"),
        (
            "413 Too Large",
            "requests must not have a body",
            "URL of inference-probe. Write that of Pro",
        ),
        (
            "422 Unprocessable",
            '{"error": "query processing would load too many samples into memory"}',
            "into memory; write a shorter period, or raise --query.max-samples",
        ),
        ("302 Found\r\nLocation: https://p/", "", "redirects to https://p/; write that URL"),
        ("200 OK", '{"result": "ok"}', 'as Prometheus does: {"result": "ok"}; is it Prometheus'),
        ("200 OK", "<html>", "does not respond as Prometheus does: <html>; is it Prometheus"),
        ("200 OK", '{"status": "success"}', "JSON that is not that of Prometheus"),
        ("200 OK", '{"status": "error", "error": "too old"}', "server http://.* too old$"),
        ("503 Unavailable", '{"error": "timed out"}', r"\(status 503\): timed out"),
    ],
)
def test_other_servers(status: str, body: str, message: str) -> None:
    """Any response but a result is an error in words."""
    with Server(always(http_response(body.encode(), status=status))) as server:
        client = PrometheusClient(RemoteServer(url=server.url("")))
        with client, pytest.raises(PrometheusError, match=message):
            client.instant("up")


def test_url_with_api_path() -> None:
    """The client adds the path of the API itself."""
    with Server(always(http_response(b"", status="404 Not Found"))) as server:
        client = PrometheusClient(RemoteServer(url=server.url("/api/v1")))
        with client, pytest.raises(PrometheusError, match=r"404\); omit /api/v1 in its URL$"):
            client.instant("up")


def test_truncated_response() -> None:
    """The server was reached, so the message is about its response."""
    response = http_response(EMPTY.encode()).replace(b"Content-Length: ", b"Content-Length: 9")
    with Server(once(response)) as server:
        client = PrometheusClient(RemoteServer(url=server.url("")))
        with client, pytest.raises(PrometheusError, match=r"before the end of its response$"):
            client.instant("up")


def test_no_server() -> None:
    """The message has the URL and the reason."""
    client = PrometheusClient(RemoteServer(url="http://127.0.0.1:1"))
    with client, pytest.raises(PrometheusError, match=r"127.0.0.1:1 .*: Connection refused$"):
        client.instant("up")


def test_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS with a name, a user and tenant headers reach the server; ~/.netrc is not used."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "password").write_text("geheim\n")
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mimir.example").configure_cert(context)
    warned = json.loads(EMPTY) | {"warnings": ["some data is missing"]}
    response = always(http_response(json.dumps(warned).encode()))
    with Server(response, context=context) as server:
        base = (
            f"--from-prometheus={server.url('/prometheus/')}",
            f"--prometheus.ca-file={tmp_path / 'ca.pem'}",
            "--prometheus.server-name=mimir.example",
        )
        more = (
            "--prometheus.username=ann",
            f"--prometheus.password-file={tmp_path / 'password'}",
            "--prometheus.header=X-Scope-OrgID: a|b",
            "--prometheus.header=X-Other: 1",
        )
        for arguments in (base, (*base, *more)):
            with PrometheusClient(_server(*arguments)) as client:
                assert client.instant('up{a="b"}') == []
                assert client.warnings == {"some data is missing"}
        bare, request = server.requests
        client = PrometheusClient(_server(base[0]))
        with client, pytest.raises(PrometheusError, match="its certificate is not accepted"):
            client.instant("up")
    assert bare.header("authorization") is None
    assert request.line == "POST /prometheus/api/v1/query HTTP/1.1"
    assert urllib.parse.parse_qs(request.body.decode())["query"] == ['up{a="b"}']
    assert request.header("authorization") == f"Basic {base64.b64encode(b'ann:geheim').decode()}"
    assert (request.header("x-scope-orgid"), request.header("x-other")) == ("a|b", "1")


def test_bearer_token(tmp_path: Path) -> None:
    """A token comes from a file or a variable, without the end of its line."""
    (tmp_path / "token").write_text("abc\n")
    url = "--from-prometheus=http://p"
    from_file = _server(url, f"--prometheus.bearer-token-file={tmp_path / 'token'}")
    assert from_file.authorization == "Bearer abc"
    variable = {"INFERENCE_PROBE_PROMETHEUS_BEARER_TOKEN": "x.y"}
    assert _server(url, environ=variable).authorization == "Bearer x.y"
    assert "abc" not in repr(from_file)


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ((), {}, "write --from-prometheus, such as"),
        (("--from-prometheus=localhost:9090",), {}, "--from-prometheus: not an http or https URL"),
        (("--from-prometheus=http://a:b@p",), {}, "visible to other users; write --prometheus.use"),
        (("--from-prometheus=http://p", "--prometheus.header=tenant"), {}, "write NAME: VALUE"),
        (("--from-prometheus=http://p", "--prometheus.username=a"), {}, "needs a password"),
        (
            ("--from-prometheus=http://p", "--prometheus.username=a"),
            {"PASSWORD": "b", "BEARER_TOKEN": "c"},
            "either a user or a bearer token",
        ),
        (("--from-prometheus=http://p",), {"BEARER_TOKEN": "a b"}, "has blanks"),
    ],
)
def test_invalid_flags(arguments: tuple[str, ...], environ: dict[str, str], message: str) -> None:
    """The message names the flag, and not the secret."""
    variables = {f"INFERENCE_PROBE_PROMETHEUS_{name}": value for name, value in environ.items()}
    with pytest.raises(UsageError, match=message):
        _server(*arguments, environ=variables)


def _server(*arguments: str, environ: dict[str, str] | None = None) -> RemoteServer:
    args = build_parser({}).parse_args(["load", *arguments])
    return read_prometheus_server(args, environ or {}, url_flag="--from-prometheus")
