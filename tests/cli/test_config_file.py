"""Which config the commands read: that of a flag or variable, or the first one that is found."""

import errno
import subprocess
from pathlib import Path

import pytest
import requests

from probe.cli import config_file
from probe.cli.command import UsageError
from probe.cli.main import build_parser
from probe.config import loader
from tests.commands import COMMAND, environment, invoke, running

REFUSING = "http://127.0.0.1:1/"


def write_config(path: Path, *names: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    probes = "\n".join(f"  - {{name: {name}, url: '{REFUSING}'}}" for name in names)
    path.write_text(f"probes:\n{probes}\n")
    return path


def check_stdin(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "check", *arguments],
        env=environment(),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The commands find the config of a daemon that is installed on this machine.
without_installation = pytest.mark.skipif(
    config_file.SEARCH_PATHS[-1].exists(), reason=f"{config_file.SEARCH_PATHS[-1]} exists"
)


@without_installation
@pytest.mark.parametrize("command", ["run", "check", "once"])
def test_without_a_config(command: str, tmp_path: Path) -> None:
    """The command exits with 2, lists the paths it tried, and says what to write."""
    done = invoke(command, cwd=tmp_path)
    assert done.returncode == 2
    assert [line.strip() for line in done.stderr.splitlines()[1:4]] == [
        str(tmp_path / "probe.yml"),
        str(tmp_path / "config/probe.yml"),
        "/etc/inference-probe/probe.yml",
    ]
    for advice in ("--config.file=FILE", "--url=URL", "cp /"):
        assert advice in done.stderr


@without_installation
def test_the_example_that_the_message_names(tmp_path: Path) -> None:
    """The command in the message creates a valid config."""
    (command,) = (
        line.partition(": ")[2]
        for line in invoke("check", cwd=tmp_path).stderr.splitlines()
        if "cp /" in line
    )
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, timeout=10)
    assert invoke("check", cwd=tmp_path).stdout.count("probe.yml is valid: 1 probe") == 1


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place has priority over those after it: flag, variable, and the search paths."""
    system = tmp_path / "etc/probe.yml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        config_file, "SEARCH_PATHS", (*config_file.SEARCH_PATHS[:2], system.absolute())
    )
    variable = {"INFERENCE_PROBE_CONFIG_FILE": str(write_config(tmp_path / "variable.yml", "v"))}
    flag = f"--config.file={write_config(tmp_path / 'flag.yml', 'f')}"

    def found(*flags: str, environ: dict[str, str] | None = None) -> str:
        args = build_parser(environ or {}).parse_args(["check", *flags])
        config = config_file.load_config(args, {}, loader)
        assert config.file is None or config.file.is_absolute()
        return config.settings.probes[0].name

    write_config(system, "system")
    assert found() == "system"
    write_config(tmp_path / "config/probe.yml", "directory")
    assert found() == "directory"
    write_config(tmp_path / "probe.yml", "local")
    assert found() == "local"
    assert found(environ=variable) == "v"
    assert found(flag, environ=variable) == "f"
    assert found(f"--url={REFUSING}", "--name=flags") == "flags"


def test_no_file_is_searched_with_a_url(tmp_path: Path) -> None:
    """An invalid ./probe.yml does not matter to a command with --url."""
    (tmp_path / "probe.yml").write_text("probes: 7\n")
    assert invoke("check", f"--url={REFUSING}", cwd=tmp_path).returncode == 0
    assert invoke("check", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("arguments", [("missing.yml",), ("--config.file=missing.yml",)])
def test_check_of_a_missing_file_is_bad_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """As with `run` and `once`, and as without any config."""
    done = invoke("check", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "missing.yml: cannot read the config: no such file or directory\n"


def test_check_says_that_a_variable_replaces_the_file(tmp_path: Path) -> None:
    """INFERENCE_PROBE_URL has priority over ./probe.yml."""
    environ = {"INFERENCE_PROBE_URL": REFUSING}
    without_file = invoke("check", cwd=tmp_path, environ=environ).stdout
    write_config(tmp_path / "probe.yml", "other")
    with_file = invoke("check", cwd=tmp_path, environ=environ).stdout
    assert "\nthe config from INFERENCE_PROBE_URL is valid: 1 probe" in without_file
    assert "\nthe config from INFERENCE_PROBE_URL, not from probe.yml, is valid: 1" in with_file


def test_an_unusable_file_is_not_skipped(tmp_path: Path) -> None:
    """A link to a missing file, or a directory, is an error: the next file may be another one."""
    write_config(tmp_path / "config/probe.yml", "other")
    (tmp_path / "probe.yml").symlink_to("missing.yml")
    dangling = invoke("once", cwd=tmp_path)
    assert (dangling.returncode, dangling.stderr) == (
        2,
        "probe.yml: cannot read the config: no such file or directory\n",
    )
    (tmp_path / "probe.yml").unlink()
    (tmp_path / "probe.yml").mkdir()
    assert "is a directory" in invoke("once", cwd=tmp_path).stderr


def test_unreadable_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a path cannot be looked up, the message names the path and the flag."""

    def lstat(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", lstat)
    args = build_parser({}).parse_args(["run"])
    with pytest.raises(UsageError, match=r"/probe.yml: Permission denied; .*--config.file=FILE"):
        config_file.load_config(args, {}, loader)


def test_the_path_of_a_daemon_is_fixed(tmp_path: Path) -> None:
    """A reload reads the file that was found at the start, also if ./probe.yml is new.

    A reload of an unchanged file changes no probe, also with relative paths in the config.
    """
    (tmp_path / "body").write_text("text")
    path = write_config(tmp_path / "config/probe.yml", "first")
    path.write_text(f"probes: [{{name: first, url: '{REFUSING}', body_file: ../body}}]")
    with running("--web.enable-lifecycle", cwd=tmp_path) as daemon:
        assert f"config={path} " in daemon.log()
        write_config(tmp_path / "probe.yml", "other")
        done = invoke("check", cwd=tmp_path)
        assert "other:" in done.stdout
        url = f"{daemon.url}/-/reload"
        summary = "reloaded: added 0, changed 0, removed 0, unchanged 1\n"
        assert requests.post(url, timeout=10).text == summary


def test_check_of_an_argument(tmp_path: Path) -> None:
    """`check FILE` is `check --config.file=FILE`, also if a variable names another file."""
    write_config(tmp_path / "some.yml", "a", "b")
    other = {"INFERENCE_PROBE_CONFIG_FILE": "other.yml"}
    done = invoke("check", "some.yml", cwd=tmp_path, environ=other)
    assert "some.yml is valid: 2 probes" in done.stdout
    both = invoke("check", "some.yml", "--config.file=other.yml", cwd=tmp_path)
    assert both.returncode == 2
    assert "some.yml and --config.file=other.yml cannot be combined" in both.stderr
    missing = invoke("check", "missing.yml", cwd=tmp_path)
    assert (missing.returncode, "missing.yml: cannot read" in missing.stderr) == (2, True)


def test_check_of_an_empty_argument(tmp_path: Path) -> None:
    """A variable of the shell that is not set does not select another config."""
    write_config(tmp_path / "probe.yml", "a")
    done = invoke("check", "", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the argument FILE is empty" in done.stderr


def test_check_of_an_argument_and_flags(tmp_path: Path) -> None:
    """FILE has priority over variables. It cannot be combined with flags of an endpoint."""
    write_config(tmp_path / "some.yml", "a")
    variables = {"INFERENCE_PROBE_URL": REFUSING, "INFERENCE_PROBE_SLO": "99%"}
    done = invoke("check", "some.yml", cwd=tmp_path, environ=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "some.yml is valid: 1 probe" in done.stdout
    for file in ("some.yml", "-"):
        for flag in ("--slo=99%", "--name=b", "--interval=1s", "--json={}"):
            done = invoke("check", file, flag, cwd=tmp_path)
            assert done.returncode == 2
            assert f"{flag.partition('=')[0]} needs --url" in done.stderr


def test_check_of_two_arguments() -> None:
    """The message says that there is one argument."""
    done = invoke("check", "a.yml", "b.yml")
    assert done.returncode == 2
    assert "a value without a flag; check takes one FILE" in done.stderr
    assert "a value without a flag; write --config.file=FILE" in invoke("run", "b.yml").stderr


def test_check_of_stdin() -> None:
    """`check -` reads stdin; the positions of problems name <stdin>."""
    valid = check_stdin(f"probes: [{{name: a, url: '{REFUSING}'}}]", "-")
    assert (valid.returncode, valid.stderr) == (0, "")
    assert "<stdin> is valid: 1 probe" in valid.stdout
    invalid = check_stdin("probes:\n  - name: 5\n", "-")
    assert invalid.returncode == 1
    assert invalid.stderr.startswith("<stdin>:2:")
    both = check_stdin("", "-", f"--url={REFUSING}")
    assert (both.returncode, "--url and - cannot be combined" in both.stderr) == (2, True)
