"""Evaluation of responses against `expect`."""

import gzip
import json
import random
import threading
import tracemalloc
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from probe.config.schema import ExpectModel
from probe.prober.assertions import Assertions
from probe.prober.classify_failure import find_status_failure
from probe.prober.cpu_budget import CpuBudget
from probe.prober.json_query import compile_query
from probe.prober.response import MAX_GZIP_MEMBERS, ProbeResponse
from probe.result import Failure, Reason

MAX_BYTES = 10_000
SLOW_PATTERN = "(x+x+)+y"

SMALL = gzip.compress(b" ", mtime=0)


def evaluate(
    expect: Mapping[str, Any],
    body: Any = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    budget: CpuBudget | None = None,
) -> Failure | None:
    """Evaluate a response: a body of bytes is sent as it is, any other value as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lower_case = {name.lower(): value for name, value in (headers or {}).items()}
    response = ProbeResponse(headers=lower_case, body=sent, max_bytes=MAX_BYTES)
    compiled = ExpectModel.model_validate(expect).to_settings()
    return find_status_failure(compiled, status, None) or Assertions(compiled).evaluate(
        response, budget or CpuBudget()
    )


def holds(condition: Mapping[str, Any], value: Any) -> bool:
    failure = evaluate({"json": {"$.a": condition}}, {"a": value})
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
    """Each operator accepts and rejects values by their JSON type; all operators must hold."""
    assert [value for value in good if not holds(condition, value)] == []
    assert [value for value in bad if holds(condition, value)] == []


@pytest.mark.parametrize(
    "condition",
    [{"equals": None}, {"in": [None]}, {"matches": ""}, {"exists": True}, {"min": -1e300}],
)
def test_a_missing_value_meets_no_condition(condition: Mapping[str, Any]) -> None:
    """Not even `equals: null`. The failure names the missing value."""
    failure = evaluate({"json": {"$.b": condition}}, {"a": 1})

    assert failure
    assert failure.detail == "$.b is missing"


def test_exists_false() -> None:
    """`exists: false` is the only condition that a missing value meets."""
    assert evaluate({"json": {"$.error": {"exists": False}}}, {"a": 1}) is None

    failure = evaluate({"json": {"$.error": {"exists": False}}}, {"error": None})

    assert failure
    assert failure.detail == "$.error is present"


@pytest.mark.parametrize(("values", "good"), [([0.5, 0.9], True), ([0.5, 1.1], False), ([], False)])
def test_every_match_must_meet_the_condition(values: list[float], good: bool) -> None:
    """A path may find several values. All must meet the condition, and there must be one."""
    failure = evaluate({"json": {"$.scores[*]": {"max": 1}}}, {"scores": values})

    assert (failure is None) is good


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff\xfe\xfd", b'{"a": 1} x', b'{"a": NaN}', b"[-Infinity]"]
)
def test_invalid_json_is_an_assertion(body: bytes) -> None:
    """Also NaN and Infinity, which Python writes and other clients reject."""
    failure = evaluate({"json": {"$": {"exists": True}}}, body)

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert "not JSON" in failure.detail


@pytest.mark.parametrize(
    ("body", "condition", "detail"),
    [
        ("1e999", {"min": 1}, "the body has a number that is too large: 1e999"),
        ("[-1e999]", {"exists": True}, "the body has a number that is too large: -1e999"),
        ("9" * 400, {"max": 1}, f"$ is {'9' * 76}..., more than 1"),
        ("-" + "9" * 400, {"min": 1}, f"$ is -{'9' * 75}..., less than 1"),
        ("9" * 400, {"min": 1}, None),
        ("9" * 4301, {"max": 1}, "the body has an integer of more than 4,300 digits"),
    ],
)
def test_large_numbers(body: str, condition: Any, detail: str | None) -> None:
    """A number that would be infinite is refused. Integers have any size up to a limit."""
    failure = evaluate({"json": {"$": condition}}, body.encode())

    assert (failure.detail if failure else None) == detail


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 78, '"' + "x" * 78 + '"'),
        ("x" * 79, '"' + "x" * 75 + '..."'),
        ("x" * 74 + "\n" + "x" * 9, '"' + "x" * 74 + '..."'),
        ("x" * 73 + "\\" + "x" * 9, '"' + "x" * 73 + '\\\\..."'),
        ("x" * 66 + "\U0001f600" * 9, '"' + "x" * 66 + '..."'),
        ([1] * 90, "[" + "1, " * 25 + "..."),
        (["x" * 90], '["' + "x" * 74 + '..."'),
    ],
)
def test_truncated_values_end_with_an_ellipsis(value: Any, shown: str) -> None:
    """A string keeps its closing quote, and no part of an escape is shown."""
    failure = evaluate({"json": {"$": {"equals": 1}}}, value)

    assert failure
    assert failure.detail == f"$ is {shown}, not 1"


@pytest.mark.parametrize("depth", [90, 200, 900, 100_000])
@pytest.mark.parametrize(
    "condition", [{"exists": False}, {"equals": 1}, {"matches": "x"}, {"in": [[], 2]}]
)
@pytest.mark.parametrize("path", ["$", "$..a"])
def test_deeply_nested_json_is_an_assertion(
    depth: int, condition: Mapping[str, Any], path: str
) -> None:
    """A server can cause neither an `internal` failure nor a crash."""
    failure = evaluate({"json": {path: condition}}, b"[" * depth + b"1" + b"]" * depth)

    assert failure is None or failure.reason is Reason.ASSERTION


def test_json_may_have_a_byte_order_mark() -> None:
    """.NET writes one."""
    assert evaluate({"json": {"$.a": {"equals": "ä"}}}, b'\xef\xbb\xbf{"a": "\xc3\xa4"}') is None


def test_body_matches_searches_the_whole_body() -> None:
    """Bytes that are not valid UTF-8 do not prevent a match."""
    assert evaluate({"body_matches": "posi|nega"}, b"\xff very positive") is None

    failure = evaluate({"body_matches": "posi|nega"}, b"neutral")

    assert failure
    assert "posi|nega" in failure.detail


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "deflate", "identity", ""])
def test_compressed_bodies_are_decompressed(encoding: str) -> None:
    """For each content coding that is supported."""
    document = b'{"a": 1}'
    name = encoding.lower().removeprefix("x-")
    compressed = {"gzip": gzip.compress(document), "deflate": zlib.compress(document)}
    sent = compressed.get(name, document)

    failure = evaluate(
        {"json": {"$.a": {"equals": 1}}}, sent, headers={"Content-Encoding": encoding}
    )

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
        ("gzip", gzip.compress(b"x" * MAX_BYTES, mtime=0) + SMALL),
        ("deflate", zlib.compress(b"x" * (MAX_BYTES + 1))),
    ],
)
def test_invalid_compression_is_an_assertion(encoding: str, body: bytes) -> None:
    """An unsupported coding, invalid or incomplete data, or a body that becomes too large."""
    failure = evaluate({"body_matches": ""}, body, headers={"Content-Encoding": encoding})

    assert failure
    assert failure.reason is Reason.ASSERTION


@pytest.mark.parametrize("after", [b"", b"\0", b"\n", b"\x1f", b"\0" * 10_000, b"garbage"])
@pytest.mark.parametrize(
    "members",
    [[b'{"a":', b" 1}"], [b"", *([b" "] * (MAX_GZIP_MEMBERS - 2)), b'{"a": 1}'], [b'{"a": 1}']],
)
def test_all_gzip_members_are_read(members: list[bytes], after: bytes) -> None:
    """Other data after the last member is ignored, as by other clients."""
    body = b"".join(map(gzip.compress, members)) + after
    expect = {"body_matches": '"a"', "json": {"$.a": {"equals": 1}}}

    assert evaluate(expect, body, headers={"Content-Encoding": "gzip"}) is None


def test_a_gzip_member_may_be_long() -> None:
    """It is longer than one chunk of input, and the next member begins at any offset."""
    noise = random.Random(1).randbytes(MAX_BYTES - 1)  # incompressible
    body = gzip.compress(noise) + gzip.compress(b"x")

    assert evaluate({"body_matches": "x$"}, body, headers={"Content-Encoding": "gzip"}) is None


def test_a_decompressed_body_of_maximum_size_is_accepted() -> None:
    """`max_bytes` itself is allowed, as without compression."""
    body = gzip.compress(b"x" * MAX_BYTES)

    assert evaluate({"body_matches": "x"}, body, headers={"Content-Encoding": "gzip"}) is None


def test_an_unused_body_is_not_decompressed() -> None:
    """If only the status is expected, any content coding is accepted."""
    assert evaluate({}, b"...", headers={"Content-Encoding": "br"}) is None


def test_a_location_is_shown_without_its_query() -> None:
    """The query may be signed, and details are public."""
    expect = {"headers": {"location": {"matches": "^/done"}}}
    failure = evaluate(expect, headers={"Location": "https://s3/b?X-Amz-Signature=abc"})
    assert failure
    assert failure.detail.startswith('the header location is "https://s3/b"')
    assert "abc" not in failure.detail


def test_a_long_expected_value_is_truncated() -> None:
    """The detail stays short, however long the expected and the actual value are."""
    failure = evaluate({"json": {"$.a": {"equals": "x" * 100_000}}}, {"a": "y" * 100_000})
    assert failure
    assert 'not "xxx' in failure.detail
    assert len(failure.detail) < 400


def test_bodies_are_decoded_concurrently() -> None:
    """A body that takes long to decompress or parse delays only its own probe."""
    together = threading.Barrier(2, timeout=10)

    class Slow(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            together.wait()
            return super().get(name, default)

    def read() -> Any:
        return ProbeResponse(headers=Slow(), body=b"[1]", max_bytes=MAX_BYTES).document

    with ThreadPoolExecutor(2) as pool:
        assert [one.result() for one in [pool.submit(read), pool.submit(read)]] == [[1], [1]]


def test_a_body_is_decoded_once() -> None:
    """Later accesses return the same objects."""
    body, headers = gzip.compress(b'{"a": 1}'), {"content-encoding": "gzip"}
    response = ProbeResponse(headers=headers, body=body, max_bytes=MAX_BYTES)

    assert response.document is response.document
    assert response.content is response.content


@pytest.mark.parametrize("name", ["x-model", "X-Model", "X-MODEL"])
def test_header_names_are_case_insensitive(name: str) -> None:
    """As in HTTP."""
    expect = {"headers": {"X-Model": {"equals": "v3"}}}

    assert evaluate(expect, headers={name: "v3"}) is None
    assert evaluate(expect, headers={name: "V3"}) is not None
    assert evaluate(expect) is not None


def test_numbers_in_headers() -> None:
    """The value of a header is text, and a number for `min` and `max`."""
    expect = {"headers": {"X-Queue": {"min": 1, "max": 5, "matches": "^[0-9]+$"}}}

    assert evaluate(expect, headers={"X-Queue": "5"}) is None
    assert evaluate(expect, headers={"X-Queue": "6"}) is not None
    assert evaluate(expect, headers={"X-Queue": "many"}) is not None


@pytest.mark.parametrize(
    "value", ["1_0", "infinity", "inf", "nan", "\u0662", "0x2", "2 2", "1e999", ""]
)
def test_a_number_in_a_header_is_decimal(value: str) -> None:
    """Python's float() accepts some of these texts."""
    for condition in ({"min": -1e300}, {"max": 1e300}):
        failure = evaluate({"headers": {"X-Queue": condition}}, headers={"X-Queue": value})
        assert failure
        assert failure.detail.endswith("not a number")


