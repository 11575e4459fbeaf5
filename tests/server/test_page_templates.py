"""Templates of the pages that a child process compiles."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jinja2
import pytest

from probe.config.child_process import ChildProcess
from probe.server import lean_jinja
from probe.server import page_templates as module
from probe.server.page_templates import page_templates


@pytest.fixture(autouse=True)
def _nothing_is_cached() -> Iterator[None]:
    module._compiled_environment.cache_clear()
    yield
    module._compiled_environment.cache_clear()


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


def test_three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pages of three clients start one process, and share one environment."""
    processes = []

    class CountedProcess(ChildProcess):
        def __init__(self, function: str, /, *, purpose: str) -> None:
            processes.append(purpose)
            super().__init__(function, purpose=purpose)

    monkeypatch.setattr(module, "ChildProcess", CountedProcess)
    with ThreadPoolExecutor(3) as threads:
        futures = [threads.submit(page_templates) for _ in range(3)]
        environments = {id(future.result()) for future in futures}
    assert (len(processes), len(environments)) == (1, 1)


def test_a_process_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """This process compiles the templates then, and one line of the log says so."""
    caplog.set_level(logging.INFO, "probe.server.page_templates")
    monkeypatch.setattr(sys, "executable", "/missing/python")
    parts = page_templates().get_template("parts.html").module
    assert "5 results" in parts.results(5)  # type: ignore[attr-defined]
    assert page_templates() is page_templates()
    (message,) = caplog.messages
    assert message == (
        "the process that compiles the templates of the pages cannot be started: "
        "No such file or directory; this process compiles them"
    )


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


def test_a_second_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """It replaces no modules: a compilation on another thread would get the substitutes."""
    imported: list[str] = []
    monkeypatch.setattr(lean_jinja, "import_module", imported.append)
    lean_jinja.import_jinja()
    assert not imported
