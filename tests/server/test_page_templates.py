"""Templates of the pages that a child process compiles."""

import subprocess
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


def test_jinja_without_its_compiler() -> None:
    """The compiler is imported when a template is compiled, such as by another command."""
    script = """
import sys
from probe.server.lean_jinja import import_jinja
import_jinja()
import jinja2
before = "jinja2.compiler" in sys.modules
text = jinja2.Environment().from_string("{% for x in y %}{{ x + 1 }}{% endfor %}").render(y=[1, 2])
import_jinja()
print(before, text, "jinja2.compiler" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert process.stdout == "False 23 True\n", process.stderr
