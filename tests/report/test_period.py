"""Periods of reports."""

from datetime import UTC, datetime

import pytest

from probe.report.period import Period

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()


def unix(*date: int) -> float:
    return datetime(*date, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


def test_month() -> None:
    """A month is in UTC; the current one ends now."""
    october, november = Period.of_month("2026-10", NOW), Period.of_month("2026-11", NOW)
    assert (october.start, october.end) == (unix(2026, 10, 1), unix(2026, 11, 1))
    assert (november.start, november.end) == (unix(2026, 11, 1), NOW)
    assert november.previous() == october


def test_previous_month_of_january() -> None:
    """The month before January is December."""
    december = Period.of_month("2026-01", NOW).previous()
    assert december == Period.of_month("2025-12", NOW)
    assert Period.of_month("2025-12", NOW).end == unix(2026, 1, 1)


def test_last() -> None:
    """The period before the last 30 days has 30 days as well."""
    period = Period.last("30d", NOW)
    assert (period.seconds, period.end) == (30 * 86400, NOW)
    assert (period.previous().end, period.previous().seconds) == (period.start, 30 * 86400)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-13", "write one such as 2026-11"),
        ("11/2026", "not a month"),
        ("2026-12", "2026-12 has not begun"),
        ("0000-01", "not a month"),
    ],
)
def test_invalid_month(text: str, message: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=message):
        Period.of_month(text, NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [("30", "write one such as 12h or 30d"), ("5m", "at least 1h"), ("99999d", "too long")],
)
def test_invalid_duration(text: str, message: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=message):
        Period.last(text, NOW)
