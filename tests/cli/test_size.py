"""`inference-probe size`: flags, output and messages."""

import json

import pytest

from probe.cli.main import build_parser


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of the command."""
    args = build_parser({}).parse_args(["size", *arguments])
    code = args.run(args, {})
    return code, *capsys.readouterr()


def test_instances(capsys: pytest.CaptureFixture[str]) -> None:
    """The output shows each step of the calculation. Utilization and headroom have defaults."""
    code, out, _ = _run(capsys, "--service-time=12ms", "--concurrency=2", "--rate=600")
    assert code == 0
    assert out.splitlines() == [
        "capacity of an instance  116.7/s  2 / 12ms x 70%",
        "capacity to provide      750/s    600/s / (1 - 20%)",
        "instances                7        750/s / 116.7/s, rounded up",
        "At 600/s they use 73% of their capacity.",
    ]


def test_batches(capsys: pytest.CaptureFixture[str]) -> None:
    """The table marks saturated and slow batches, and a sentence names the usable ones."""
    flags = ("--batch-overhead=6ms", "--batch-item=4ms", "--rate=200/s", "--slo=120ms")
    code, out, _ = _run(capsys, *flags)
    lines = out.splitlines()
    assert code == 0
    assert lines[1].endswith("saturated at 200/s")
    assert lines[4].split() == ["8", "35", "ms", "38", "ms", "73", "ms", "210.5/s"]
    assert lines[5].endswith("over 120ms")
    assert lines[-1].startswith("Batches of 8 can keep a p95 of 120ms at 200/s. The p95 is a lower")
    _, out, _ = _run(capsys, *flags, "--rate=300")
    assert "No batch size keeps a p95 of 120ms at 300/s" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has seconds and requests per second."""
    _, out, _ = _run(capsys, "--service-time=12ms", "--rate=100", "--output=json")
    assert json.loads(out)["instances"] == 3
    flags = ("--batch-overhead=6ms", "--batch-item=4ms", "--rate=200", "--slo=120ms")
    _, out, _ = _run(capsys, *flags, "--output=json")
    batches = json.loads(out)["batches"]
    assert batches[3] == {
        "size": 8,
        "wait_seconds": 0.035,
        "service_seconds": 0.038,
        "min_p95_seconds": 0.073,
        "capacity": pytest.approx(210.526, abs=0.001),
        "saturated": False,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--service-time=12ms", "--rate is missing"),
        ("--rate=600", "write --service-time for the number of instances, or --batch-overhead"),
        ("--rate=0 --service-time=1s", "--rate is 0; write more"),
        ("--rate=ten --service-time=1s", "write a number of requests per second, such as 600/s"),
        ("--rate=30/m --service-time=1s", "write 0.5/s"),
        ("--rate=9e9 --service-time=1s", "--rate: not a rate"),
        ("--rate=9000000000 --service-time=1s", "--rate is more than 1e+09; write less"),
        ("--rate=1 --service-time=12", "--service-time: not a duration"),
        ("--rate=1 --service-time=1s --concurrency=1.5", "write a whole number"),
        ("--rate=1 --service-time=1s --utilization=101%", "write at most 100%"),
        ("--rate=1 --service-time=1s --headroom=100%", "--headroom is 100% or more; write less"),
        ("--rate=1 --service-time=1s --slo=1s", "give the flags of one of them"),
        ("--rate=1 --slo=1s", "--batch-overhead is missing"),
        ("--rate=1 --slo=1s --batch-overhead=0s --batch-item=0s", "--batch-item is 0; write more"),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    """Each message names the flag and what to write."""
    code, out, err = _run(capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert message in err
