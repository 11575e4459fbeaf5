"""Redirects are followed if the config allows them, and no secret reaches another host."""

import itertools
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from probe.http.pool import MAX_ORIGINS, ConnectionPool
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, fake_getaddrinfo, make_prober, reason, run, run_scheduled
from tests.raw_servers import Peer, Script, Server, free_port, http_response, once

TWO_HOSTS = fake_getaddrinfo(one_test="127.0.0.1", two_test="127.0.0.1")


def redirect_to(location: str, status: int = 302) -> bytes:
    return http_response(b"moved", f"Location: {location}", status=f"{status} Moved")


def respond_by_path(replies: Mapping[str, bytes]) -> Script:
    """Return a script that responds by path, with 200 for other paths."""

    def script(peer: Peer) -> None:
        while received := peer.request():
            peer.send(replies.get(received.line.split()[1], http_response()))

    return script


def test_redirects_are_not_followed_by_default(serve: Serve) -> None:
    """A redirect is a failure with its own reason."""
    server = serve(respond_by_path({"/": redirect_to("/on")}))

    result = run(server.url())

    assert reason(result) is Reason.HTTP_3XX
    assert result.status == 302
    assert result.hops == ()
    assert len(server.requests) == 1


def test_an_expected_redirect_is_a_success(serve: Serve) -> None:
    """The status is in `expect`."""
    assert (
        reason(
            run(serve(respond_by_path({"/": redirect_to("/on")})).url(), expect={"status": [302]})
        )
        is None
    )


def test_whitespace_after_a_location_is_ignored(serve: Serve) -> None:
    """It belongs to the header line, not to the URL."""
    server = serve(respond_by_path({"/": redirect_to("/done \t")}))

    assert reason(run(server.url(), redirects=1)) is None
    assert [received.line.split()[1] for received in server.requests] == ["/", "/done"]


def test_redirects_up_to_the_limit_are_followed(serve: Serve) -> None:
    """Two of two. The result has URL, status and phases of each hop."""
    server = serve(
        respond_by_path({"/": redirect_to("/a?token=1#x"), "/a?token=1": redirect_to("/b", 307)})
    )

    result = run(server.url(), redirects=2)

    assert reason(result) is None
    assert result.status == 200
    assert [hop.status for hop in result.hops] == [302, 307]
    assert [hop.url for hop in result.hops] == [server.url("/"), server.url("/a")]
    for hop in result.hops:
        assert set(hop.phases) == {Phase.CONNECT, Phase.SEND, Phase.WAIT, Phase.RECEIVE}
    assert result.final_hop
    assert (result.final_hop.url, result.final_hop.status) == (server.url("/b"), 200)
    requests = (*result.hops, result.final_hop)
    assert sum(sum(hop.phases.values()) for hop in requests) == pytest.approx(result.latency)
    assert result.size == 2


