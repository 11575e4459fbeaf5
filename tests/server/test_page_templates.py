"""Templates of the pages that a child process compiles."""

import sys
from collections.abc import Iterator

import jinja2
import pytest

from probe.server.page_templates import page_templates


@pytest.fixture(autouse=True)
def _nothing_is_cached() -> Iterator[None]:
    page_templates.cache_clear()
    yield
    page_templates.cache_clear()


def test_this_process_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All templates come from the child process, with the functions of this one."""
    monkeypatch.delattr(jinja2.Environment, "compile")
    templates = page_templates()
    assert {"home.html", "probe.html", "parts.html"} <= {*templates.list_templates()}
    for name in templates.list_templates():
        assert templates.get_template(name).name == name
    parts = templates.get_template("parts.html").module
    assert parts.age(None, 0.0) == ""  # type: ignore[attr-defined]
    assert "18446744073709551616 results" in parts.results(2**64)  # type: ignore[attr-defined]


def test_a_process_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which process it was. The next page tries again."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/missing/python")
        with pytest.raises(ChildProcessError, match="compiles the templates of the pages cannot"):
            page_templates()
    assert page_templates() is page_templates()