def test_the_order_of_assertions() -> None:
    """Status, headers, body, JSON: the first failure is reported."""
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
        failure = evaluate(expect, body, **how)  # type: ignore[arg-type]
        assert failure
        assert part in failure.detail
    assert evaluate(expect, b'{"positive": 1, "a": 1}', headers={"x-a": "b"}) is None


@pytest.mark.parametrize(
    ("patterns", "good", "bad"),
    [
        (["2xx"], [200, 204, 299], [199, 300, 500]),
        (["200", "404"], [200, 404], [201, 403]),
        ([404, "5xx"], [404, 503], [200, 400]),
    ],
)
def test_status_patterns(patterns: list[Any], good: list[int], bad: list[int]) -> None:
    """Numbers and classes. An expected error status is a success."""
    assert all(evaluate({"status": patterns}, status=status) is None for status in good)
    assert all(evaluate({"status": patterns}, status=status) for status in bad)


@pytest.mark.parametrize(
    ("expect", "where"),
    [
        ({"body_matches": SLOW_PATTERN}, "the body"),
        ({"headers": {"X-A": {"matches": SLOW_PATTERN}}}, "the header X-A"),
        ({"json": {"$.a": {"matches": SLOW_PATTERN}}}, "$.a"),
    ],
)
def test_a_slow_pattern_is_aborted(expect: Mapping[str, Any], where: str) -> None:
    """In a body, a header or a JSON value. The failure names the pattern and the place."""
    body, headers = {"a": "x" * 5000}, {"X-A": "x" * 5000}
    compile_query("$.a")  # imports its library, which takes longer than the budget

    failure = evaluate(expect, body, headers=headers, budget=CpuBudget(0.05))

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert failure.detail.startswith(f'matching {where} with "{SLOW_PATTERN}" takes more than 1 s')


