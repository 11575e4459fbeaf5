"""Redirects: followed where allowed, and no secret follows to a stranger."""

import ssl
import threading
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from probe.http.pool import MAX_ORIGINS, ConnectionPool
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, make_prober, names, reason, run, run_scheduled
from tests.raw_servers import Peer, Script, Server, free_port, http_response, once

TWO_HOSTS = names(one_test="127.0.0.1", two_test="127.0.0.1")


def moved(location: str, status: int = 302) -> bytes:
    return http_response(b"moved", f"Location: {location}", status=f"{status} Moved")


def paths(replies: Mapping[str, bytes]) -> Script:
    """Answers by path; 200 where nothing is said."""

    def script(peer: Peer) -> None:
        while received := peer.request():
            peer.send(replies.get(received.line.split()[1], http_response()))

    return script


def test_redirects_are_answers_unless_asked_for(serve: Serve) -> None:
    """By default the first one is a failure of its own name, and nothing is followed."""
    server = serve(paths({"/": moved("/on")}))

    result = run(server.url())

    assert reason(result) is Reason.HTTP_3XX
    assert result.status == 302
    assert result.hops == ()
    assert len(server.requests) == 1


def test_an_expected_redirect_is_a_success(serve: Serve) -> None:
    """Whoever probes a redirect gets one."""
    assert reason(run(serve(paths({"/": moved("/on")})).url(), expect={"status": [302]})) is None


def test_a_blank_after_a_location_is_not_requested(serve: Serve) -> None:
    """It belongs to the line, not to the URL."""
    server = serve(paths({"/": moved("/done \t")}))

    assert reason(run(server.url(), redirects=1)) is None
    assert [received.line.split()[1] for received in server.requests] == ["/", "/done"]


def test_as_many_as_are_allowed_are_followed(serve: Serve) -> None:
    """Two of two, with where they came from and what each has cost."""
    server = serve(paths({"/": moved("/a?token=1#x"), "/a?token=1": moved("/b", 307)}))

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


def test_a_landing_where_nobody_is(serve: Serve) -> None:
    """It has a URL and the phases that were reached, and no status."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    server = serve(paths({"/": moved(f"{nowhere}/on?token=1")}))

    result = run(server.url(), redirects=1)

    assert reason(result) is Reason.REFUSED
    assert result.final_hop
    assert (result.final_hop.url, result.final_hop.status) == (f"{nowhere}/on", None)
    assert set(result.final_hop.phases) == {Phase.CONNECT}


def test_without_redirects_there_is_no_final_hop(serve: Serve) -> None:
    """The result says it all."""
    assert run(serve(paths({})).url(), redirects=1).final_hop is None


def test_one_too_many_is_http_3xx(serve: Serve) -> None:
    """Also round in circles."""
    server = serve(paths({"/": moved("/a"), "/a": moved("/")}))

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
    """Are seen from where they were sent (RFC 3986, 5)."""

    def script(peer: Peer) -> None:
        received = peer.request()
        first = received and received.line.split()[1] == "/x/y"
        peer.send(moved(location.format(port=peer.server.port)) if first else http_response())

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
def test_a_redirect_to_nowhere_is_http_3xx(serve: Serve, location: str) -> None:
    """The server's fault, not ours: it is charged."""
    result = run(serve(paths({"/": moved(location)})).url(), redirects=5)

    assert reason(result) is Reason.HTTP_3XX
    assert len(result.hops) == 0


def test_a_redirect_that_is_too_long_is_http_3xx(serve: Serve) -> None:
    """Servers take 8,000 characters, and of more nobody is sure."""
    url = serve(paths({"/": moved("/?" + "a" * 8000), "/long": moved("/?" + "a" * 9000)})).url

    assert reason(run(url("/"), redirects=1)) is None
    result = run(url("/long"), redirects=1)
    assert reason(result) is Reason.HTTP_3XX
    assert "a URL of more than 8192 characters" in detail(result)


