"""The excerpt of the response that a failed result contains."""

import gzip
import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from probe.prober.excerpt import MAX_EXCERPT_BODY_CHARS, MAX_EXCERPT_HEADER_CHARS, make_excerpt
from probe.redaction import Redactor
from probe.result import Excerpt
from tests.probing import run
from tests.servers import respond_with, serve

SECRET = 's3cr3t-märker/"quoted"&more'


def answer(body: bytes, *headers: str, status: str = "503 Busy") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def excerpt_of(reply: bytes, **how: object) -> Excerpt | None:
    with serve(respond_with(reply)) as url:
        return run(url, **how).excerpt


def test_a_failure_has_an_excerpt() -> None:
    """Headers and body of the response are in the result."""
    excerpt = excerpt_of(answer(b"no capacity", "Retry-After: 7"))
    assert excerpt
    assert excerpt.body == "no capacity"
    assert excerpt.headers["retry-after"] == "7"


def test_a_success_has_no_excerpt() -> None:
    """Responses of a healthy model are not stored."""
    assert excerpt_of(answer(b"fine", status="200 OK")) is None


def test_without_a_response_there_is_no_excerpt() -> None:
    """The connection is refused."""
    assert run("http://127.0.0.1:1/").excerpt is None


def test_the_excerpt_of_a_body_that_is_too_large() -> None:
    """The first characters, although the body was not read completely."""
    excerpt = excerpt_of(answer(b"x" * 200_000, status="200 OK"), max_bytes="100kB")
    assert excerpt
    assert excerpt.body == "x" * MAX_EXCERPT_BODY_CHARS


@pytest.mark.parametrize(
    ("body", "is_compressed", "is_truncated"),
    [
        (b"x" * 1024, False, False),
        (b"x" * 1025, False, True),
        (SECRET.encode() + b"x" * 1000, False, True),
        (b"x" * 1024, True, False),
        (b"x" * 1025, True, True),
        (b"x" * 50_000, True, True),
    ],
)
def test_whether_it_is_the_whole_body(body: bytes, is_compressed: bool, is_truncated: bool) -> None:
    """The number of characters does not tell: secrets are masked, and bodies are compressed."""
    how = {"headers": {"X-Key": "${env:KEY}"}, "environ": {"KEY": SECRET}}
    reply = answer(gzip.compress(body), "Content-Encoding: gzip") if is_compressed else answer(body)
    excerpt = excerpt_of(reply, **how)
    assert excerpt
    assert SECRET not in excerpt.body
    assert excerpt.is_truncated is is_truncated


def test_a_compressed_body_is_decompressed() -> None:
    """Only its beginning: a decompression bomb has no effect."""
    excerpt = excerpt_of(answer(gzip.compress(b"busy " * 10**6), "Content-Encoding: gzip"))
    assert excerpt
    assert excerpt.body == ("busy " * MAX_EXCERPT_BODY_CHARS)[:MAX_EXCERPT_BODY_CHARS]


@pytest.mark.parametrize(
    "name", ["Set-Cookie", "WWW-Authenticate", "X-Api-Key", "X-Amz-Security-Token"]
)
def test_credentials_in_headers_are_masked(name: str) -> None:
    """The names are shown, the values are not."""
    excerpt = excerpt_of(answer(b"", f"{name}: abcdefgh"))
    assert excerpt
    assert excerpt.headers[name.lower()] == "***"


def test_a_location_has_no_query_and_no_user() -> None:
    """The query may be a signature."""
    excerpt = excerpt_of(answer(b"", "Location: http://u:p@else/where?Sig=abc", status="302 Found"))
    assert excerpt
    assert excerpt.headers["location"] == "http://else/where"


def test_a_malicious_location_is_parsed_fast() -> None:
    """The longest possible header with many beginnings of references. It once took 14 s."""
    headers = CaseInsensitiveDict({"location": "//" + "${" * 32_000})
    began = time.process_time()
    make_excerpt(headers, b"", Redactor(), size=0)
    assert time.process_time() - began < 1


def test_secrets_of_the_request_are_masked() -> None:
    """In any encoding in which a server may repeat them."""
    basic = b64encode(b"me:plain-password").decode()
    body = f'{{"token": "tok-12345678", "auth": "Basic {basic}", "seen": "literal-key-1"}}'
    excerpt = excerpt_of(
        answer(body.encode(), "X-Seen: tok-12345678"),
        environ={"TOKEN": "tok-12345678"},
        method="POST",
        json={"deep": ["${env:TOKEN}"]},
        headers={"Authorization": f"Basic {basic}", "X-Api-Key": "literal-key-1"},
    )
    assert excerpt
    assert excerpt.body == '{"token": "***", "auth": "***", "seen": "***"}'
    assert excerpt.headers["x-seen"] == "***"


@pytest.mark.parametrize("name", ["X-Long", "Location"])
def test_only_the_excerpt_is_searched_for_secrets(name: str) -> None:
    """A search in long headers would hold the interpreter lock."""

    class Counting(Redactor):
        longest = 0

        def __call__(self, text: str) -> str:
            self.longest = max(self.longest, len(text))
            return super().__call__(text)

    redactor = Counting(["s3cret"])
    headers = CaseInsensitiveDict({"X-A": "s3cret", name: "http://" + "s3cret" * 10_000})

    assert make_excerpt(headers, b"", redactor, size=0).headers == {"X-A": "***"}
    assert redactor.longest <= MAX_EXCERPT_HEADER_CHARS


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (f"http://else/where?Sig={'a' * 5000}", "http://else/where"),
        (f"http://{'u' * 900}:p@else/where", "http://else/where"),
        (f"http://{'u' * 9000}:p@else/where", "http://else/where"),
    ],
)
def test_a_long_location_has_no_query_and_no_user(location: str, shown: str) -> None:
    """However long query and user are."""
    headers = CaseInsensitiveDict({"Location": location})

    assert make_excerpt(headers, b"", Redactor(), size=0).headers.get("Location") == shown


ENCODED_SECRETS = {
    "plain": 'abc"DEF',
    "URL": "abc%22DEF",
    "JSON": 'abc\\"DEF',
    "HTML": "abc&quot;DEF",
}


@pytest.mark.parametrize("encoded", ENCODED_SECRETS.values(), ids=ENCODED_SECRETS)
@settings(deadline=None)  # the machine may be busy
@given(before=st.integers(0, MAX_EXCERPT_BODY_CHARS + 20))
def test_a_secret_at_the_end_of_the_excerpt_is_masked(encoded: str, before: int) -> None:
    """At most three characters remain of a secret that is cut off by the end of the excerpt."""
    beginning = ("." * before + encoded + "." * 2000).encode()[:MAX_EXCERPT_BODY_CHARS]
    redactor = Redactor(['abc"DEF'])
    assert (
        encoded[:4]
        not in make_excerpt(CaseInsensitiveDict(), beginning, redactor, size=len(beginning)).body
    )


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.text(max_size=300), st.text(max_size=3000)), st.binary(max_size=3000))
def test_an_excerpt_is_small(headers: dict[str, str], body: bytes) -> None:
    """Whatever headers and body are."""
    excerpt = make_excerpt(CaseInsensitiveDict(headers), body, Redactor([SECRET]), size=len(body))
    assert len(excerpt.body) <= MAX_EXCERPT_BODY_CHARS
    assert (
        sum(len(name) + len(value) for name, value in excerpt.headers.items())
        <= MAX_EXCERPT_HEADER_CHARS
    )