def test_a_slow_pattern_does_not_block_other_threads() -> None:
    """Other threads continue while a pattern is matched."""
    thread = threading.Thread(target=evaluate, args=({"body_matches": SLOW_PATTERN}, b"x" * 5000))
    thread.start()
    beats = 0
    while thread.is_alive():
        thread.join(0.01)
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
def test_a_slow_path_is_aborted(path: str, element: Any, nested: bool) -> None:
    """The budget is checked at every node, matching or not.

    A short document is searched completely.
    """
    find = compile_query(path)
    looks = iter(range(10_000))

    def document(size: int) -> Any:
        return [[element] * size] if nested and path.startswith("$..") else [element] * size

    assert isinstance(find(document(5), CpuBudget(1000, looks.__next__)), list)
    with pytest.raises(TimeoutError):
        find(document(3000), CpuBudget(1000, looks.__next__))


@pytest.mark.parametrize("path", ["$[*]", "$..*", "$[?@ >= 0]", "$[0:]"])
def test_a_path_takes_little_memory(path: str) -> None:
    """Only for the list of the values that it finds: the library would keep 300 bytes for each."""
    find = compile_query(path)
    document = list(range(10_000))
    find(document, CpuBudget(1000))
    tracemalloc.start()
    try:
        assert find(document, CpuBudget(1000)) == document
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 30 * len(document)


