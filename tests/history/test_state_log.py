"""What the log says of results."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from probe.history import state_log
from probe.history.state_log import StateChangeLog
from probe.result import Reason
from tests.builders import result_of
from tests.fakes import FakeTime

OK, REFUSED, RESET = None, Reason.REFUSED, Reason.RESET


class Book:
    """A journal, its time, and what it has written."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.time = FakeTime()
        self.journal = StateChangeLog(self.time.clock())
        self._caplog = caplog

    def note(self, *reasons: Reason | None, every: float = 10.0) -> None:
        for reason in reasons:
            self.time.advance(every)
            started = self.time.clock().date(self.time.monotonic)
            self.journal.record(replace(result_of(reason=reason), started=started))

    def lines(self, level: int = logging.INFO) -> list[tuple[str, dict[str, Any]]]:
        records = [one for one in self._caplog.records if one.levelno == level]
        return [(one.getMessage(), vars(one)["fields"]) for one in records]


@pytest.fixture
def book(caplog: pytest.LogCaptureFixture) -> Iterator[Book]:
    with caplog.at_level(logging.DEBUG, logger=state_log.__name__):
        yield Book(caplog)


def test_a_model_that_is_well_is_not_news(book: Book) -> None:
    """Not a line, not even at the start."""
    book.note(OK, OK, OK)
    assert book.lines() == []


def test_down_and_up_again(book: Book) -> None:
    """A line for each change, with the reason and what was counted before."""
    book.note(OK, OK, OK, *[REFUSED] * 9, RESET, OK, OK)
    (down, of_down), (up, of_up) = book.lines()
    told = {"probe": "model", "reason": REFUSED, "detail": "as the test says", "after": "3 ok"}
    assert (down, of_down) == ("probe is failing", told | {"since": "2023-11-14T22:14:00.000Z"})
    told = {"probe": "model", "after": "9 refused, 1 reset"}
    assert (up, of_up) == ("probe is ok", told | {"since": "2023-11-14T22:15:40.000Z"})


def test_every_failure_is_there_for_who_debugs(book: Book) -> None:
    """With its reason and its latency."""
    book.note(REFUSED, OK, RESET)
    failures = book.lines(logging.DEBUG)
    assert [fields["reason"] for _, fields in failures] == [REFUSED, RESET]
    assert all(fields["latency"] == "0.100000" for _, fields in failures)


def test_another_reason_is_not_another_state(book: Book) -> None:
    """A model that fails in turns in this way and in that is failing."""
    book.note(*[REFUSED, RESET] * 50)
    assert [message for message, _ in book.lines()] == ["probe is failing"]


def test_a_start_that_comes_to_nothing_is_told(book: Book) -> None:
    """Starting is no failure; what it turns to is told when it does."""
    book.note(*[Reason.STARTUP] * 10, *[REFUSED] * 10)
    messages = [message for message, _ in book.lines()]
    assert messages == ["probe is starting", "probe is failing"]


def test_what_a_start_comes_to_is_told_at_once(book: Book) -> None:
    """A model that takes ten seconds to start is not called starting for a minute."""
    book.note(Reason.STARTUP, OK)
    assert [message for message, _ in book.lines()] == ["probe is starting", "probe is ok"]


def test_what_comes_and_goes_is_summed_up(book: Book) -> None:
    """One line a minute, at ten results a second, and every result is counted in one of them."""
    book.note(*[OK, REFUSED] * 3000, every=0.1)
    lines = book.lines()
    assert len(lines) == pytest.approx(10, abs=1)
    assert lines[-1][1]["changes"] == pytest.approx(600, abs=2)
    assert lines[-1][1]["after"] == "300 refused, 300 ok"


def test_a_change_within_the_minute_is_told_later(book: Book) -> None:
    """The last word is not lost: who reads the log knows how things are, and since when."""
    book.note(REFUSED, OK, every=1)
    assert [message for message, _ in book.lines()] == ["probe is failing"]
    book.note(*[OK] * 60, every=1)
    (_, of_down), (up, of_up) = book.lines()
    assert up == "probe is ok"
    assert of_down["since"] == "2023-11-14T22:13:21.000Z"
    assert of_up["since"] == "2023-11-14T22:13:22.000Z"


def test_the_first_change_after_a_stable_time(book: Book) -> None:
    """It is told at once, also where an earlier one has been told just now."""
    book.note(REFUSED, *[OK] * 60, every=1)
    assert [message for message, _ in book.lines()] == ["probe is failing", "probe is ok"]
    book.note(OK, REFUSED, every=1)
    assert [message for message, _ in book.lines()][2:] == ["probe is failing"]


def test_no_rhythm_of_changes_is_a_flood(book: Book) -> None:
    """Two lines a minute, and not more, where each bout of changes comes after a stable time."""
    book.note(*([REFUSED, OK] * 3 + [OK] * 60) * 10, every=1)
    assert len(book.lines()) <= 2 * 10 + 1


def test_a_thousand_models_that_come_and_go(caplog: pytest.LogCaptureFixture) -> None:
    """For half a minute, changing all the time: no more than a line of each."""
    time = FakeTime()
    journals = [StateChangeLog(time.clock()) for _ in range(1000)]
    with caplog.at_level(logging.INFO, logger=state_log.__name__):
        for turn in range(30):
            time.advance(1)
            for one in journals:
                one.record(result_of(reason=REFUSED if turn % 2 else OK))
    assert len(caplog.records) == 1000
