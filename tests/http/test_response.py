"""Responses have the interface of `requests`."""

import io

import pytest
from requests import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict

from probe.http.response import ResponseHeaders, UnbufferedResponse

HEADERS = {"content-type": "application/json", "location": "/next", "x-empty": ""}


def response(status: int = 200, body: bytes = b'{"result": "\xc3\xa4"}') -> UnbufferedResponse:
    request = PreparedRequest()
    request.prepare(method="GET", url="http://model/")
    return UnbufferedResponse(
        status=status, reason="OK", headers=HEADERS, request=request, raw=io.BytesIO(body)
    )


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "LOCATION", "x-empty", "absent"])
def test_headers_are_found_like_those_of_requests(name: str) -> None:
    """In any case."""
    expected, headers = CaseInsensitiveDict(HEADERS), ResponseHeaders(HEADERS)
    assert (name in headers) is (name in expected)
    assert headers.get(name) == expected.get(name)
    assert headers.get(name, "other") == expected.get(name, "other")
    assert dict(headers.items()) == dict(expected.items())
    if name in expected:
        assert headers[name] == expected[name]
    else:
        with pytest.raises(KeyError):
            headers[name]


def test_the_body_is_read_in_parts() -> None:
    """As the raw stream returns it."""
    assert list(response(body=b"abcde").iter_content(2)) == [b"ab", b"cd", b"e"]
    assert list(response(body=b"").iter_content(2)) == []


def test_the_methods_of_requests() -> None:
    """They work on a response without the constructor of `requests`."""
    assert isinstance(response(), Response)
    assert response().json() == {"result": "\u00e4"}
    assert response().url == "http://model/"
    assert [response(status).is_redirect for status in (200, 302)] == [False, True]
    assert [response(status).ok for status in (200, 302, 404)] == [True, True, False]
