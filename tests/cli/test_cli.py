"""The commands: their output and exit codes."""

import json
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from probe import __version__
from probe.cli.once import run_concurrently, unused_proxies
from probe.config.loader import from_flags
from probe.result import Result
from tests.builders import make_result
from tests.commands import COMMAND, environment, invoke, running
from tests.servers import OK, respond_with, serve

REFUSING = "http://127.0.0.1:1/"


def _config(directory: Path, *urls: str) -> str:
    path = directory / "probes.yml"
    probes = [{"name": f"model-{n}", "url": url} for n, url in enumerate(urls)]
    path.write_text(yaml.safe_dump({"probes": probes}))
    return f"--config.file={path}"


def test_version() -> None:
    """`--version` prints the version."""
    assert invoke("--version").stdout == f"inference-probe {__version__}\n"


@pytest.mark.parametrize("command", ["run", "check", "once", "rules", "demo"])
def test_help(command: str) -> None:
    """Each command has a help text."""
    done = invoke(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: inference-probe {command}")


def test_once_json_of_a_success(tmp_path: Path) -> None:
    """`once --output=json` prints a list of results and exits with 0 if all succeeded."""
    with serve(respond_with(delay=0.05)) as url:
        done = invoke("once", _config(tmp_path, url), "--output=json")
    [result] = json.loads(done.stdout)
    assert (done.returncode, result["success"], result["reason"]) == (0, True, None)
    assert set(result["phases"]) == {"connect", "send", "wait", "receive"}
    assert result["latency_seconds"] == pytest.approx(sum(result["phases"].values()))
    assert result["phases"]["wait"] >= 0.05
    assert (result["due"], result["bytes"], result["status"]) == (None, 2, 200)


def test_once_with_a_failure(tmp_path: Path) -> None:
    """`once` exits with 1 if a probe failed, and prints the reason."""
    with serve(respond_with()) as url:
        config = _config(tmp_path, url, REFUSING)
        done = invoke("once", config)
        assert done.returncode == 1
        assert "model-0: succeeded" in done.stdout
        assert "model-1: failed (refused)" in done.stdout
        chosen = invoke("once", config, "model-0", "--output=json")
    assert [result["probe"] for result in json.loads(chosen.stdout)] == ["model-0"]
    assert chosen.returncode == 0


def test_once_prints_tokens_and_cost(tmp_path: Path) -> None:
    """Also if the budget is smaller: it limits the daemon, and not a command."""
    body = {"prompt": "x" * 40, "max_tokens": 5}
    price = {"input": 1, "output": 2, "per": "1k", "currency": "EUR"}
    path = tmp_path / "probe.yml"
    with serve(respond_with()) as url:
        keys = {"json": body, "price": price, "budget": {"tokens_per_day": 1}}
        path.write_text(yaml.safe_dump({"probes": [{"name": "m", "url": url, **keys}]}))
        done = invoke("once", f"--config.file={path}")
    assert "    spending      10 + 5 tokens (estimated), 0.02 EUR\n" in done.stdout
    assert done.returncode == 0


def test_endpoint_from_flags() -> None:
    """`once` and `check` accept the flags and variables of one endpoint, as `run` does."""
    with serve(respond_with()) as url:
        once = invoke("once", "--output=json", f"--url={url}", "--name=sidecar", "--slo=99%<1s")
        [result] = json.loads(once.stdout)
        assert (once.returncode, result["probe"], result["success"]) == (0, "sidecar", True)
        check = invoke("check", environ={"INFERENCE_PROBE_URL": url, "INFERENCE_PROBE_SLO": "99%"})
    assert (check.returncode, "99% succeed (page)" in check.stdout) == (0, True)
    both = invoke("check", f"--url={url}", "--config.file=x.yml")
    assert (both.returncode, "--url and --config.file=x.yml cannot be combined" in both.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize("command", ["run", "once"])
def test_config_file_without_flag(command: str) -> None:
    """A config file as a positional argument gives an error that names the flag."""
    done = invoke(command, "probe.yml")
    assert (done.returncode, "--config.file=FILE" in done.stderr) == (2, True)


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("ascii", "#")])
def test_once_text(tmp_path: Path, encoding: str, bar: str) -> None:
    """Phases are bars in characters of the output's encoding; the server's times are below wait."""
    reply = OK.replace(b"\r\n", b"\r\nServer-Timing: queue;dur=20, nothing, total;dur=x\r\n", 1)
    with serve(respond_with(reply, delay=0.05)) as url:
        done = invoke("once", _config(tmp_path, url), environ={"PYTHONIOENCODING": encoding})
    assert re.search(rf"    wait +\d+\.\d{{3}} ms +{bar}+\n +queue +20\.000 ms", done.stdout)
    assert "1 impossible time ignored" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_once_shows_objectives_and_the_body() -> None:
    """Also with --slo. The exit code depends on failures only."""
    with serve(respond_with(delay=0.02)) as url:
        slow = invoke("once", f"--url={url}", "--slo=99% under 1ms")
    assert slow.returncode == 0
    assert re.search(r"objective +fast: missed, \d+\.\d ms > 1 ms\n", slow.stdout)
    body = b'{"detail": "Field required"}'
    reply = b"HTTP/1.1 422 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with serve(respond_with(reply)) as url:
        failed = invoke("once", f"--url={url}", "--slo=99.9%")
    assert failed.returncode == 1
    assert "objective     up: missed, the request failed\n" in failed.stdout
    assert failed.stdout.endswith(
        f"    body          28 bytes, no Content-Type\n      {body.decode()}\n"
    )