def test_a_final_hop_that_refuses(serve: Serve) -> None:
    """It has a URL, the phases up to the failure, and no status."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    server = serve(respond_by_path({"/": redirect_to(f"{nowhere}/on?token=1")}))

    result = run(server.url(), redirects=1)

    assert reason(result) is Reason.REFUSED
    assert result.final_hop
    assert (result.final_hop.url, result.final_hop.status) == (f"{nowhere}/on", None)
    assert set(result.final_hop.phases) == {Phase.CONNECT}


def test_without_redirects_there_is_no_final_hop(serve: Serve) -> None:
    """The result itself has URL, status and phases."""
    assert run(serve(respond_by_path({})).url(), redirects=1).final_hop is None


def test_too_many_redirects_is_http_3xx(serve: Serve) -> None:
    """Also in a loop."""
    server = serve(respond_by_path({"/": redirect_to("/a"), "/a": redirect_to("/")}))

    result = run(server.url(), redirects=3)

    assert reason(result) is Reason.HTTP_3XX
    assert "3 redirects" in detail(result)
    assert len(server.requests) == 4
    assert len(result.hops) == 3


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b?c=d", "/b?c=d"),
        ("b", "/x/b"),
        ("../b", "/b"),
        ("?q", "/x/y?q"),
        ("//127.0.0.1:{port}/b", "/b"),
        ("/a b", "/a%20b"),
        ("/gr\xc3\xbcn", "/gr%C3%BCn"),
    ],
)
def test_relative_targets(serve: Serve, location: str, target: str) -> None:
    """They are relative to the redirecting URL (RFC 3986, 5)."""

    def script(peer: Peer) -> None:
        received = peer.request()
        first = received and received.line.split()[1] == "/x/y"
        peer.send(redirect_to(location.format(port=peer.server.port)) if first else http_response())

    server = serve(script)

    assert reason(run(server.url("/x/y"), redirects=1)) is None
    assert server.requests[1].line.split()[1] == target


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:0/",
        "http://[::1/",
        "/\xff\xfe",
    ],
)
def test_an_invalid_target_is_http_3xx(serve: Serve, location: str) -> None:
    """The failure counts against the server."""
    result = run(serve(respond_by_path({"/": redirect_to(location)})).url(), redirects=5)

    assert reason(result) is Reason.HTTP_3XX
    assert len(result.hops) == 0


def test_a_long_target_is_http_3xx(serve: Serve) -> None:
    """All servers support 8,000 characters, and some support more."""
    url = serve(
        respond_by_path(
            {"/": redirect_to("/?" + "a" * 8000), "/long": redirect_to("/?" + "a" * 9000)}
        )
    ).url

    assert reason(run(url("/"), redirects=1)) is None
    result = run(url("/long"), redirects=1)
    assert reason(result) is Reason.HTTP_3XX
    assert "a URL of more than 8192 characters" in detail(result)


def test_a_redirect_to_a_refusing_host_is_refused(serve: Serve) -> None:
    """The status of the hop is not the status of the result."""
    server = serve(respond_by_path({"/": redirect_to(f"http://127.0.0.1:{free_port()}/")}))

    result = run(server.url(), redirects=1)

    assert reason(result) is Reason.REFUSED
    assert result.status is None
    assert result.hops[0].status == 302


def test_from_http_to_https(serve: Serve, authority: Authority) -> None:
    """The usual redirect."""
    secure = serve(respond_by_path({}), context=authority.context())
    server = serve(respond_by_path({"/": redirect_to(secure.url("/on"))}))

    result = run(server.url(), redirects=1, tls=authority.tls)

    assert reason(result) is None
    assert Phase.TLS in result.phases
    assert Phase.TLS not in result.hops[0].phases
    assert secure.requests[0].line == "GET /on HTTP/1.1"


@pytest.mark.parametrize(
    ("status", "method", "followed_by"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
def test_methods_and_bodies(serve: Serve, status: int, method: str, followed_by: str) -> None:
    """303 changes the method to GET; 307 and 308 repeat the request (RFC 9110, 15.4)."""
    server = serve(respond_by_path({"/": redirect_to("/on", status)}))

    assert reason(run(server.url(), redirects=1, method=method, json={"a": 1})) is None

    first, second = server.requests
    assert second.line == f"{followed_by} /on HTTP/1.1"
    if followed_by == "GET":
        assert second.body == b""
        assert second.header("content-length") is None
        assert second.header("content-type") is None
    else:
        assert second.body == first.body
        assert second.header("content-type") == "application/json"


SECRETS = {
    "Authorization": "Bearer s3cret-a",
    "Cookie": "session=s3cret-b",
    "X-Api-Key": "s3cret-c",
    "X-Auth-Token": "s3cret-d",
    "Ocp-Apim-Subscription-Key": "s3cret-e",
    "X-Customer": "${env:CUSTOMER}",
    "X-Jwt": "s3cret-h",
    "Connection": "s3cret-i",
    "User-Agent": "${env:CUSTOMER}",
    "Host": "s3cret-g.internal",
}
PLAIN = {
    "accept": "application/json",
    "Accept-Encoding": "gzip",
    "Accept-Language": "de",
    "Content-Type": "text/plain",
}


def test_secrets_never_reach_another_host(serve: Serve) -> None:
    """In no header. Headers that do not identify the client are sent."""
    other = serve(respond_by_path({}))
    server = serve(
        respond_by_path({"/?s3cret-q": redirect_to(other.url("/on", host="two.test"), 307)})
    )

    result = run(
        server.url("/?s3cret-q", host="s3cret-u:s3cret-p@one.test"),
        redirects=1,
        headers={**SECRETS, **PLAIN},
        environ={"CUSTOMER": "s3cret-f"},
        getaddrinfo=TWO_HOSTS,
    )

    assert reason(result) is None
    (received,) = other.requests
    assert b"s3cret" not in received.head
    for name, value in PLAIN.items():
        assert received.header(name.lower()) == value
    assert received.header("host") == f"two.test:{other.port}"
    assert server.requests[0].header("authorization") == "Bearer s3cret-a"


def test_the_user_of_a_url_never_reaches_another_host(serve: Serve) -> None:
    """Its Authorization is not a header of the config."""
    other = serve(respond_by_path({}))
    server = serve(respond_by_path({"/": redirect_to(other.url("/on"))}))

    assert reason(run(server.url(host="ann:s3cret@127.0.0.1"), redirects=1)) is None

    assert server.requests[0].header("authorization")
    assert other.requests[0].header("authorization") is None


def test_the_client_certificate_is_not_sent_to_another_host(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """`server_name` does not apply there, either. On other ports of the same host both apply."""
    certificates_received: list[bool] = []

    def serve_tls(reply: bytes, *names: str) -> Server:
        context = authority.context(*names)
        context.verify_mode = ssl.CERT_OPTIONAL
        authority.authority.configure_trust(context)

        def script(peer: Peer) -> None:
            assert isinstance(peer.connection, ssl.SSLSocket)
            certificates_received.append(bool(peer.connection.getpeercert()))
            once(reply)(peer)

        return serve(script, context=context)

    other = serve_tls(http_response(), "two.test")
    same = serve_tls(redirect_to(other.url(host="two.test")), "inside.test")
    home = serve_tls(redirect_to(same.url(host="one.test")), "inside.test")
    file = tmp_path / "client.pem"
    authority.authority.issue_cert("us").private_key_and_cert_chain_pem.write_to_path(str(file))
    tls = {**authority.tls, "cert_file": str(file), "server_name": "inside.test"}

    result = run(home.url(host="one.test"), redirects=2, tls=tls, getaddrinfo=TWO_HOSTS)

    assert reason(result) is None
    assert certificates_received == [True, True, False]


def test_removed_headers_are_not_sent_after_a_redirect_back(serve: Serve) -> None:
    """To the configured host via another one, which has chosen the URL."""
    first = serve(respond_by_path({}))
    other = serve(respond_by_path({"/": redirect_to(first.url("/end"))}))
    start = serve(respond_by_path({"/": redirect_to(other.url("/"))}))

    run(start.url(), redirects=2, headers={"Authorization": "s3cret"})

    assert first.requests[0].header("authorization") is None


def test_credentials_are_sent_again_to_the_same_host(serve: Serve) -> None:
    """It needs them for the next request, too."""
    server = serve(respond_by_path({"/": redirect_to("/on")}))

    run(server.url(), redirects=1, headers=SECRETS, environ={"CUSTOMER": "x"})

    assert server.requests[1].header("authorization") == "Bearer s3cret-a"
    assert server.requests[1].header("host") == "s3cret-g.internal"


@pytest.mark.parametrize(
    "keys",
    [
        {"body": "key=${env:KEY}"},
        {"body": "client_secret=s3cret"},
        {"body_file": "body.json"},
        {"json": {"a": [{"b": "${env:KEY}"}]}},
        {"json": {"user": "ann", "pwd": "s3cret"}},
    ],
)
@pytest.mark.parametrize(
    ("status", "refused"), [(307, True), (308, True), (303, False), (302, False)]
)
def test_a_body_is_not_sent_to_another_host(
    serve: Serve, tmp_path: Path, keys: dict[str, Any], status: int, refused: bool
) -> None:
    """The redirect is refused, whatever the body is, unless the next request has no body."""
    (tmp_path / "body.json").write_text('{"key": "s3cret"}')
    other = serve(respond_by_path({}))
    server = serve(respond_by_path({"/": redirect_to(other.url(), status)}))

    result = run(server.url(), redirects=1, environ={"KEY": "s3cret"}, base=tmp_path, **keys)

    assert reason(result) is (Reason.HTTP_3XX if refused else None)
    assert not refused or f"redirect ({status}) not followed: it would send" in detail(result)
    assert len(other.requests) == (0 if refused else 1)
    assert all(received.body == b"" for received in other.requests)


def test_hops_show_no_secrets(serve: Serve) -> None:
    """No user, no query, and references of the config in the path."""
    server = serve(respond_by_path({"/s3cret/x?s3cret": redirect_to("/on")}))
    url = server.url("/${env:KEY}/x?${env:KEY}", host="ann:${env:KEY}@127.0.0.1")

    result = run(url, redirects=1, environ={"KEY": "s3cret"})

    assert reason(result) is None
    assert result.hops[0].url == server.url("/${env:KEY}/x")


def test_secrets_in_redirect_targets_are_masked(serve: Serve) -> None:
    """Also a signature that the server has added to a target."""
    target = "/a?sig=s1gnature"
    replies = {"/s3cret/x": redirect_to("/s3cret/y"), "/s3cret/y": redirect_to(target)}
    server = serve(respond_by_path({**replies, target: redirect_to("/s1gnature")}))

    result = run(server.url("/${env:KEY}/x"), redirects=3, environ={"KEY": "s3cret"})

    assert [hop.url for hop in result.hops] == [
        *(server.url(path) for path in ("/${env:KEY}/x", "/***/y", "/a")),
    ]
    assert result.final_hop
    assert result.final_hop.url == server.url("/***")


class CountingScript:
    """A script that responds and counts its open connections."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.open = 0
        self._changed = threading.Condition()

    def __call__(self, peer: Peer) -> None:
        self._count(1)
        while peer.request():
            peer.send(self._reply)
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self.open += change
            self._changed.notify_all()

    def wait_until_at_most(self, count: int) -> bool:
        """Return True if at most `count` connections are open within 5 s."""
        with self._changed:
            return self._changed.wait_for(lambda: self.open <= count, timeout=5)


