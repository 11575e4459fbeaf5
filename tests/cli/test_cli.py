"""The commands as processes: what they print, and their exit codes."""

import json
import re
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from probe import __version__
from probe.cli import commands
from probe.result import Result
from tests.builders import result_of
from tests.commands import COMMAND, environment, invoke
from tests.servers import OK, answering, serving

REFUSING = "http://127.0.0.1:1/"


def _config(directory: Path, *urls: str) -> str:
    path = directory / "probes.yml"
    probes = [{"name": f"model-{n}", "url": url} for n, url in enumerate(urls)]
    path.write_text(yaml.safe_dump({"probes": probes}))
    return f"--config.file={path}"


def test_version() -> None:
    """`--version` says which one it is."""
    assert invoke("--version").stdout == f"inference-probe {__version__}\n"


@pytest.mark.parametrize("command", ["run", "check", "once", "rules", "demo"])
def test_help_of_every_command(command: str) -> None:
    """Each command explains itself."""
    said = invoke(command, "--help")
    assert said.returncode == 0
    assert said.stdout.startswith(f"usage: inference-probe {command}")


def test_once_shows_a_success(tmp_path: Path) -> None:
    """`once --output=json` is a list of results, and 0 when all succeeded."""
    with serving(answering(delay=0.05)) as url:
        said = invoke("once", _config(tmp_path, url), "--output=json")
    [result] = json.loads(said.stdout)
    assert (said.returncode, result["success"], result["reason"]) == (0, True, None)
    assert set(result["phases"]) == {"connect", "send", "wait", "receive"}
    assert result["latency_seconds"] == pytest.approx(sum(result["phases"].values()))
    assert result["phases"]["wait"] >= 0.05
    assert (result["due"], result["bytes"], result["status"]) == (None, 2, 200)


def test_once_shows_failures_beside_successes(tmp_path: Path) -> None:
    """One failed probe makes the exit code 1, and its reason is told."""
    with serving(answering()) as url:
        config = _config(tmp_path, url, REFUSING)
        said = invoke("once", config)
        assert said.returncode == 1
        assert "model-0: succeeded" in said.stdout
        assert "model-1: failed (refused)" in said.stdout
        chosen = invoke("once", config, "model-0", "--output=json")
    assert [result["probe"] for result in json.loads(chosen.stdout)] == ["model-0"]
    assert chosen.returncode == 0


def test_one_endpoint_without_a_file() -> None:
    """What a sidecar is to `run` by flags or variables can be tried and checked before."""
    with serving(answering()) as url:
        once = invoke("once", "--output=json", f"--url={url}", "--name=sidecar", "--slo=99%<1s")
        [result] = json.loads(once.stdout)
        assert (once.returncode, result["probe"], result["success"]) == (0, "sidecar", True)
        check = invoke("check", environ={"INFERENCE_PROBE_URL": url, "INFERENCE_PROBE_SLO": "99%"})
    assert (check.returncode, "99% succeed (page)" in check.stdout) == (0, True)
    both = invoke("check", f"--url={url}", "--config.file=x.yml")
    assert (both.returncode, "--url beside the config x.yml" in both.stderr) == (2, True)


@pytest.mark.parametrize("command", ["run", "check", "once"])
def test_a_file_without_its_flag(command: str) -> None:
    """Who forgets the flag is told of it."""
    said = invoke(command, "probe.yml")
    assert (said.returncode, "--config.file=FILE" in said.stderr) == (2, True)


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("ascii", "#")])
def test_once_draws(tmp_path: Path, encoding: str, bar: str) -> None:
    """The phases are bars, in whatever the output can say; what the server told of itself stands
    below the wait.
    """
    reply = OK.replace(b"\r\n", b"\r\nServer-Timing: queue;dur=20, nothing, total;dur=x\r\n", 1)
    with serving(answering(reply, delay=0.05)) as url:
        said = invoke("once", _config(tmp_path, url), environ={"PYTHONIOENCODING": encoding})
    assert re.search(rf"    wait +\d+\.\d{{3}} ms +{bar}+\n +queue +20\.000 ms", said.stdout)
    assert "told 1 time that made no sense" in said.stdout
    assert (said.returncode, said.stderr) == (0, "")


def test_a_bug_ends_once() -> None:
    """It is raised, and not waited for: no result will come of it."""
    raised: list[Exception] = []

    def broken() -> Result:
        raise ValueError("a bug")

    def once() -> None:
        try:
            commands._results([result_of, broken])
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(target=once, daemon=True)
    thread.start()
    thread.join(10)
    assert [str(error) for error in raised] == ["a bug"]


