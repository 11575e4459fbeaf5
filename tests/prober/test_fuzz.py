"""Whatever a server sends, a probe of it has a result."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.result import Reason
from probe.serialization import result_json
from tests.raw_responses import KINDS, Mouth, Reply, mouth, replies


@pytest.fixture(scope="module")
def server() -> Iterator[Mouth]:
    with mouth() as it:
        yield it


def examine(server: Mouth, kind: str, reply: Reply) -> None:
    """A success, or a failure that has a reason which blames the server, told in one line."""
    result = server.ask(kind, reply)
    assert result.latency >= 0
    json.dumps(result_json(result), allow_nan=False).encode()
    if result.failure:
        assert isinstance(result.failure.reason, Reason)
        assert result.failure.reason.counts_against_slo, result.failure
        assert result.failure.detail.isprintable()
        assert len(result.failure.detail) < 500


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(KINDS)), replies)
def test_any_reply(server: Mouth, kind: str, reply: Reply) -> None:
    """Bytes that are nearly HTTP, or not at all, in any pieces, for every kind of probe."""
    examine(server, kind, reply)
