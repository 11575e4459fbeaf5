"""Durations, sizes, rates and percentages."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config.units import (
    format_duration,
    parse_duration,
    parse_percentage,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("100ms", 0.1),
        ("1m30s", 90),
        ("2.5s", 2.5),
        ("1d1h1m1s1ms1us", 90061.001001),
        ("1h", 3600),
        ("500 ms", 0.5),
        ("1m 30s", 90),
        ("1 m 30 s", 90),
        ("0s", 0),
    ],
)
def test_parse_duration(text: str, seconds: float) -> None:
    """The result is the float nearest to the decimal value."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "5sec", "1s1m", "-5s", "1e3s", "s", "5S", "\u0665s", "5  s", "5s ", " 5s", "1m  30s"],
)
def test_invalid_durations(text: str) -> None:
    """The whole text must match. The message quotes it and says what to write."""
    with pytest.raises(ValueError, match=r"not a duration.*such as 250ms, 5s or 1m30s"):
        parse_duration(text)


@pytest.mark.parametrize("digits", [1001, 2_000_000])
def test_too_many_digits(digits: int) -> None:
    """Text with very many digits is refused before decimals overflow, and is quoted in part."""
    for parse, unit in (
        (parse_duration, "s"),
        (parse_size, "B"),
        (parse_percentage, "%"),
        (parse_rate, "rps"),
    ):
        with pytest.raises(ValueError, match=r"^not a .{,250}$"):
            parse("9" * digits + unit)


@given(st.decimals(0, 10**6, places=6))
def test_format_duration_round_trip(seconds: object) -> None:
    """parse_duration() returns what format_duration() was given."""
    value = float(str(seconds))

    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (90, "1m30s"), (86400, "1d"), (0, "0s"), (2.5, "2.5s"), (3e-5, "30us")],
)
def test_format_duration(seconds: float, text: str) -> None:
    """The result is short, as in a config."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("10kB", 10_000), ("1MiB", 1_048_576), ("1.5KiB", 1536)]
)
def test_parse_size(text: str, size: int) -> None:
    """KB is 1000 bytes, KiB is 1024 bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "ratio"), [("99%", 0.99), ("99.9%", 0.999), ("99.95%", 0.9995), ("99 %", 0.99)]
)
def test_parse_percentage(text: str, ratio: float) -> None:
    """The result equals the ratio as a float literal."""
    assert parse_percentage(text) == ratio


@pytest.mark.parametrize(
    ("text", "rate"), [("140/s", 140), ("0.1/s", 0.1), ("140 / s", 140), ("600", 600)]
)
def test_parse_rate(text: str, rate: float) -> None:
    """The result is in requests per second, with and without the unit."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("140rps", "140/s"),
        ("140 qps", "140/s"),
        ("0.5Hz", "0.5/s"),
        ("140 req/s", "140/s"),
        ("140 requests/second", "140/s"),
        ("1 query per second", "1/s"),
        ("1.2k/s", "1200/s"),
        ("8400/min", "140/s"),
        ("500 requests per hour", "0.138889/s"),
        ("1d/s", "a number of requests per second, such as 600/s"),
        ("140/ms", "a number of requests per second, such as 600/s"),
        ("140,5/s", "a decimal point, not a comma"),
    ],
)
def test_other_spellings_of_rates(text: str, advice: str) -> None:
    """The message says what to write instead, with the number converted."""
    with pytest.raises(ValueError, match=f"^not a rate: .*; write {re.escape(advice)}$"):
        parse_rate(text)


@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_percentage, parse_rate])
def test_quoted_replaces_the_text_in_the_message(parse: Callable[..., float]) -> None:
    """The text may be a secret that a reference stands for."""
    with pytest.raises(ValueError, match=r'^not a \w+: "\$\{env:A\}"') as caught:
        parse("hunter2", quoted='"${env:A}"')

    assert "hunter2" not in str(caught.value)
