"""Modules that a running daemon never loads, because they take memory."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.commands import running

# Writes the names of the loaded modules to the file in the first argument, when it gets SIGUSR1.
DAEMON = """
import os, pathlib, signal, sys
path = pathlib.Path(sys.argv.pop(1))
def write(*_):
    path.with_suffix(".new").write_text("\\n".join(sys.modules))
    path.with_suffix(".new").rename(path)
signal.signal(signal.SIGUSR1, write)
from probe.cli.main import main
main()
"""

FORBIDDEN = {
    "anyio._backends._asyncio",
    "chardet",
    "charset_normalizer",
    "click",
    "concurrent.futures.process",
    "configparser",
    "html",
    "http.server",
    "importlib.metadata",
    "jinja2.compiler",
    "jinja2.lexer",
    "jinja2.parser",
    "logging.config",
    "multiprocessing",
    "prometheus_client.exposition",
    "pydantic",
    "pydantic_core",
    "tzlocal",
    "yaml",
    "zipfile",
    "zoneinfo",
    "probe.config.config_model",
    "probe.config.loader",
    "probe.config.schema",
    "probe.config.types",
    "probe.config.yaml",
    "probe.server.web_config",
}

CONFIG = """
networks: {deny: [10.0.0.0/8]}
probes:
  - name: a
    url: https://127.0.0.1:9/
    protocol: {openai-chat: {model: llama, prompt: hello}}
    expect: {body_matches: "[a-z]+"}
    objectives: [{name: fast, target: 0.5%, latency: 500ms}]
"""


def test_unused_modules(tmp_path: Path) -> None:
    """Neither the start, nor requests, reloads and changed web configs load them.

    They are those of the validation, and those that libraries import for what the daemon does not
    use.
    """
    config, web, modules = tmp_path / "probe.yml", tmp_path / "web.yml", tmp_path / "modules"
    config.write_text(CONFIG)
    web.write_text("http_server_config: {headers: {Strict-Transport-Security: max-age=1}}\n")
    with running(
        f"--config.file={config}",
        f"--web.config.file={web}",
        "--web.enable-lifecycle",
        command=(sys.executable, "-c", DAEMON, str(modules)),
    ) as daemon:
        config.write_text(CONFIG.replace("name: a", "name: b"))
        assert requests.post(f"{daemon.url}/-/reload", timeout=30).text.count("1 (b)") == 1
        web.write_text("http_server_config: {headers: {Strict-Transport-Security: max-age=2}}\n")
        wait_for_header(daemon.url, "max-age=2")
        config.write_text("probes: 5\n")
        response = requests.post(f"{daemon.url}/-/reload", timeout=30)
        assert response.status_code == 500
        assert f"{config}:1:9: probes: expected a list" in response.text
        for path in ("/", "/probes/b", "/static/page.css", "/metrics"):
            daemon.get(path)
        daemon.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 10
        while not modules.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert "Warning" not in daemon.log()
    loaded = set(modules.read_text().splitlines())
    assert "probe.config.settings" in loaded
    assert loaded & FORBIDDEN == set()


def wait_for_header(url: str, value: str) -> None:
    end = time.monotonic() + 20
    while requests.get(f"{url}/", timeout=10).headers["Strict-Transport-Security"] != value:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_modules_before_the_child_process() -> None:
    """The child process starts at once: the settings and TLS are imported while it works."""
    code = "import sys, probe.cli.run; print({'probe.config.settings', 'ssl'} & sys.modules.keys())"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "set()"
