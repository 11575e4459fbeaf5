"""Results in a page that is read."""

from pathlib import Path

import pytest

from bench.readme import publish


def test_results_replace_results(tmp_path: Path) -> None:
    """New results stand where the last ones stood; what is around them stays, also twice over."""
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n")
    for _ in range(2):
        publish("soak", r"new \1", page)
        assert page.read_text() == (
            "before\n<!-- soak -->\n\nnew \\1\n\n<!-- end of soak -->\nafter\n"
        )


def test_a_page_without_a_place_for_results(tmp_path: Path) -> None:
    """It is refused with what to write, and left alone."""
    page = tmp_path / "README.md"
    page.write_text("<!-- soak --> alone")
    with pytest.raises(ValueError, match="write <!-- soak --> and <!-- end of soak -->"):
        publish("soak", "new", page)
    assert page.read_text() == "<!-- soak --> alone"
