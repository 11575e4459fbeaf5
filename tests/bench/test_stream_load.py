"""Many streams at a time in one daemon."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.reference_server import ReferenceServer, ReferenceServerError
from bench.stream_load import measure

pytestmark = [pytest.mark.full, pytest.mark.timing]

SECONDS = 12

# Fewer than the 100 of `bench.streams`: the daemon then needs a whole core, and tests share it.
STREAMS = 30


def test_many_streams(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """All ticks are accounted for, nothing fails, and other probes are as fast as without."""
    try:
        server = ReferenceServer(tmp_path)
    except ReferenceServerError as error:
        pytest.skip(str(error))

    load = measure(server, tmp_path, SECONDS, streams_at_a_time=STREAMS)

    # On a busy machine, ticks are late and skipped.
    assert load.tokens > SECONDS * STREAMS * 50 / 2
    assert [verdict for verdict in load.verdicts() if not verdict.met] == []
    record_property("cpu_us_per_token", load.cpu * 1e6)
