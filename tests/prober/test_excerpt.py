"""What a failed probe keeps of the answer, and what it must not keep."""

import gzip
import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from probe.prober.excerpt import MAX_BODY_CHARS, MAX_HEADER_CHARS, make_excerpt
from probe.redaction import Redactor
from probe.result import Excerpt
from tests.probing import run
from tests.servers import respond_with, serve

SECRET = 's3cr3t-märker/"quoted"&more'


def answer(body: bytes, *headers: str, status: str = "503 Busy") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def kept(reply: bytes, **how: object) -> Excerpt | None:
    with serve(respond_with(reply)) as url:
        return run(url, **how).excerpt


def test_a_failure_keeps_the_answer() -> None:
    """Headers and body of an answer that was not as expected are in the result."""
    excerpt = kept(answer(b"no capacity", "Retry-After: 7"))
    assert excerpt
    assert excerpt.body == "no capacity"
    assert excerpt.headers["retry-after"] == "7"


def test_a_success_keeps_nothing() -> None:
    """What a model answers is nobody's business as long as it answers."""
    assert kept(answer(b"fine", status="200 OK")) is None


def test_no_answer_no_excerpt() -> None:
    """Nothing is kept where nothing came."""
    assert run("http://127.0.0.1:1/").excerpt is None


def test_the_beginning_of_what_is_too_large() -> None:
    """Also of a body that was not read to its end, and no more of it than that."""
    excerpt = kept(answer(b"x" * 200_000, status="200 OK"), max_bytes="100kB")
    assert excerpt
    assert excerpt.body == "x" * MAX_BODY_CHARS


def test_a_compressed_body_is_readable() -> None:
    """It is shown as text, and a bomb is not unpacked."""
    excerpt = kept(answer(gzip.compress(b"busy " * 10**6), "Content-Encoding: gzip"))
    assert excerpt
    assert excerpt.body == ("busy " * MAX_BODY_CHARS)[:MAX_BODY_CHARS]


@pytest.mark.parametrize(
    "name", ["Set-Cookie", "WWW-Authenticate", "X-Api-Key", "X-Amz-Security-Token"]
)
def test_headers_that_identify_are_masked(name: str) -> None:
    """Their names are told, their values are not."""
    excerpt = kept(answer(b"", f"{name}: abcdefgh"))
    assert excerpt
    assert excerpt.headers[name.lower()] == "***"


def test_a_signed_link_is_not_kept() -> None:
    """A redirect's target is told without its query and its user."""
    excerpt = kept(answer(b"", "Location: http://u:p@else/where?Sig=abc", status="302 Found"))
    assert excerpt
    assert excerpt.headers["location"] == "http://else/where"


def test_a_link_that_is_made_to_be_slow_to_read_is_not() -> None:
    """What looks like the beginnings of references, in the longest header that there may be: the
    machine is not held up by it (it was, for 14 s).
    """
    headers = CaseInsensitiveDict({"location": "//" + "${" * 32_000})
    began = time.process_time()
    make_excerpt(headers, b"", Redactor())
    assert time.process_time() - began < 1


def test_secrets_that_come_back_are_masked() -> None:
    """A server that repeats what it was sent gives no secret away, however it writes it."""
    basic = b64encode(b"me:plain-password").decode()
    body = f'{{"token": "tok-12345678", "auth": "Basic {basic}", "seen": "literal-key-1"}}'
    excerpt = kept(
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
def test_only_what_is_kept_is_searched(name: str) -> None:
    """A search in long headers would keep the interpreter from whoever measures."""

    class Counting(Redactor):
        longest = 0

        def __call__(self, text: str) -> str:
            self.longest = max(self.longest, len(text))
            return super().__call__(text)

    mask = Counting(["s3cret"])
    headers = CaseInsensitiveDict({"X-A": "s3cret", name: "http://" + "s3cret" * 10_000})

    assert make_excerpt(headers, b"", mask).headers == {"X-A": "***"}
    assert mask.longest <= MAX_HEADER_CHARS


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (f"http://else/where?Sig={'a' * 5000}", "http://else/where"),
        (f"http://{'u' * 900}:p@else/where", "http://else/where"),
        (f"http://{'u' * 9000}:p@else/where", "http://else/where"),
    ],
)
def test_of_a_long_link_no_user_is_kept(location: str, shown: str) -> None:
    """It is shown without its query and its user, however long they are."""
    headers = CaseInsensitiveDict({"Location": location})

    assert make_excerpt(headers, b"", Redactor()).headers.get("Location") == shown


SPELLINGS = {"plain": 'abc"DEF', "URL": "abc%22DEF", "JSON": 'abc\\"DEF', "HTML": "abc&quot;DEF"}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@settings(deadline=None)  # the machine may be busy
@given(before=st.integers(0, MAX_BODY_CHARS + 20))
def test_no_part_of_a_secret_wherever_the_body_is_cut(spelling: str, before: int) -> None:
    """A secret that the cut goes through leaves no more than three characters of itself."""
    beginning = ("." * before + spelling + "." * 2000).encode()[:MAX_BODY_CHARS]
    mask = Redactor(['abc"DEF'])
    assert spelling[:4] not in make_excerpt(CaseInsensitiveDict(), beginning, mask).body


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.text(max_size=300), st.text(max_size=3000)), st.binary(max_size=3000))
def test_whatever_comes_the_excerpt_is_small(headers: dict[str, str], body: bytes) -> None:
    """No answer breaks it, and none makes it long."""
    excerpt = make_excerpt(CaseInsensitiveDict(headers), body, Redactor([SECRET]))
    assert len(excerpt.body) <= MAX_BODY_CHARS
    assert (
        sum(len(name) + len(value) for name, value in excerpt.headers.items()) <= MAX_HEADER_CHARS
    )
