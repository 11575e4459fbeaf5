"""The log lines about results."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from probe.history import state_log
from probe.history.state_log import StateChangeLog
from probe.result import Reason
from tests.builders import make_result
from tests.fakes import FakeTime

OK, REFUSED, RESET = None, Reason.REFUSED, Reason.RESET


class LogHarness:
    """The log of one probe, its clock, and its lines."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.time = FakeTime()
        self.log = StateChangeLog(self.time.clock())
        self._caplog = caplog

    def record(self, *reasons: Reason | None, every: float = 10.0) -> None:
        for reason in reasons:
            self.time.advance(every)
            started = self.time.clock().to_datetime(self.time.monotonic)
            self.log.record(replace(make_result(reason=reason), started=started))

    def lines(self, *levels: int) -> list[tuple[str, dict[str, Any]]]:
        """Return messages and fields of the lines with `levels`, by default INFO and WARNING."""
        levels = levels or (logging.INFO, logging.WARNING)
        records = [record for record in self._caplog.records if record.levelno in levels]
        return [(record.getMessage(), vars(record)["fields"]) for record in records]


@pytest.fixture
def harness(caplog: pytest.LogCaptureFixture) -> Iterator[LogHarness]:
    with caplog.at_level(logging.DEBUG, logger=state_log.__name__):
        yield LogHarness(caplog)


def test_successes_are_not_logged(harness: LogHarness) -> None:
    """There is no line as long as all results are successes."""
    harness.record(OK, OK, OK)
    assert harness.lines() == []


def test_down_and_up_again(harness: LogHarness) -> None:
    """Each change has a line with the reason and the counts of results before it."""
    harness.record(OK, OK, OK, *[REFUSED] * 9, RESET, OK, OK)
    (down, of_down), (up, of_up) = harness.lines()
    fields = {"probe": "model", "reason": REFUSED, "detail": "as the test says", "after": "3 ok"}
    assert (down, of_down) == ("probe is failing", fields | {"since": "2023-11-14T22:14:00.000Z"})
    fields = {"probe": "model", "after": "9 refused, 1 reset"}
    assert (up, of_up) == ("probe is ok", fields | {"since": "2023-11-14T22:15:40.000Z"})


def test_levels(harness: LogHarness) -> None:
    """A model that starts to fail is a warning; its start and its recovery are not."""
    harness.record(*[Reason.STARTUP] * 2, *[REFUSED] * 9, OK)
    assert [message for message, _ in harness.lines(logging.WARNING)] == ["probe is failing"]
    messages = [message for message, _ in harness.lines(logging.INFO)]
    assert messages == ["probe is starting", "probe is ok"]


def test_debug_lines(harness: LogHarness) -> None:
    """At level DEBUG each failure has a line with its reason and latency."""
    harness.record(REFUSED, OK, RESET)
    failures = harness.lines(logging.DEBUG)
    assert [fields["reason"] for _, fields in failures] == [REFUSED, RESET]
    assert all(fields["latency"] == "0.100000" for _, fields in failures)


def test_another_reason_is_not_another_state(harness: LogHarness) -> None:
    """Failures with alternating reasons are one state."""
    harness.record(*[REFUSED, RESET] * 50)
    assert [message for message, _ in harness.lines()] == ["probe is failing"]


def test_a_failed_start(harness: LogHarness) -> None:
    """The end of the startup grace is logged when the failures begin to count."""
    harness.record(*[Reason.STARTUP] * 10, *[REFUSED] * 10)
    messages = [message for message, _ in harness.lines()]
    assert messages == ["probe is starting", "probe is failing"]


def test_a_start_delays_no_line(harness: LogHarness) -> None:
    """The success after a short start is logged at once."""
    harness.record(Reason.STARTUP, OK)
    assert [message for message, _ in harness.lines()] == ["probe is starting", "probe is ok"]


def test_flapping_is_summed_up(harness: LogHarness) -> None:
    """Ten changes per second have one line per minute, which counts all results."""
    harness.record(*[OK, REFUSED] * 3000, every=0.1)
    lines = harness.lines()
    assert len(lines) == pytest.approx(10, abs=1)
    assert lines[-1][1]["changes"] == pytest.approx(600, abs=2)
    assert lines[-1][1]["after"] == "300 refused, 300 ok"


def test_a_change_within_the_minute_is_logged_later(harness: LogHarness) -> None:
    """The log ends with the current state and the time of its change."""
    harness.record(REFUSED, OK, every=1)
    assert [message for message, _ in harness.lines()] == ["probe is failing"]
    harness.record(*[OK] * 60, every=1)
    (_, of_down), (up, of_up) = harness.lines()
    assert up == "probe is ok"
    assert of_down["since"] == "2023-11-14T22:13:21.000Z"
    assert of_up["since"] == "2023-11-14T22:13:22.000Z"


def test_the_first_change_after_a_stable_minute(harness: LogHarness) -> None:
    """It is logged at once, even right after another line."""
    harness.record(REFUSED, *[OK] * 60, every=1)
    assert [message for message, _ in harness.lines()] == ["probe is failing", "probe is ok"]
    harness.record(OK, REFUSED, every=1)
    assert [message for message, _ in harness.lines()][2:] == ["probe is failing"]


def test_no_pattern_of_changes_floods_the_log(harness: LogHarness) -> None:
    """Repeated bursts of changes after stable minutes have at most two lines per minute."""
    harness.record(*([REFUSED, OK] * 3 + [OK] * 60) * 10, every=1)
    assert len(harness.lines()) <= 2 * 10 + 1


def test_a_thousand_flapping_probes(caplog: pytest.LogCaptureFixture) -> None:
    """Within half a minute each of them has one line."""
    time = FakeTime()
    logs = [StateChangeLog(time.clock()) for _ in range(1000)]
    with caplog.at_level(logging.INFO, logger=state_log.__name__):
        for turn in range(30):
            time.advance(1)
            for log in logs:
                log.record(make_result(reason=REFUSED if turn % 2 else OK))
    assert len(caplog.records) == 1000


def test_the_trace_of_a_failure(harness: LogHarness) -> None:
    """Lines about failures have the trace id, if there is one."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    harness.log.record(replace(make_result(reason=REFUSED), trace_id=trace_id))
    fields = [fields for _, fields in harness.lines(logging.DEBUG, logging.WARNING)]
    assert [line["trace_id"] for line in fields] == [trace_id, trace_id]
