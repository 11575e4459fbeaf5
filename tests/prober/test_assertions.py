"""Pure judges of an answer."""

import gzip
import json
import random
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from probe.config.schema import Expect
from probe.prober.assertions import Assertions
from probe.prober.response import MAX_GZIP_MEMBERS, CpuBudget, ProbeResponse, compile_query
from probe.result import Failure, Reason

MOST = 10_000
ENDLESS = "(x+x+)+y"
"""A pattern that has more ways to fail on a few x than there is time."""

SMALL = gzip.compress(b" ", mtime=0)


def judge(
    expect: Mapping[str, Any],
    body: Any = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Failure | None:
    """The judgement of a body: of bytes, or of anything else as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    observed = ProbeResponse(
        status=status, headers=CaseInsensitiveDict(headers or {}), body=sent, max_bytes=MOST
    )
    return Assertions(Expect.model_validate(expect)).evaluate(observed)


def holds(condition: Mapping[str, Any], value: Any) -> bool:
    failure = judge({"json": {"$.a": condition}}, {"a": value})
    assert failure is None or failure.reason is Reason.ASSERTION
    return failure is None


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"equals": "x"}, ["x"], ["X", "", None, ["x"], {"x": 1}]),
        ({"equals": 1}, [1, 1.0], [True, "1", 2, None, [1]]),
        ({"equals": True}, [True], [1, 1.0, "true", False]),
        ({"equals": False}, [False], [0, None, ""]),
        ({"equals": None}, [None], [False, 0, "", "null"]),
        ({"equals": [1, {"b": True}]}, [[1, {"b": True}]], [[1, {"b": 1}], [True, {"b": True}]]),
        ({"equals": {"b": 1}}, [{"b": 1}], [{"b": 1, "c": 2}, {"b": True}, {}, [["b", 1]]]),
        ({"equals": []}, [[]], [{}, None, [1]]),
        ({"in": [1, "x", None]}, [1, "x", None], [True, "1", 2, ["x"]]),
        ({"in": [[1], {"b": 0}]}, [[1], {"b": 0}], [[True], {"b": False}, 1]),
        ({"matches": "^po.*e$"}, ["positive"], ["negative", "a positive", None, 1]),
        ({"matches": "^1.5$"}, [1.5], [15]),
        ({"exists": True}, [None, False, 0, "", []], []),
        ({"min": 0.5}, [0.5, 1, 10**400 // 10**399], [0.49, "0.6", True, None, [1]]),
        ({"max": 2}, [2, -1, 1.9], [2.1, "1", False, None]),
        ({"min": 1, "max": 2}, [1, 2, 1.5], [0.9, 2.1]),
        ({"min": 1, "equals": 2}, [2], [1, 3]),
        ({"exists": True, "equals": 2}, [2], [3]),
    ],
)
def test_operators(condition: Mapping[str, Any], good: list[Any], bad: list[Any]) -> None:
    """What each of them takes and refuses; types are those of JSON, and all of it must hold."""
    assert [value for value in good if not holds(condition, value)] == []
    assert [value for value in bad if holds(condition, value)] == []


@pytest.mark.parametrize(
    "condition",
    [{"equals": None}, {"in": [None]}, {"matches": ""}, {"exists": True}, {"min": -1e300}],
)
def test_a_missing_value_meets_no_condition(condition: Mapping[str, Any]) -> None:
    """Not even that of null; the failure says what is missing."""
    failure = judge({"json": {"$.b": condition}}, {"a": 1})

    assert failure
    assert failure.detail == "$.b is missing"


def test_what_must_not_be_there() -> None:
    """`exists: false` is the one condition that a missing value meets."""
    assert judge({"json": {"$.error": {"exists": False}}}, {"a": 1}) is None

    failure = judge({"json": {"$.error": {"exists": False}}}, {"error": None})

    assert failure
    assert failure.detail == "$.error is there"


@pytest.mark.parametrize(("values", "good"), [([0.5, 0.9], True), ([0.5, 1.1], False), ([], False)])
def test_every_match_must_meet_the_condition(values: list[float], good: bool) -> None:
    """A path may find many; one bad score of many is a bad answer, none is missing."""
    failure = judge({"json": {"$.scores[*]": {"max": 1}}}, {"scores": values})

    assert (failure is None) is good


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff\xfe\xfd", b'{"a": 1} x', b'{"a": NaN}', b"[-Infinity]"]
)
def test_what_is_not_json_is_an_assertion(body: bytes) -> None:
    """NaN is what Python writes and no other client reads."""
    failure = judge({"json": {"$": {"exists": True}}}, body)

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert "not JSON" in failure.detail


@pytest.mark.parametrize("depth", [90, 200, 900, 100_000])
@pytest.mark.parametrize(
    "condition", [{"exists": False}, {"equals": 1}, {"matches": "x"}, {"in": [[], 2]}]
)
@pytest.mark.parametrize("path", ["$", "$..a"])
def test_nesting_without_end_is_an_assertion(
    depth: int, condition: Mapping[str, Any], path: str
) -> None:
    """A server cannot make it our fault, and certainly not crash us."""
    failure = judge({"json": {path: condition}}, b"[" * depth + b"1" + b"]" * depth)

    assert failure is None or failure.reason is Reason.ASSERTION


def test_json_may_come_with_a_mark_of_its_encoding() -> None:
    """As .NET writes it."""
    assert judge({"json": {"$.a": {"equals": "ä"}}}, b'\xef\xbb\xbf{"a": "\xc3\xa4"}') is None


def test_the_body_is_searched() -> None:
    """Anywhere in it, and bytes that are no UTF-8 are no obstacle."""
    assert judge({"body_matches": "posi|nega"}, b"\xff very positive") is None

    failure = judge({"body_matches": "posi|nega"}, b"neutral")

    assert failure
    assert "posi|nega" in failure.detail


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "deflate", "identity", ""])
def test_compressed_bodies_are_judged_by_what_is_in_them(encoding: str) -> None:
    """Whatever the server chose of what it may choose."""
    document = b'{"a": 1}'
    name = encoding.lower().removeprefix("x-")
    compressed = {"gzip": gzip.compress(document), "deflate": zlib.compress(document)}
    sent = compressed.get(name, document)

    failure = judge({"json": {"$.a": {"equals": 1}}}, sent, headers={"Content-Encoding": encoding})

    assert failure is None


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"..."),
        ("gzip, gzip", b"..."),
        ("gzip", b"not compressed"),
        ("gzip", gzip.compress(b'{"a": 1}' * 100, mtime=0)[:-20]),
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)[:-1]),
        ("gzip", b""),
        ("gzip", SMALL + SMALL[:-1]),
        ("gzip", SMALL + SMALL[:2]),
        ("gzip", SMALL * (MAX_GZIP_MEMBERS + 1)),
        ("gzip", gzip.compress(b"x" * MOST, mtime=0) + SMALL),
        ("deflate", zlib.compress(b"x" * (MOST + 1))),
    ],
)
def test_what_cannot_be_decompressed_is_an_assertion(encoding: str, body: bytes) -> None:
    """An encoding that we do not know, garbage, half of it, or too much."""
    failure = judge({"body_matches": ""}, body, headers={"Content-Encoding": encoding})

    assert failure
    assert failure.reason is Reason.ASSERTION


@pytest.mark.parametrize("after", [b"", b"\0", b"\n", b"\x1f", b"\0" * 10_000, b"garbage"])
@pytest.mark.parametrize(
    "members",
    [[b'{"a":', b" 1}"], [b"", *([b" "] * (MAX_GZIP_MEMBERS - 2)), b'{"a": 1}'], [b'{"a": 1}']],
)
def test_all_members_of_gzip_are_read(members: list[bytes], after: bytes) -> None:
    """As other clients do, and what follows them and is none is ignored."""
    body = b"".join(map(gzip.compress, members)) + after
    expect = {"body_matches": '"a"', "json": {"$.a": {"equals": 1}}}

    assert judge(expect, body, headers={"Content-Encoding": "gzip"}) is None


def test_a_member_of_gzip_may_be_long() -> None:
    """And begin anywhere."""
    noise = random.Random(1).randbytes(MOST - 1)  # it does not get smaller
    body = gzip.compress(noise) + gzip.compress(b"x")

    assert judge({"body_matches": "x$"}, body, headers={"Content-Encoding": "gzip"}) is None


def test_the_largest_body_may_come_out_of_compression() -> None:
    """The cap itself is allowed, as it is without compression."""
    body = gzip.compress(b"x" * MOST)

    assert judge({"body_matches": "x"}, body, headers={"Content-Encoding": "gzip"}) is None


def test_a_body_that_nobody_asks_about_is_not_decompressed() -> None:
    """A status is all that is expected: br is nobody's business."""
    assert judge({}, b"...", headers={"Content-Encoding": "br"}) is None


def test_where_an_answer_leads_is_told_without_its_query() -> None:
    """It may be signed; anybody reads why a probe failed."""
    expect = {"headers": {"location": {"matches": "^/done"}}}
    failure = judge(expect, headers={"Location": "https://s3/b?X-Amz-Signature=abc"})
    assert failure
    assert failure.detail.startswith('the header location is "https://s3/b"')
    assert "abc" not in failure.detail


def test_what_was_expected_is_told_in_few_words() -> None:
    """However much that is."""
    failure = judge({"json": {"$.a": {"equals": "x" * 100_000}}}, {"a": "y" * 100_000})
    assert failure
    assert 'not "xxx' in failure.detail
    assert len(failure.detail) < 400


def test_nobody_waits_for_the_body_of_another() -> None:
    """One that takes long to decompress or to parse holds up its own probe only."""
    together = threading.Barrier(2, timeout=10)

    class Slow(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            together.wait()
            return super().get(name, default)

    def read() -> Any:
        return ProbeResponse(status=200, headers=Slow(), body=b"[1]", max_bytes=MOST).document

    with ThreadPoolExecutor(2) as pool:
        assert [one.result() for one in [pool.submit(read), pool.submit(read)]] == [[1], [1]]


def test_a_body_is_read_once() -> None:
    """Whoever asks next gets the same."""
    body, headers = gzip.compress(b'{"a": 1}'), {"content-encoding": "gzip"}
    observed = ProbeResponse(status=200, headers=headers, body=body, max_bytes=MOST)

    assert observed.document is observed.document
    assert observed.content is observed.content


@pytest.mark.parametrize("name", ["x-model", "X-Model", "X-MODEL"])
def test_headers_are_found_in_any_case(name: str) -> None:
    """As HTTP has it."""
    expect = {"headers": {"X-Model": {"equals": "v3"}}}

    assert judge(expect, headers={name: "v3"}) is None
    assert judge(expect, headers={name: "V3"}) is not None
    assert judge(expect) is not None


def test_numbers_in_headers_are_text_and_numbers() -> None:
    """A header has no other way to say them."""
    expect = {"headers": {"X-Queue": {"min": 1, "max": 5, "matches": "^[0-9]+$"}}}

    assert judge(expect, headers={"X-Queue": "5"}) is None
    assert judge(expect, headers={"X-Queue": "6"}) is not None
    assert judge(expect, headers={"X-Queue": "many"}) is not None


def test_the_first_failure_counts() -> None:
    """Status, headers, words of the body, JSON, in this order."""
    expect = {
        "status": [200],
        "headers": {"X-A": {"exists": True}},
        "body_matches": "positive",
        "json": {"$.a": {"equals": 1}},
    }
    steps = [
        ({"status": 500}, b"", "500"),
        ({}, b"", "X-A"),
        ({"headers": {"X-A": "b"}}, b"{}", "positive"),
        ({"headers": {"X-A": "b"}}, b'{"positive": 1}', "$.a"),
    ]
    for how, body, part in steps:
        failure = judge(expect, body, **how)  # type: ignore[arg-type]
        assert failure
        assert part in failure.detail
    assert judge(expect, b'{"positive": 1, "a": 1}', headers={"x-a": "b"}) is None


@pytest.mark.parametrize(
    ("patterns", "good", "bad"),
    [
        (["2xx"], [200, 204, 299], [199, 300, 500]),
        (["200", "404"], [200, 404], [201, 403]),
        ([404, "5xx"], [404, 503], [200, 400]),
    ],
)
def test_statuses(patterns: list[Any], good: list[int], bad: list[int]) -> None:
    """Numbers and classes of them; an expected error is a success."""
    assert all(judge({"status": patterns}, status=status) is None for status in good)
    assert all(judge({"status": patterns}, status=status) for status in bad)


@pytest.mark.parametrize(
    ("expect", "where"),
    [
        ({"body_matches": ENDLESS}, "the body"),
        ({"headers": {"X-A": {"matches": ENDLESS}}}, "the header X-A"),
        ({"json": {"$.a": {"matches": ENDLESS}}}, "$.a"),
    ],
)
def test_a_pattern_without_end_is_given_up(
    expect: Mapping[str, Any], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands; the failure says which one it was."""
    monkeypatch.setattr("probe.prober.assertions.CpuBudget", lambda: CpuBudget(0.05))

    failure = judge(expect, {"a": "x" * 5000}, headers={"X-A": "x" * 5000})

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert failure.detail.startswith(f'matching {where} with "{ENDLESS}" takes too long')


def test_a_pattern_does_not_hold_up_the_others() -> None:
    """While one judge searches in vain, other threads of the process go on."""
    judging = threading.Thread(target=judge, args=({"body_matches": ENDLESS}, b"x" * 5000))
    judging.start()
    beats = 0
    while judging.is_alive():
        judging.join(0.01)
        beats += 1

    assert beats > 10


@pytest.mark.parametrize(
    ("path", "element"),
    [
        ("$..a", []),
        ("$..a..b", {"a": [{}]}),
        ("$..*..*", [1]),
        ("$[?@.a == 'x']", 1),
        ("$[*][?@.a == 'x']", [1]),
        ("$[?@[?@.a == 'x']]", [1]),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_path_without_end_is_given_up(path: str, element: Any, nested: bool) -> None:
    """It looks at the time at every node, also of those that it does not find; a short document
    is searched to its end.
    """
    find = compile_query(path)
    looks = iter(range(10_000))

    def document(size: int) -> Any:
        return [[element] * size] if nested and path.startswith("$..") else [element] * size

    assert isinstance(find(document(5), CpuBudget(1000, looks.__next__)), list)
    with pytest.raises(TimeoutError):
        find(document(3000), CpuBudget(1000, looks.__next__))


def test_paths_in_filters_are_given_up() -> None:
    """A filter may search the whole of what it looks at."""
    with pytest.raises(TimeoutError):
        compile_query("$[?@..a..b]")([[[]] * 3000], CpuBudget(1000, iter(range(10_000)).__next__))


@pytest.mark.parametrize("function", ["match", "search"])
def test_patterns_in_filters_are_given_up(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of RFC 9535 are `re` no more than the operators are."""
    monkeypatch.setattr("probe.prober.jsonpath.MAX_CPU_SECONDS", 0.05)
    find = compile_query(f"$[?{function}(@.a, '{ENDLESS}')]")

    assert find([{"a": "xxy"}, {"a": "z"}, {"a": 1}], CpuBudget()) == [{"a": "xxy"}]
    with pytest.raises(TimeoutError):
        find([{"a": "x" * 5000}], CpuBudget())


def test_a_path_that_takes_too_long_is_an_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure says which path."""
    monkeypatch.setattr("probe.prober.assertions.CpuBudget", lambda: CpuBudget(0.001))

    failure = judge({"json": {"$..a": {"exists": True}}}, [[]] * 3000)

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert failure.detail.startswith("looking for $..a in the body takes too long")


@pytest.mark.parametrize("text", ["[1]", "{", '"a"', "1"])
def test_text_that_looks_like_json_is_text(text: str) -> None:
    """JSON in JSON is not read twice."""
    assert judge({"json": {"$": {"equals": text}}}, text) is None


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^/v1/{id}$", "/v1/{id}", "/v1/id"),
        ("^foo{e}$", "foo{e}", "foe"),
        (r"^\{s\}[{i}]x{2}y{1,}z{,3}$", "{s}{xxyyzz", "{s}xy"),
        (r"^\N{DIGIT ONE}$", "1", "N"),
    ],
)
def test_patterns_are_those_of_python(pattern: str, good: str, bad: str) -> None:
    """Braces are not taken for a wish to be near enough, as the engine that is used would."""
    assert judge({"body_matches": pattern}, good.encode()) is None
    assert judge({"body_matches": pattern}, bad.encode()) is not None


@pytest.mark.parametrize("pattern", [r"\A(?![\s\S]*'x\")", "(?x)a\n b"])
def test_a_pattern_is_shown_as_it_is_written(pattern: str) -> None:
    """As it stands in the config, but on one line."""
    written = pattern.replace("\n", " ")

    in_body = judge({"body_matches": pattern}, b"'x\"")
    in_json = judge({"json": {"$": {"matches": pattern}}}, "'x\"")

    assert in_body
    assert in_body.detail == f'the body does not match "{written}"'
    assert in_json
    assert in_json.detail == f'$ is "\'x\\"", which does not match "{written}"'


@pytest.mark.parametrize(
    ("expect", "detail"),
    [
        (
            {"headers": {"Set-Cookie": {"matches": "^id="}}},
            'the header Set-Cookie is ***, which does not match "^id="',
        ),
        ({"json": {"$.access_token": {"equals": 1}}}, "$.access_token is ***, not 1"),
        ({"json": {"$['session'].id": {"in": [1]}}}, "$['session'].id is ***, none of [1]"),
        (
            {"json": {"$.user": {"equals": 1}}},
            '$.user is {"name": "Ann", "ids": [{"api_key": "***"}]}, not 1',
        ),
    ],
)
def test_credentials_that_a_server_gives_are_not_shown(
    expect: Mapping[str, Any], detail: str
) -> None:
    """Everybody reads what was wrong; what stands under such a name is for the client alone."""
    body = {
        "access_token": "eyJh",
        "session": {"id": 7},
        "user": {"name": "Ann", "ids": [{"api_key": "k3y"}]},
    }

    failure = judge(expect, body, headers={"Set-Cookie": "session=c00kie"})

    assert failure
    assert failure.detail == detail
