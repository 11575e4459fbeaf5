"""Short ways to the values that many tests need."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from probe.config.loader import load
from probe.config.schema import Probe, Settings
from probe.result import Failure, Phase, Reason, Result


def settings_of(directory: Path, *probes: dict[str, Any], **top: Any) -> Settings:
    """Write a config with these probes to a file, load it and return the settings."""
    path = directory / "probe.yml"
    path.write_text(yaml.safe_dump({**top, "probes": list(probes)}))
    return load(path, environ={})


def probe_of(directory: Path, **keys: Any) -> Probe:
    """One probe, called `model` unless it is said otherwise."""
    said = {"name": "model", "url": "http://127.0.0.1:1/", **keys}
    return settings_of(directory, said).probes[0]


def result_of(
    *, latency: float = 0.1, reason: Reason | None = None, probe: str = "model", **more: Any
) -> Result:
    """Return a result whose latency is all `wait`, unless `more` has other phases."""
    return Result(
        probe=probe,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        failure=Failure(reason=reason, detail="as the test says") if reason else None,
        **{"phases": {Phase.WAIT: latency}, **more},
    )