@pytest.mark.parametrize(
    ("url", "variables", "noted"),
    [
        ("http://127.0.0.1:1/", {"http_proxy": "http://p:1"}, ["http_proxy"]),
        ("http://127.0.0.1:1/", {"HTTPS_PROXY": "http://p:1"}, []),
        ("https://127.0.0.1:1/", {"HTTPS_PROXY": "http://p:1"}, ["HTTPS_PROXY"]),
        ("https://127.0.0.1:1/", {"ALL_PROXY": "http://p:1"}, ["ALL_PROXY"]),
        ("${env:HOST}/", {"HOST": "http://127.0.0.1:1", "HTTP_PROXY": "p"}, ["HTTP_PROXY"]),
        ("http://127.0.0.1:1/", {"http_proxy": "http://p:1", "NO_PROXY": "127.0.0.1"}, []),
        ("http://127.0.0.1:1/", {}, []),
    ],
)
def test_once_notes_unused_proxies(url: str, variables: dict[str, str], noted: list[str]) -> None:
    """A variable that other clients use for the URL is named on stderr."""
    done = invoke("once", f"--url={url}", "--name=m", environ=variables)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{name} is set but not used; to use it, write proxy: in the probe m" for name in noted
    ]


def test_no_proxy_of_the_environment() -> None:
    """NO_PROXY is read from the same mapping as the other variables."""
    settings = from_flags(url=REFUSING, environ={})
    proxy = {"HTTP_PROXY": "http://p:1"}
    assert len(list(unused_proxies(settings, [], proxy))) == 1
    assert list(unused_proxies(settings, [], {**proxy, "NO_PROXY": "127.0.0.1"})) == []


def test_once_with_a_proxy(tmp_path: Path) -> None:
    """There is no note for a probe that has a `proxy`, nor for probes that do not run."""
    probes = [
        {"name": "a", "url": "http://127.0.0.1:1/", "proxy": "http://127.0.0.1:1"},
        {"name": "b", "url": "http://127.0.0.1:1/"},
    ]
    (tmp_path / "probe.yml").write_text(yaml.safe_dump({"probes": probes}))
    environ = {"HTTP_PROXY": "http://p:1"}
    assert invoke("once", "a", cwd=tmp_path, environ=environ).stderr == ""
    assert "the probe b\n" in invoke("once", cwd=tmp_path, environ=environ).stderr


def test_once_raises_a_bug() -> None:
    """An exception in a probe is raised instead of waiting for its result."""
    raised: list[Exception] = []

    def broken() -> Result:
        raise ValueError("a bug")

    def once() -> None:
        try:
            run_concurrently([make_result, broken])
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(target=once, daemon=True)
    thread.start()
    thread.join(10)
    assert [str(error) for error in raised] == ["a bug"]


