"""Tests of config/examples/ against fake model servers."""

import json
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from probe.clock import Clock
from probe.config.loader import load
from probe.daemon.prober_factory import ProberFactory
from probe.resources import resource_path
from probe.result import Reason, Result
from tests import fake_model_servers
from tests.builders import lint_settings
from tests.commands import invoke
from tests.example_cases import PREDICTIVE_CASES, Case
from tests.fake_model_servers import Response, Server
from tests.llm_example_cases import LLM_CASES

EXAMPLES = resource_path("config/examples")
MAX_LINE_CHARS, MAX_LINES = 100, 40

CASES = (*PREDICTIVE_CASES, *LLM_CASES)

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)


def environment(url: str) -> dict[str, str]:
    """Return the environment variables of all examples, with `url` as the URL of each server."""
    names = re.findall(r"\$\{env:(\w+)\}", "".join(path.read_text() for path in files()))
    values = {
        "URL": url,
        "MODEL": fake_model_servers.MODEL,
        "KEY": fake_model_servers.KEY,
        "BEDROCK": fake_model_servers.KEY,
    }
    variables = {name: values[name.rpartition("_")[2]] for name in names}
    return {**variables, "HEALTH_URL": f"{url}/health"}


def files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.yml"))


def write_config(directory: Path, case: Case, old: str = "", new: str = "") -> Path:
    """Copy the file of a case and its key file, with `old` replaced by `new`."""
    text = (EXAMPLES / case.file).read_text()
    assert old in text
    (directory / "torchserve.key").write_text(f"{fake_model_servers.KEY}\n")
    config = directory / case.file
    config.write_text(text.replace(old, new, 1) if old else text)
    return config


@cache
def ca_certificate() -> bytes:
    return trustme.CA().cert_pem.bytes()


def run_probe(config: Path, server: Server) -> Result:
    """Run the probe of `config` against `server`, as the daemon does."""
    with fake_model_servers.serving(server) as url:
        # Reading all CAs of the system takes 50 ms.
        bundle = config.with_name("ca.pem")
        bundle.write_bytes(ca_certificate())
        environ = {**environment(url), "SSL_CERT_FILE": str(bundle)}
        settings = load(config, environ=environ)
        factory = ProberFactory(environ=environ, base=config.parent, clock=Clock())
        (name,) = (probe.name for probe in settings.probes)
        try:
            return factory.build(settings, [name])[name].prober.run()
        finally:
            factory.close()


def reason(result: Result) -> Reason | None:
    return result.failure.reason if result.failure else None


@each
def test_no_advice(case: Case, tmp_path: Path) -> None:
    """`check` has no advice about the unchanged file."""
    settings = load(write_config(tmp_path, case), environ=environment("http://model:8000"))
    assert lint_settings(settings) == []


@each
def test_success(case: Case, tmp_path: Path) -> None:
    """`once` succeeds with the unchanged file, and shows the times or tokens of the server."""
    config = write_config(tmp_path, case)
    with fake_model_servers.serving(case.server) as url:
        arguments = (f"--config.file={config}", "--output=json")
        done = invoke("once", *arguments, environ=environment(url))
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["success"], result["status"]) == (True, 200)
    assert result["server"] == pytest.approx(case.times)
    assert (result["stream"] is None) == (case.tokens is None)
    if case.tokens:
        assert result["stream"]["tokens"] == asdict(case.tokens)
        assert result["stream"]["finish_reason"] == case.finish_reason
        assert result["stream"]["time_to_first_token_seconds"]


@pytest.mark.parametrize(
    ("case", "old", "new", "expected"),
    [
        pytest.param(case, *mistake, id=f"{case.file} {mistake[1]}")
        for case in CASES
        for mistake in case.mistakes
    ],
)
def test_mistakes(case: Case, old: str, new: str, expected: Reason, tmp_path: Path) -> None:
    """A wrong model name, input or key in the config gives the expected reason."""
    result = run_probe(write_config(tmp_path, case, old, new), case.server)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "response", "expected"),
    [
        pytest.param(case, *fault, id=f"{case.file} {number} {fault[0].status}")
        for case in CASES
        for number, fault in enumerate(case.faults)
    ],
)
def test_faults(case: Case, response: Response, expected: Reason, tmp_path: Path) -> None:
    """An error status of the server gives the expected reason."""
    result = run_probe(write_config(tmp_path, case), lambda _: response)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "body"),
    [
        pytest.param(case, body, id=f"{case.file} {number}")
        for case in CASES
        for number, body in enumerate(case.wrong_bodies)
    ],
)
def test_wrong_bodies(case: Case, body: Any, tmp_path: Path) -> None:
    """A body with a wrong content fails the probe in spite of the status 200."""
    result = run_probe(write_config(tmp_path, case), lambda _: Response(200, body))
    assert (reason(result), result.status) == (Reason.ASSERTION, 200), result.failure


def test_every_file_is_tested_and_in_the_table() -> None:
    """The directory, the table in its README and the cases here have the same files."""
    table = re.findall(r"\]\(([\w-]+\.yml)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(table) == [path.name for path in files()] == sorted(case.file for case in CASES)


@each
def test_header_comment(case: Case) -> None:
    """The command at the top of a file has its name and all its environment variables."""
    text = (EXAMPLES / case.file).read_text()
    header = text[: text.index("\nprobes:")]
    assert f"--config.file={case.file}\n" in header + "\n"
    assert set(re.findall(r"([A-Z_]+)=", header)) == set(re.findall(r"\$\{env:(\w+)\}", text))


@each
def test_size(case: Case) -> None:
    """Each file fits on one screen."""
    lines = (EXAMPLES / case.file).read_text().splitlines()
    assert max(map(len, lines)) <= MAX_LINE_CHARS
    assert len(lines) <= MAX_LINES
