"""Arbitrary responses: each run has a result."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.result import Reason, Result
from probe.serialization import result_json
from tests.raw_responses import (
    KINDS,
    RawResponse,
    RawResponseServer,
    raw_response_server,
    responses,
)


@pytest.fixture(scope="module")
def server() -> Iterator[RawResponseServer]:
    with raw_response_server() as server:
        yield server


def check_result(server: RawResponseServer, kind: str, response: RawResponse) -> Result:
    """Assert that the result is a success, or a failure of the server with a short detail."""
    result = server.probe(kind, response)
    assert result.latency >= 0
    json.dumps(result_json(result), allow_nan=False).encode()
    if result.failure:
        assert isinstance(result.failure.reason, Reason)
        assert result.failure.reason.counts_against_slo, result.failure
        assert result.failure.detail.isprintable()
        assert len(result.failure.detail) < 500
    return result


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(KINDS)), responses)
def test_any_response(server: RawResponseServer, kind: str, response: RawResponse) -> None:
    """Valid, almost valid and random bytes in several pieces, for each kind of probe."""
    check_result(server, kind, response)
