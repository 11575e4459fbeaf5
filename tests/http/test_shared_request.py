"""Requests that runs share are sent like any other request."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.http.request import USER_AGENT
from probe.http.shared_request import (
    RequestUrl,
    SharedRequest,
    add_traceparent,
    serialize_request,
)
from probe.http.timed_socket import INITIAL_WINDOW_BYTES

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

URLS = (
    "http://model/",
    "https://model/v1?key=a%20b",
    "http://user:word@model:8080/v1",
    "https://[::1]:8443/",
    "http://127.0.0.1:80",
)
PROXIES = (None, urlsplit("http://proxy:3128"), urlsplit("http://user:p%40ss@proxy"))
BODIES = (None, b"", b"a", "\u00e4", b"x" * INITIAL_WINDOW_BYTES)
HEADERS = st.dictionaries(
    st.sampled_from(["Host", "host", "User-Agent", "X-Trace", "Content-Length"]),
    st.sampled_from(["a", "model.test", b"bytes", "\u00e4"]),
)


def shared_request(url: str, body: str | bytes | None = None) -> SharedRequest:
    request = SharedRequest()
    request.prepare(method="POST", url=url, data=body)
    return request


@given(
    url=st.sampled_from(URLS),
    proxy=st.sampled_from(PROXIES),
    body=st.sampled_from(BODIES),
    headers=HEADERS,
    traceparent=st.sampled_from([None, TRACEPARENT]),
)
def test_the_bytes_are_those_of_a_copy(
    url: str,
    proxy: RequestUrl | None,
    body: str | bytes | None,
    headers: dict[str, str | bytes],
    traceparent: str | None,
) -> None:
    """A copy is serialized anew, with `traceparent` among its headers."""
    shared = shared_request(url, body)
    shared.headers.update(headers)
    copy = shared.copy()
    sent = (
        [add_traceparent(request, traceparent) for request in (shared, copy)]
        if traceparent
        else [shared, copy]
    )

    (first_url, first), (second_url, second) = (
        serialize_request(request, proxy) for request in sent
    )

    assert first == second
    assert first_url == second_url == urlsplit(shared.url or "")
    assert dict(sent[0].headers) == dict(sent[1].headers)
    assert serialize_request(sent[0], proxy)[1] == first


def test_runs_have_their_own_traceparent() -> None:
    """The shared request has none."""
    shared = shared_request("http://model/")
    other = TRACEPARENT.replace("4", "5")
    sent = [
        b"".join(serialize_request(add_traceparent(shared, value), None)[1])
        for value in (TRACEPARENT, other)
    ]

    assert [data.count(b"traceparent: ") for data in sent] == [1, 1]
    assert TRACEPARENT.encode() in sent[0]
    assert other.encode() in sent[1]
    assert "traceparent" not in shared.headers


def test_a_copy_of_a_traced_request_has_its_header_and_can_be_changed() -> None:
    """A redirect sends a changed copy, with another span."""
    shared = shared_request("http://model/", b"body")
    copy = add_traceparent(shared, TRACEPARENT).copy()
    assert copy.headers["Traceparent"] == TRACEPARENT

    copy.url, copy.body = "http://other/", None
    copy.headers["User-Agent"] = USER_AGENT
    new = TRACEPARENT.replace("-00f0", "-00f1")
    url, pieces = serialize_request(add_traceparent(copy, new), None)

    assert url.hostname == "other"
    assert pieces[0].count(b"traceparent: ") == 1
    assert new.encode() in pieces[0]
    assert b"body" not in pieces[0]
    assert serialize_request(shared, None)[1][0].endswith(b"\r\n\r\nbody")


def test_another_proxy_changes_the_bytes() -> None:
    """The config of the proxy may refer to a secret that changes."""
    shared = shared_request("http://model/")
    sent = [serialize_request(shared, proxy)[1][0] for proxy in (*PROXIES, *PROXIES)]

    assert sent[:3] == sent[3:]
    assert len(set(sent)) == 3


@pytest.mark.parametrize("url", [*URLS, "http://model:99999/", "http://[::1%25eth0]/"])
def test_host_and_port_are_those_of_urllib(url: str) -> None:
    """Also an invalid port."""
    expected, parsed = urlsplit(url), RequestUrl(*urlsplit(url))
    for _ in range(2):
        assert (parsed, parsed.hostname) == (expected, expected.hostname)
        try:
            port = expected.port
        except ValueError:
            with pytest.raises(ValueError, match="Port"):
                _ = parsed.port
        else:
            assert parsed.port == port
