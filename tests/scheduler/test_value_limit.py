"""The limit of the number of versions and segments."""

from pathlib import Path

from probe.scheduler.value_limit import OTHER, VALUE_EXPIRY_SECONDS
from tests.builders import make_result
from tests.scheduler.harness import RunnerHarness

SOURCE = {"from": "header", "key": "X-Version", "max_values": 2}


def versions(harness: RunnerHarness, *values: str) -> list[str | None]:
    """Return the versions that the sinks get."""
    before = len(harness.sink)
    for value in values:
        harness.outcome = make_result(version=value, segment=value)
        harness.tick()
    return [result.version for result in harness.sink[before:]]


def test_further_values_become_other(tmp_path: Path) -> None:
    """Those that were first stay as they are."""
    harness = RunnerHarness(tmp_path, version=SOURCE, segment={**SOURCE, "max_values": 3})
    assert versions(harness, "1", "2", "3", "4", "1") == ["1", "2", OTHER, OTHER, "1"]
    assert [result.segment for result in harness.sink] == ["1", "2", "3", OTHER, "1"]


def test_old_values_make_room(tmp_path: Path) -> None:
    """A daemon that runs for months sees many releases."""
    harness = RunnerHarness(tmp_path, version=SOURCE)
    assert versions(harness, "1", "2") == ["1", "2"]
    harness.time.advance(VALUE_EXPIRY_SECONDS - 1)
    assert versions(harness, "2", "3") == ["2", OTHER]
    harness.time.advance(1)
    assert versions(harness, "3", "4", "2") == ["3", OTHER, "2"]


def test_another_limit(tmp_path: Path) -> None:
    """A reload may change it."""
    harness = RunnerHarness(tmp_path, version=SOURCE)
    assert versions(harness, "1", "2", "3") == ["1", "2", OTHER]
    harness.runner.update(harness.compiled(version={**SOURCE, "max_values": 3}))
    assert versions(harness, "3", "4") == ["3", OTHER]