def test_once_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system has no thread left, the calling thread runs the probes one after the other."""
    threads = list[str]()

    def probe() -> Result:
        threads.append(threading.current_thread().name)
        return make_result()

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert len(run_concurrently([probe, probe])) == 2
    assert threads == [threading.current_thread().name] * 2


def test_once_with_unknown_name(tmp_path: Path) -> None:
    """An unknown probe name is bad usage; the message lists the known names."""
    done = invoke("once", _config(tmp_path, REFUSING), "modle")
    assert done.returncode == 2
    assert "no probe 'modle'" in done.stderr
    assert "there are: model-0" in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [(("run",), 2), (("run", "--log.format=json"), 2), (("once",), 2), (("check",), 1)],
)
def test_bad_config(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """Each problem is on one line with its position, and there is no traceback."""
    path = tmp_path / "bad.yml"
    path.write_text("probes:\n  - name: a\n    url: http://h/\n    intervall: 5s\n    timeout: 3\n")
    done = invoke(*command, f"--config.file={path}")
    assert done.returncode == code
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        f"{path}:4:5",
        f"{path}:5:14",
    ]
    assert "did you mean `interval`" in done.stderr
    assert "write 3s" in done.stderr


def test_check_json(tmp_path: Path) -> None:
    """`check --output=json` prints JSON for valid and invalid configs."""
    valid = invoke("check", _config(tmp_path, REFUSING), "--output=json")
    assert (valid.returncode, json.loads(valid.stdout)["valid"]) == (0, True)
    (tmp_path / "probes.yml").write_text("probes: 7\n")
    invalid = invoke("check", f"--config.file={tmp_path / 'probes.yml'}", "--output=json")
    document = json.loads(invalid.stdout)
    assert (invalid.returncode, document["valid"]) == (1, False)
    assert document["problems"][0]["line"] == 1


def test_check_strict(tmp_path: Path) -> None:
    """A threshold above the timeout gives advice; with --strict advice is an error."""
    path = tmp_path / "probe.yml"
    objective = {"name": "slow", "target": "99%", "latency": "30s"}
    probe = {"name": "m", "url": REFUSING, "objectives": [objective]}
    path.write_text(yaml.safe_dump({"probes": [probe]}))
    default = invoke("check", f"--config.file={path}")
    assert (
        default.returncode,
        "the timeout 5s ends requests before they reach the threshold 30s" in default.stdout,
    ) == (0, True)
    assert invoke("check", f"--config.file={path}", "--strict").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--url=http://h/", "--config.file=x.yml"),
            "--url and --config.file=x.yml cannot be combined",
        ),
        (("--slo=99%",), "--slo needs --url"),
        (("--url=ftp://h/",), "--url"),
        (("--url=http://h/", "--slo=fast"), "--slo"),
        (("--url=http://h/", "--interval=10"), "write 10s"),
        (("--log.level=loud",), "expected one of debug, info, warning, error"),
        (("--url=http://h/", "--slo=99%", "--slo=99%"), "--slo is given twice; for several obj"),
        (("--web.listen-address=nonsense",), "--web.listen-address: not a listen address: "),
        (
            ("--web.listen-address=192.0.2.1:80",),
            "cannot listen on 192.0.2.1:80: Cannot assign requested address\n",
        ),
        (("--web.listen-address=no.such.host.invalid:80",), "invalid:80: the host is unknown; cho"),
        (("--nonsense",), "unrecognized arguments"),
    ],
)
def test_bad_usage_of_run(arguments: tuple[str, ...], message: str) -> None:
    """Bad flags exit with 2 and a message, without a traceback."""
    done = invoke("run", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_used_address() -> None:
    """The error says the address once, and names the flag."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        address = f"127.0.0.1:{used.getsockname()[1]}"
        done = invoke("run", "--url=http://h/", f"--web.listen-address={address}")
    advice = "another program uses this address; choose another one with --web.listen-address"
    assert (done.returncode, done.stderr) == (2, f"cannot listen on {address}: {advice}\n")


def test_misspelled_command() -> None:
    """The error suggests the command that is meant."""
    done = invoke("chek")
    assert (done.returncode, "no such command, did you mean check?" in done.stderr) == (2, True)


def test_check_gives_advice_after_errors(tmp_path: Path) -> None:
    """An error hides no likely mistake. The exit code is that of the error."""
    path = tmp_path / "probe.yml"
    path.write_text(f"probes: [{{name: a, url: '{REFUSING}', colour: red, method: PSOT}}]\n")
    text = invoke("check", str(path))
    error, advice = text.stderr.splitlines()
    assert (text.returncode, "colour: unknown key" in error) == (1, True)
    assert advice.startswith(f"advice: {path}:1:")
    assert advice.endswith('"PSOT"; did you mean POST?')
    document = json.loads(invoke("check", str(path), "--output=json").stdout)
    assert (len(document["problems"]), document["advice"]) == (1, [advice.removeprefix("advice: ")])


def test_bad_variable() -> None:
    """The value of a variable is checked like that of its flag."""
    done = invoke("run", environ={"INFERENCE_PROBE_LOG_FORMAT": "xml"})
    assert (done.returncode, "expected one of logfmt, json" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["URL", "CONFIG_FILE", "SLO", "LOG_LEVEL"])
def test_empty_variable(name: str) -> None:
    """An empty value, for example from a template, gives an error that names the variable."""
    done = invoke("run", environ={f"INFERENCE_PROBE_{name}": ""})
    assert done.returncode == 2
    assert f"unset INFERENCE_PROBE_{name}" in done.stderr


def test_full_disk() -> None:
    """An output that cannot be written exits with 1, without a traceback."""
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


CLOSED_STDOUT = ("sh", "-c", 'exec "$@" >&-', "sh", *COMMAND)


@pytest.mark.parametrize("command", ["rules", "check", "once"])
def test_closed_stdout(command: str) -> None:
    """A command that cannot print exits with 1 and says why, without a traceback."""
    flags = () if command == "rules" else ("--url=http://127.0.0.1:9/",)
    process = subprocess.run(
        [*CLOSED_STDOUT, command, *flags],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment(),
    )
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == (
        "inference-probe: stdout is closed: redirect it to a file, or to /dev/null"
    )
    assert "Traceback" not in process.stderr


def test_daemon_with_closed_stdout() -> None:
    """The daemon prints nothing to stdout: it serves, and stops in order."""
    with running("--url=http://127.0.0.1:9/", command=CLOSED_STDOUT) as daemon:
        assert daemon.get("/-/ready").ok
        assert daemon.terminate() == 0
        assert "Traceback" not in daemon.log()


def test_rules_are_printed_with_links_of_the_version() -> None:
    """`rules` prints the bundled file, and its links lead to the installed version."""
    path = Path(__file__).parents[2] / "rules/inference-probe.rules.yml"
    text = path.read_text().replace("/blob/main/", f"/blob/v{__version__}/")
    assert invoke("rules").stdout == text
