"""Quantities as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config.units import format_duration, parse_duration, parse_percentage, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("100ms", 0.1),
        ("1m30s", 90),
        ("2.5s", 2.5),
        ("1d1h1m1s1ms1us", 90061.001001),
        ("1h", 3600),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is the float nearest to what its decimal digits say."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5sec", "1s1m", "-5s", "1e3s", "s", "5S", "\u0665s"])
def test_what_is_no_duration(text: str) -> None:
    """What is not understood from end to end is refused, with its text and advice."""
    with pytest.raises(ValueError, match=r"not a duration.*such as 250ms, 5s or 1m30s"):
        parse_duration(text)


@pytest.mark.parametrize("digits", [1001, 2_000_000])
def test_nobody_means_so_many_digits(digits: int) -> None:
    """Decimals would overflow, which is no sentence; the message does not repeat them all."""
    for parse, unit in ((parse_duration, "s"), (parse_size, "B"), (parse_percentage, "%")):
        with pytest.raises(ValueError, match=r"^not a .{,250}$"):
            parse("9" * digits + unit)


@given(st.decimals(0, 10**6, places=6))
def test_a_duration_written_out_is_read_back(seconds: object) -> None:
    """format_duration and parse_duration are inverse, whatever the units are."""
    value = float(str(seconds))

    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (90, "1m30s"), (86400, "1d"), (0, "0s"), (2.5, "2.5s"), (3e-5, "30us")],
)
def test_durations_are_written_shortly(seconds: float, text: str) -> None:
    """A message shows a duration as somebody would have written it."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("10kB", 10_000), ("1MiB", 1_048_576), ("1.5KiB", 1536)]
)
def test_sizes(text: str, size: int) -> None:
    """Units of 1000 and of 1024 are told apart."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "ratio"), [("99%", 0.99), ("99.9%", 0.999), ("99.95%", 0.9995), ("0.1%", 0.001)]
)
def test_percentages_are_exact(text: str, ratio: float) -> None:
    """A percentage equals the ratio that a rule would compare it with."""
    assert parse_percentage(text) == ratio