def test_a_redirect_to_a_dead_host_fails_as_that_host(serve: Serve) -> None:
    """The status of the hop is the hop's, not that of an answer which never came."""
    server = serve(paths({"/": moved(f"http://127.0.0.1:{free_port()}/")}))

    result = run(server.url(), redirects=1)

    assert reason(result) is Reason.REFUSED
    assert result.status is None
    assert result.hops[0].status == 302


def test_to_another_scheme(serve: Serve, authority: Authority) -> None:
    """From http to https, as most redirects are."""
    secure = serve(paths({}), context=authority.context())
    server = serve(paths({"/": moved(secure.url("/on"))}))

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
    """303 means GET; 307 and 308 mean the same again (RFC 9110, 15.4)."""
    server = serve(paths({"/": moved("/on", status)}))

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
    """Not one byte of them, by whatever name; what says nothing of who asks goes along."""
    other = serve(paths({}))
    server = serve(paths({"/?s3cret-q": moved(other.url("/on", host="two.test"), 307)}))

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
    """Its Authorization was made by us, not written."""
    other = serve(paths({}))
    server = serve(paths({"/": moved(other.url("/on"))}))

    assert reason(run(server.url(host="ann:s3cret@127.0.0.1"), redirects=1)) is None

    assert server.requests[0].header("authorization")
    assert other.requests[0].header("authorization") is None


