"""The command line of `inference-probe demo`."""

import argparse

import pytest

from probe.demo import command
from probe.demo.batch_flags import batch_settings, format_batch_flags
from probe.demo.batch_queue import BatchSettings


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo")
    command.add_arguments(parser, {})
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault=sleepy"], "choose from 'slow', 'errors', 'down', 'tutorial'"),
        (["--fault=slow", "--fault-for=2"], "write a number with a unit"),
        (["--max-wait=20"], "write a number with a unit"),
        (["--max-batch-size=many"], "write a whole number"),
        (["--max-batch-size=0"], "a batch has at least 1 request"),
    ],
)
def test_invalid_values(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid value exits with 2 and a message that says what to write."""
    with pytest.raises(SystemExit, match="2"):
        parse(*arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault-for=2m"], "--fault-for needs a --fault: slow, errors, down, tutorial"),
        (["--fault=slow", "--fault-for=2m"], "HighModelLatency does not fire within 10m."),
        (
            ["--fault=slow", "--fault-for=2m"],
            "Leave the flag out, or write --fault-for=20m, or add --fast",
        ),
        (["--fault=down", "--fault-for=5s", "--fast"], "ModelDown does not fire within 9s."),
    ],
)
def test_fault_that_is_too_short(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault too short for its alerts exits with 2 before any process starts."""
    assert command.run(parse(*arguments), {}) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--fault=stall"],
            "--fault=stall needs --model=llm. The faults of --model=sentiment are: slow, errors,",
        ),
        (
            ["--model=llm", "--fault=slow"],
            "--fault=slow needs --model=sentiment. The faults of --model=llm are: slow-first-token",
        ),
        (
            ["--model=llm", "--fault=errors"],
            "--fault=errors needs --model=sentiment or --model=batching. The faults of --model=llm",
        ),
        (["--model=batching", "--fault=slow"], "The faults of --model=batching are: errors, down"),
        (
            ["--model=llm", "--fault-for=2m"],
            "--fault-for needs a --fault: slow-first-token, stall, truncated, stream-error",
        ),
        (
            ["--model=llm", "--fault=stall", "--fault-for=5s", "--fast"],
            "ModelDown does not fire within 9s.",
        ),
    ],
)
def test_faults_of_a_model(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of another model exits with 2, and a message that lists those of this one."""
    assert command.run(parse(*arguments), {}) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--max-batch-size=1", "--max-wait=0s"])
def test_flags_of_batches(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag about batches exits with 2 for a model that processes none."""
    assert command.run(parse("--model=llm", flag), {}) == 2
    assert capsys.readouterr().err == f"{flag.partition('=')[0]} needs --model=batching\n"


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ([], BatchSettings(max_batch_size=8, max_wait_seconds=0.020)),
        (["--max-batch-size=1"], BatchSettings(max_batch_size=1, max_wait_seconds=0.020)),
        (["--max-wait=0s"], BatchSettings(max_batch_size=8, max_wait_seconds=0)),
        (
            ["--max-batch-size=16", "--max-wait=1.5ms"],
            BatchSettings(max_batch_size=16, max_wait_seconds=0.0015),
        ),
    ],
)
def test_batch_settings(flags: list[str], settings: BatchSettings) -> None:
    """The settings are those of the flags, which the demo passes on to the model."""
    assert batch_settings(parse("--model=batching", *flags)) == settings
    assert batch_settings(parse(*format_batch_flags(settings))) == settings


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help describes every fault, and a % in it is printed as it is."""
    with pytest.raises(SystemExit, match="0"):
        parse("--help")
    help_text = " ".join(capsys.readouterr().out.split())
    assert "tutorial, responses take 50 to 600 ms, 18 % of them" in help_text
    assert "the first token takes 600 to 900 ms, the others are fast" in help_text
    assert "With --model=batching: errors, down" in help_text
