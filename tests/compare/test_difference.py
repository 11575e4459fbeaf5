"""Holm's correction, and the verdicts from intervals and margins."""

import math

import pytest

from probe.compare.difference import (
    Difference,
    Scale,
    Verdict,
    evaluate,
    holm,
    overall,
    requests_needed,
)


def difference(value: float | None, lower: float, upper: float, p_value: float = 1.0) -> Difference:
    """Return a difference of the median whose margin is 5 %."""
    return Difference(
        name="p50",
        scale=Scale.RELATIVE,
        a=0.1,
        b=0.1,
        value=value,
        lower=lower,
        upper=upper,
        margin=0.05,
        p_value=p_value,
    )


WORSE = difference(0.2, 0.1, 0.3, 1e-9)
BETTER = difference(-0.2, -0.3, -0.1, 1e-9)
SAME = difference(0.01, -0.02, 0.04)
NOT_WORSE = difference(-0.03, -0.08, 0.02)
WIDE = difference(0.01, -0.2, 0.2)
UNKNOWN = difference(None, -math.inf, math.inf)


def test_holm() -> None:
    """The smallest p-value is multiplied by the number of tests, and the order is kept."""
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("differences", "verdicts", "verdict"),
    [
        ([SAME, SAME], ["no_difference"] * 2, "no_difference"),
        ([WORSE, SAME], ["worse", "no_difference"], "worse"),
        ([WORSE, BETTER], ["worse", "better"], "worse"),
        ([WORSE, WIDE], ["worse", "not_enough_data"], "worse"),
        ([BETTER, SAME], ["better", "no_difference"], "better"),
        ([BETTER, WIDE], ["better", "not_enough_data"], "not_enough_data"),
        ([NOT_WORSE, SAME], ["not_worse", "no_difference"], "not_worse"),
        ([NOT_WORSE, BETTER], ["not_worse", "better"], "better"),
        ([UNKNOWN, SAME], ["not_enough_data", "no_difference"], "not_enough_data"),
    ],
)
def test_verdicts(differences: list[Difference], verdicts: list[str], verdict: str) -> None:
    findings = evaluate(differences)
    assert [finding.verdict for finding in findings] == verdicts
    assert overall(findings) is Verdict(verdict)


def test_correction_counts() -> None:
    """Evidence that is enough for one measure is not enough for one of four."""
    doubtful = difference(0.06, 0.01, 0.2, 0.02)
    assert evaluate([doubtful])[0].verdict is Verdict.WORSE
    assert evaluate([doubtful, SAME, SAME, SAME])[0].verdict is Verdict.NOT_ENOUGH_DATA


def test_significant_difference_within_the_margin() -> None:
    """Evidence for a difference that does not matter is no reason to stop."""
    small = difference(0.02, 0.01, 0.03, 1e-9)
    assert evaluate([small])[0].verdict is Verdict.NO_DIFFERENCE


def test_requests_needed() -> None:
    """An interval that is four times too wide needs sixteen times as many requests."""
    assert requests_needed(WIDE, 100) == 1600
    assert requests_needed(UNKNOWN, 100) is None