def test_once_knows_its_probes(tmp_path: Path) -> None:
    """A name that is not in the config is bad usage; the message lists those that are."""
    said = invoke("once", _config(tmp_path, REFUSING), "modle")
    assert said.returncode == 2
    assert "no probe 'modle'" in said.stderr
    assert "there are: model-0" in said.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [(("run",), 2), (("run", "--log.format=json"), 2), (("once",), 2), (("check",), 1)],
)
def test_bad_config(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """Every problem on a line of its own, with its place; no traceback, nothing started."""
    path = tmp_path / "bad.yml"
    path.write_text("probes:\n  - name: a\n    url: http://h/\n    intervall: 5s\n    timeout: 3\n")
    said = invoke(*command, f"--config.file={path}")
    assert said.returncode == code
    assert [line.split(": ")[0] for line in said.stderr.splitlines()] == [
        f"{path}:4:5",
        f"{path}:5:14",
    ]
    assert "did you mean `interval`" in said.stderr
    assert "write 3s" in said.stderr


def test_check_for_machines(tmp_path: Path) -> None:
    """`check --output=json` is JSON whether the config is valid or not."""
    valid = invoke("check", _config(tmp_path, REFUSING), "--output=json")
    assert (valid.returncode, json.loads(valid.stdout)["valid"]) == (0, True)
    (tmp_path / "probes.yml").write_text("probes: 7\n")
    invalid = invoke("check", f"--config.file={tmp_path / 'probes.yml'}", "--output=json")
    document = json.loads(invalid.stdout)
    assert (invalid.returncode, document["valid"]) == (1, False)
    assert document["problems"][0]["line"] == 1


def test_check_takes_advice_for_an_error_when_strict(tmp_path: Path) -> None:
    """A threshold above the timeout is legal, and worth a word; with --strict it is an error."""
    path = tmp_path / "probe.yml"
    objective = {"name": "slow", "target": "99%", "latency": "30s"}
    probe = {"name": "m", "url": REFUSING, "objectives": [objective]}
    path.write_text(yaml.safe_dump({"probes": [probe]}))
    lenient = invoke("check", f"--config.file={path}")
    assert (lenient.returncode, "30s is not below the timeout 5s" in lenient.stdout) == (0, True)
    assert invoke("check", f"--config.file={path}", "--strict").returncode == 1


def test_config_is_found(tmp_path: Path) -> None:
    """Flag, variable, working directory, package: the first that there is."""
    packaged = invoke("check", cwd=tmp_path)
    assert "sentiment:" in packaged.stdout
    assert "this is the packaged example" in packaged.stderr
    (tmp_path / "config").mkdir()
    _config(tmp_path / "config", REFUSING)
    (tmp_path / "config/probes.yml").rename(tmp_path / "config/probe.yml")
    assert "config/probe.yml is valid" in invoke("check", cwd=tmp_path).stdout
    flag = _config(tmp_path, REFUSING, REFUSING)
    variable = {"INFERENCE_PROBE_CONFIG_FILE": flag.removeprefix("--config.file=")}
    assert "2 probes" in invoke("check", cwd=tmp_path, environ=variable).stdout
    missing = invoke("check", "--config.file=nowhere.yml", cwd=tmp_path, environ=variable)
    assert (missing.returncode, "nowhere.yml" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--url=http://h/", "--config.file=x.yml"), "--url beside the config x.yml"),
        (("--slo=99%",), "--slo needs --url"),
        (("--url=ftp://h/",), "--url"),
        (("--url=http://h/", "--slo=fast"), "--slo"),
        (("--url=http://h/", "--interval=10"), "write 10s"),
        (("--log.level=loud",), "'loud' is none of debug, info, warning, error"),
        (("--web.listen-address=nonsense",), "write :10115"),
        (("--web.listen-address=192.0.2.1:80",), "cannot listen on 192.0.2.1:80"),
        (("--nonsense",), "unrecognized arguments"),
    ],
)
def test_bad_usage_of_run(arguments: tuple[str, ...], words: str) -> None:
    """What makes no sense ends with 2 and a sentence, without a traceback."""
    said = invoke("run", *arguments)
    assert said.returncode == 2
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_variables_are_checked_like_flags() -> None:
    """A bad value in a variable is told as one in a flag is."""
    said = invoke("run", environ={"INFERENCE_PROBE_LOG_FORMAT": "xml"})
    assert (said.returncode, "'xml' is none of logfmt, json" in said.stderr) == (2, True)


@pytest.mark.parametrize("name", ["URL", "CONFIG_FILE", "SLO", "LOG_LEVEL"])
def test_an_empty_variable_is_a_mistake(name: str) -> None:
    """A value that came out empty, as in a template, is told by the variable's name."""
    said = invoke("run", environ={f"INFERENCE_PROBE_{name}": ""})
    assert said.returncode == 2
    assert f"unset INFERENCE_PROBE_{name}" in said.stderr


def test_a_full_disk_is_told_in_a_sentence() -> None:
    """What cannot be printed ends with 1, without a traceback."""
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*COMMAND, "rules"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    assert (process.returncode, "Traceback" in process.stderr) == (1, False)


def test_rules_are_printed_as_they_are() -> None:
    """`rules` prints the bundled file, byte for byte."""
    path = Path(__file__).parents[2] / "rules/inference-probe.rules.yml"
    assert invoke("rules").stdout == path.read_text()
