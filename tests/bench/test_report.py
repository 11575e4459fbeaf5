"""The results as they are read."""

import pytest

from bench.report import BEGIN, END, between, number, table


def test_results_replace_results() -> None:
    """New results stand where the last ones stood; what is around them stays, also twice over."""
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = between(text, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert between(once, "new") == once


def test_a_text_without_a_place_for_results() -> None:
    """A text without markers is refused, with what to write."""
    with pytest.raises(ValueError, match="write <!-- results -->"):
        between("nothing", "new")


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
