"""The command line of `inference-probe demo`."""

import argparse

import pytest

from probe.demo import command


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo")
    command.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault=sleepy"], "choose from 'slow', 'errors', 'down', 'tutorial'"),
        (["--fault=slow", "--fault-for=2"], "'2' is not a duration: write a number and a unit"),
    ],
)
def test_values_that_make_no_sense(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a message that says what to write."""
    with pytest.raises(SystemExit, match="2"):
        parse(*arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault-for=2m"], "--fault-for needs a --fault: slow, errors, down, tutorial"),
        (["--fault=slow", "--fault-for=2m"], "HighModelLatency does not fire within 10m."),
        (["--fault=slow", "--fault-for=2m"], "Leave it out, or say --fault-for=20m, or --fast"),
        (["--fault=down", "--fault-for=5s", "--fast"], "ModelDown does not fire within 9s."),
    ],
)
def test_a_fault_that_nobody_would_see(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 before anything is started, and what to write instead."""
    assert command.run(parse(*arguments)) == 2
    assert message in capsys.readouterr().err


def test_help_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It names every fault and what it does; a % in it is just a %."""
    with pytest.raises(SystemExit, match="0"):
        parse("--help")
    assert "tutorial, answers take 50 to 600 ms, 18 % of them" in " ".join(
        capsys.readouterr().out.split()
    )
