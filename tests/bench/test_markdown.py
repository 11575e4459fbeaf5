"""The results as Markdown, and their place in bench/README.md."""

import re
from pathlib import Path

import pytest

from bench.markdown import README, aligned_table, format_number, publish


def test_results_are_replaced(tmp_path: Path) -> None:
    """New results replace those between the marks, also repeatedly; the text around them stays."""
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n")
    for _ in range(2):
        publish("soak", r"new \1", page)
        assert page.read_text() == (
            "before\n<!-- soak -->\n\nnew \\1\n\n<!-- end of soak -->\nafter\n"
        )


def test_page_without_marks(tmp_path: Path) -> None:
    """A page without both marks is rejected and not changed; the message names the marks."""
    page = tmp_path / "README.md"
    page.write_text("<!-- soak --> alone")
    with pytest.raises(ValueError, match="write <!-- soak --> and <!-- end of soak -->"):
        publish("soak", "new", page)
    assert page.read_text() == "<!-- soak --> alone"


def test_each_benchmark_can_publish() -> None:
    """The page has the marks of all benchmarks, which are found after minutes of measuring.

    `bench.batching` has another page.
    """
    marks = {
        mark
        for path in README.parent.glob("*.py")
        for mark in re.findall(r'publish\("([^"]+)", (?!\w+, )', path.read_text())
    }
    text = README.read_text()

    assert {"evaluation", "faults", "fuzz"} <= marks
    for mark in marks:
        assert f"<!-- {mark} -->" in text
        assert f"<!-- end of {mark} -->" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.012"), (12.34, "12.3"), (3.0, "3"), (-0.0042, "-0.004")]
)
def test_format_number(value: float, text: str) -> None:
    """Small numbers have three decimals, larger ones one, whole ones none."""
    assert format_number(value) == text


def test_aligned_table() -> None:
    """All lines of a table have the same length."""
    lines = aligned_table(("bound", "met"), [("p50", "**no**")]).splitlines()
    assert lines == ["| bound | met    |", "|-------|--------|", "| p50   | **no** |"]
