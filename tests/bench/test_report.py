"""The results as they are read."""

import pytest

from bench.report import number, table


@pytest.mark.parametrize(
    ("value", "written"), [(0.0123, "0.012"), (12.34, "12.3"), (3.0, "3"), (-0.0042, "-0.004")]
)
def test_numbers(value: float, written: str) -> None:
    """Small numbers have three decimals, larger ones one, whole ones none."""
    assert number(value) == written


def test_tables_are_aligned() -> None:
    """Every line of a table is as long as the others."""
    lines = table(("bound", "met"), [("p50", "**no**")]).splitlines()
    assert lines == ["| bound | met    |", "|-------|--------|", "| p50   | **no** |"]
