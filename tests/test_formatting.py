"""Formatting of numbers and times on the pages."""

from decimal import Decimal

import pytest

from probe import formatting
from probe.result import BudgetKind, BudgetUse
from probe.serialization import format_money


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (1.0, "100 %"),
        (0.996, "99 %"),
        (0.29, "29 %"),
        (0.0, "0 %"),
        (-0.0001, "−1 %"),
        (-0.99, "−99 %"),
        (-1.0, "spent 2.0×"),
        (-4.65, "spent 5.7×"),
        (-8.96, "spent 10×"),
        (-99.0, "spent 100×"),
        (-999.0, "spent 1,000×"),
        (-123455.0, "spent 123,456×"),
    ],
)
def test_error_budget(left: float, text: str) -> None:
    """A budget overspent by little is negative; one overspent by much is a multiple."""
    assert formatting.format_budget(left) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (90.5, "90.5 s"),
        (21600.0, "6 h"),
        (86400.0, "1 d"),
        (1234567.0, "14 d 6 h 56 min 7 s"),
        (1234567.5, "1234567.5 s"),
    ],
)
def test_threshold(seconds: float, text: str) -> None:
    """A duration of the config is exact; from a minute on it has several units."""
    assert formatting.format_threshold(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("0.0000035", "0.0000035"),
        ("0.00000000123", "0.00000000123"),
        ("0.000122", "0.000122"),
        ("0.1234", "0.123"),
        ("0.5", "0.50"),
        ("0.9999", "1.00"),
        ("5", "5.00"),
        ("1234.56", "1,234.56"),
        ("1234567.891", "1,234,567.89"),
    ],
)
def test_money(amount: str, text: str) -> None:
    """Amounts have at least two decimals, and no exponent."""
    assert format_money(Decimal(amount)) == text
    assert format_money(float(amount)) == text


@pytest.mark.parametrize(
    ("kind", "used", "limit", "text"),
    [
        (BudgetKind.TOKENS_PER_DAY, "95123", "100000", "95,123 of 100,000 tokens per day"),
        (BudgetKind.REQUESTS_PER_HOUR, "9", "1200", "9 of 1,200 requests per hour"),
        (BudgetKind.COST_PER_DAY, "1234.56", "5000", "1,234.56 of 5,000.00 EUR per day"),
        (BudgetKind.COST_PER_DAY, "0.0035", "0.5", "0.0035 of 0.50 EUR per day"),
    ],
)
def test_budget_use(kind: BudgetKind, used: str, limit: str, text: str) -> None:
    """Money has decimals, and other numbers are whole."""
    use = BudgetUse(kind=kind, used=Decimal(used), limit=Decimal(limit))
    assert formatting.format_budget_use(use, "EUR") == text