def test_our_certificate_is_not_shown_to_another_host(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """Neither it nor `server_name` goes along; on the own host, whatever its port, both do."""
    shown: list[bool] = []

    def look(reply: bytes, *names: str) -> Server:
        context = authority.context(*names)
        context.verify_mode = ssl.CERT_OPTIONAL
        authority.authority.configure_trust(context)

        def script(peer: Peer) -> None:
            assert isinstance(peer.connection, ssl.SSLSocket)
            shown.append(bool(peer.connection.getpeercert()))
            once(reply)(peer)

        return serve(script, context=context)

    other = look(http_response(), "two.test")
    same = look(moved(other.url(host="two.test")), "inside.test")
    home = look(moved(same.url(host="one.test")), "inside.test")
    file = tmp_path / "client.pem"
    authority.authority.issue_cert("us").private_key_and_cert_chain_pem.write_to_path(str(file))
    tls = {**authority.tls, "cert_file": str(file), "server_name": "inside.test"}

    result = run(home.url(host="one.test"), redirects=2, tls=tls, getaddrinfo=TWO_HOSTS)

    assert reason(result) is None
    assert shown == [True, True, False]


def test_what_is_lost_on_the_way_does_not_come_back(serve: Serve) -> None:
    """Home, away and home again: a stranger sent us there."""
    first = serve(paths({}))
    other = serve(paths({"/": moved(first.url("/end"))}))
    start = serve(paths({"/": moved(other.url("/"))}))

    run(start.url(), redirects=2, headers={"Authorization": "s3cret"})

    assert first.requests[0].header("authorization") is None


def test_credentials_stay_with_their_host(serve: Serve) -> None:
    """On the same host they are needed again."""
    server = serve(paths({"/": moved("/on")}))

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
    """Whatever is in it. The redirect is refused, unless it goes on without a body."""
    (tmp_path / "body.json").write_text('{"key": "s3cret"}')
    other = serve(paths({}))
    server = serve(paths({"/": moved(other.url(), status)}))

    result = run(server.url(), redirects=1, environ={"KEY": "s3cret"}, base=tmp_path, **keys)

    assert reason(result) is (Reason.HTTP_3XX if refused else None)
    assert not refused or f"a redirect ({status}) that takes the body to" in detail(result)
    assert len(other.requests) == (0 if refused else 1)
    assert all(received.body == b"" for received in other.requests)


def test_hops_show_no_secrets(serve: Serve) -> None:
    """Neither user nor query, and of a path what stands in the config."""
    server = serve(paths({"/s3cret/x?s3cret": moved("/on")}))
    url = server.url("/${env:KEY}/x?${env:KEY}", host="ann:${env:KEY}@127.0.0.1")

    result = run(url, redirects=1, environ={"KEY": "s3cret"})

    assert reason(result) is None
    assert result.hops[0].url == server.url("/${env:KEY}/x")


def test_a_secret_path_stays_secret_on_the_way(serve: Serve) -> None:
    """Also where the server builds the next URL with it, or with a signature of its own."""
    target = "/a?sig=s1gnature"
    replies = {"/s3cret/x": moved("/s3cret/y"), "/s3cret/y": moved(target)}
    server = serve(paths({**replies, target: moved("/s1gnature")}))

    result = run(server.url("/${env:KEY}/x"), redirects=3, environ={"KEY": "s3cret"})

    assert [hop.url for hop in result.hops] == [
        *(server.url(path) for path in ("/${env:KEY}/x", "/***/y", "/a")),
    ]
    assert result.final_hop
    assert result.final_hop.url == server.url("/***")


class Open:
    """A script that answers, and how many connections are open to it."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.now = 0
        self._changed = threading.Condition()

    def __call__(self, peer: Peer) -> None:
        self._count(1)
        while peer.request():
            peer.send(self._reply)
        self._count(-1)

    def _count(self, more: int) -> None:
        with self._changed:
            self.now += more
            self._changed.notify_all()

    def fall_to(self, most: int) -> bool:
        """Whether there are no more than so many, sooner or later."""
        with self._changed:
            return self._changed.wait_for(lambda: self.now <= most, timeout=5)


def test_connections_to_other_hosts_are_not_kept(serve: Serve, pool: ConnectionPool) -> None:
    """A server that redirects to ever new ones would use up our descriptors."""
    stranger = Open(http_response())
    away = serve(stranger).url("/on", host="two.test")
    server = serve(paths({"/": moved(away)}))
    prober = make_prober(server.url(host="one.test"), redirects=1, pool=pool, getaddrinfo=TWO_HOSTS)

    for _ in range(5):
        assert reason(run_scheduled(prober)) is None

    assert stranger.fall_to(0)
    assert server.connections == 1


def test_connections_to_ever_new_ports_are_not_kept(serve: Serve, pool: ConnectionPool) -> None:
    """On the configured host the pool keeps those to the last few ports, and to the configured one.

    A redirect target never evicts the configured origin.
    """
    doors = [Open(http_response()) for _ in range(MAX_ORIGINS + 3)]
    away = iter([serve(door).url("/on") for door in doors])

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(moved(next(away)))

    server = serve(script)
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in doors:
        assert reason(run_scheduled(prober)) is None

    assert all(door.fall_to(0) for door in doors[:-MAX_ORIGINS])
    assert doors[-1].now == 1
    assert server.connections == 1


def test_the_user_of_a_url_is_not_the_connections(serve: Serve, pool: ConnectionPool) -> None:
    """One to the same host and port is taken again, whoever is said to ask."""
    users = count()

    def script(peer: Peer) -> None:
        while received := peer.request():
            away = peer.server.url("/on", host=f"u{next(users)}@127.0.0.1")
            peer.send(moved(away) if received.line.split()[1] == "/" else http_response())

    server = serve(script)
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in range(5):
        assert reason(run_scheduled(prober)) is None

    assert server.connections == 1


def test_redirects_on_a_reused_connection(serve: Serve, pool: ConnectionPool) -> None:
    """To the same host they share it; later runs do, too."""
    server = serve(paths({"/": moved("/on")}))
    prober = make_prober(server.url(), redirects=1, pool=pool)

    for _ in range(3):
        assert reason(run_scheduled(prober)) is None

    assert server.connections == 1
    assert len(server.requests) == 6
