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
    """More probes do not count them again, and similar probes are counted once."""
    counted: list[int] = []
    write_to = DaemonInfo.write_to

    def count(info: DaemonInfo, exposition: Exposition) -> None:
        counted.append(1)
        write_to(info, exposition)

    monkeypatch.setattr(DaemonInfo, "write_to", count)
    url = "http://127.0.0.1:9/"
    similar = [{"name": name, "url": url} for name in "abcf"]
    others = [{"name": "d", "url": url, "interval": "1s"}, {"name": "e", "url": "https://host/"}]
    settings = make_settings(tmp_path, *similar, *others)
    config_plan = plan(settings)
    of_daemon = config_plan.series.with_server_times - sum(
        planned.series.with_server_times for planned in config_plan.probes
    )
    assert of_daemon > 10
    # Without and with server times, for the daemon alone, once for similar probes, and for others.
    assert len(counted) == 2 * (1 + 1 + len(others))
