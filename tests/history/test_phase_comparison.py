"""A phase compared with earlier means."""

import pytest

from probe.history.phase_comparison import (
    SLOWER_RATIO,
    SLOWER_SECONDS,
    compare_phase,
    is_slower,
)
from probe.resources import resource_path
from probe.result import Phase


@pytest.mark.parametrize(
    ("recent", "earlier", "slower"),
    [(0.33, 0.2, True), (0.31, 0.2, False), (0.005, 0.001, False), (0.012, 0.001, True)],
    ids=["more", "less than the ratio", "less than the difference", "small but large ratio"],
)
def test_is_slower(recent: float, earlier: float, slower: bool) -> None:
    """A phase is slower by more than a ratio and by more than a difference."""
    assert is_slower(recent, earlier) is slower


def test_thresholds_of_the_alert() -> None:
    """They are those of ModelLatencyRegression."""
    text = resource_path("rules/inference-probe.rules.yml").read_text()
    assert text.count(f"quantile30m > {SLOWER_RATIO} * ") == 1
    assert text.count(f"_usual:quantile30m > {SLOWER_SECONDS}\n") == 1


def test_unknown_days() -> None:
    """The usual mean is the median of the known days."""
    means = {1: 0.1, 2: None, 3: 0.3, 28: None}
    comparison = compare_phase(Phase.WAIT, 0.2, means.get)
    assert comparison.usual == pytest.approx(0.2)
    assert comparison.four_weeks_ago is None
