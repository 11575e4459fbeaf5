"""Durations as Prometheus writes them."""

import pytest

from probe.demo import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("750ms", 0.75), ("90s", 90.0), ("1m30s", 90.0), ("1d", 86400.0), ("2w", 1209600.0)],
)
def test_parse(text: str, seconds: float) -> None:
    """Every unit, and sums of them."""
    assert duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1.5s", "5 m", "-5s", "5min"])
def test_parse_refuses_what_prometheus_refuses(text: str) -> None:
    """The error quotes what was written and shows what to write."""
    with pytest.raises(ValueError, match=r"is not a duration: .* 90s or 2m"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.00001, "1ms"), (1.5, "1s500ms"), (90.0, "1m30s"), (2592000.0, "30d")],
)
def test_write(seconds: float, text: str) -> None:
    """What Prometheus reads back; a duration that is not zero never becomes zero."""
    assert duration.write(seconds) == text
