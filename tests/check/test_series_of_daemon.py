"""How `check` counts the series of the daemon itself."""

from pathlib import Path

import pytest

from probe.check.plan import plan
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import Exposition
from tests.builders import make_settings


def test_the_series_of_the_daemon_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config with more probes does not count them again, which takes most of the time."""
    counted: list[int] = []
    write_to = DaemonInfo.write_to

    def count(info: DaemonInfo, exposition: Exposition) -> None:
        counted.append(1)
        write_to(info, exposition)

    monkeypatch.setattr(DaemonInfo, "write_to", count)
    names = "abc"
    settings = make_settings(
        tmp_path, *({"name": name, "url": "http://127.0.0.1:9/"} for name in names)
    )
    config_plan = plan(settings)
    of_daemon = config_plan.series.with_server_times - sum(
        planned.series.with_server_times for planned in config_plan.probes
    )
    assert of_daemon > 10
    # Without and with server times, for each probe and for the daemon alone.
    assert len(counted) == 2 * (len(names) + 1)