def test_slow_paths_in_filters_are_aborted() -> None:
    """A filter may search a whole document."""
    with pytest.raises(TimeoutError):
        compile_query("$[?@..a..b]")([[[]] * 3000], CpuBudget(1000, iter(range(10_000)).__next__))


@pytest.mark.parametrize("function", ["match", "search"])
def test_slow_patterns_in_filters_are_aborted(function: str) -> None:
    """Those of the functions `match` and `search` of RFC 9535."""
    find = compile_query(f"$[?{function}(@.a, '{SLOW_PATTERN}')]")

    assert find([{"a": "xxy"}, {"a": "z"}, {"a": 1}], CpuBudget()) == [{"a": "xxy"}]
    with pytest.raises(TimeoutError):
        find([{"a": "x" * 5000}], CpuBudget(0.05))


def test_a_slow_path_is_an_assertion() -> None:
    """The failure names the path."""
    expect = {"json": {"$..a": {"exists": True}}}

    failure = evaluate(expect, [[]] * 3000, budget=CpuBudget(0.001))

    assert failure
    assert failure.reason is Reason.ASSERTION
    assert failure.detail.startswith("looking for $..a in the body takes more than 1 s")


@pytest.mark.parametrize("text", ["[1]", "{", '"a"', "1"])
def test_a_string_that_contains_json_is_a_string(text: str) -> None:
    """JSON in JSON is not parsed again."""
    assert evaluate({"json": {"$": {"equals": text}}}, text) is None


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^/v1/{id}$", "/v1/{id}", "/v1/id"),
        ("^foo{e}$", "foo{e}", "foe"),
        (r"^\{s\}[{i}]x{2}y{1,}z{,3}$", "{s}{xxyyzz", "{s}xy"),
        (r"^\N{DIGIT ONE}$", "1", "N"),
    ],
)
def test_patterns_have_the_syntax_of_re(pattern: str, good: str, bad: str) -> None:
    """Braces do not mean fuzzy matching, as they do in the engine that is used."""
    assert evaluate({"body_matches": pattern}, good.encode()) is None
    assert evaluate({"body_matches": pattern}, bad.encode()) is not None


@pytest.mark.parametrize("pattern", [r"\A(?![\s\S]*'x\")", "(?x)a\n b"])
def test_a_pattern_is_shown_as_it_is_written(pattern: str) -> None:
    """As in the config, but on one line."""
    written = pattern.replace("\n", " ")

    in_body = evaluate({"body_matches": pattern}, b"'x\"")
    in_json = evaluate({"json": {"$": {"matches": pattern}}}, "'x\"")

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
def test_credentials_in_a_response_are_not_shown(expect: Mapping[str, Any], detail: str) -> None:
    """Details are public. Values below names of credentials are for the client only."""
    body = {
        "access_token": "eyJh",
        "session": {"id": 7},
        "user": {"name": "Ann", "ids": [{"api_key": "k3y"}]},
    }

    failure = evaluate(expect, body, headers={"Set-Cookie": "session=c00kie"})

    assert failure
    assert failure.detail == detail
