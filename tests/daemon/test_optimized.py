"""The daemon without docstrings and assertions, as in the image."""

import compileall
import py_compile
import shutil
import sys
from pathlib import Path

import pytest

from probe.prober.evaluator import LOCAL_CONTENT_BYTES
from tests.commands import ROOT, running
from tests.servers import respond_with, serve

CONFIG = """
probes:
  - name: model
    url: {url}
    interval: 100ms
    expect: {{json: {{$.a: {{equals: 1}}}}}}
"""


@pytest.mark.full  # all modules are compiled
def test_without_docstrings_and_assertions(tmp_path: Path) -> None:
    """All processes read the byte code: config, templates, probes, and a large response."""
    copy_with_byte_code_only(tmp_path)
    body = b'{"a": 1}' + b" " * LOCAL_CONTENT_BYTES
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    command = (sys.executable, "-OO", "-m", "probe")
    with serve(respond_with(response)) as url:
        (tmp_path / "probe.yml").write_text(CONFIG.format(url=url))
        environ = {"PYTHONPATH": str(tmp_path)}
        with running(
            "--config.file=probe.yml", command=command, cwd=tmp_path, environ=environ
        ) as daemon:
            daemon.wait_for("inference_probe_success", 1)
            assert "model" in daemon.get("/").text
            assert "Objectives" in daemon.get("/probes/model").text
            assert 'inference_probe_ticks_total{probe="model"}' in daemon.get("/metrics").text
            assert "level=error" not in daemon.log()


def copy_with_byte_code_only(directory: Path) -> None:
    """Copy the package with the byte code of the image, and sources that cannot be imported."""
    package = directory / "probe"
    shutil.copytree(ROOT / "probe", package, ignore=shutil.ignore_patterns("__pycache__"))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(package, quiet=1, optimize=2, invalidation_mode=unchecked)
    for source in package.rglob("*.py"):
        source.write_text("raise ImportError('compiled from the source')\n")