def test_connections_to_other_hosts_are_not_pooled(serve: Serve, pool: ConnectionPool) -> None:
    """Redirects to many hosts would use up the file descriptors."""
    counter = CountingScript(http_response())
    away = serve(counter).url("/on", host="two.test")
    server = serve(respond_by_path({"/": redirect_to(away)}))
    prober = make_prober(server.url(host="one.test"), redirects=1, pool=pool, getaddrinfo=TWO_HOSTS)

    for _ in range(5):
        assert reason(run_scheduled(prober)) is None

    assert counter.wait_until_at_most(0)
    assert server.connections == 1


def test_connections_to_many_ports_are_not_pooled(serve: Serve, pool: ConnectionPool) -> None:
    """The pool keeps connections to the configured origin and to the last few ports.

    A redirect target never evicts the configured origin.
    """
    scripts = [CountingScript(http_response()) for _ in range(MAX_ORIGINS + 3)]
    away = iter([serve(script).url("/on") for script in scripts])

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(redirect_to(next(away)))

    server = serve(script)
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in scripts:
        assert reason(run_scheduled(prober)) is None

    assert all(script.wait_until_at_most(0) for script in scripts[:-MAX_ORIGINS])
    assert scripts[-1].open == 1
    assert server.connections == 1


def test_a_connection_is_reused_for_another_user(serve: Serve, pool: ConnectionPool) -> None:
    """The user is part of the URL, not of the origin."""
    users = itertools.count()

    def script(peer: Peer) -> None:
        while received := peer.request():
            away = peer.server.url("/on", host=f"u{next(users)}@127.0.0.1")
            peer.send(redirect_to(away) if received.line.split()[1] == "/" else http_response())

    server = serve(script)
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in range(5):
        assert reason(run_scheduled(prober)) is None

    assert server.connections == 1


def test_redirects_on_a_reused_connection(serve: Serve, pool: ConnectionPool) -> None:
    """Redirects to the same host share the connection, within a run and between runs."""
    server = serve(respond_by_path({"/": redirect_to("/on")}))
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in range(3):
        assert reason(run_scheduled(prober)) is None

    assert server.connections == 1
    assert len(server.requests) == 6
