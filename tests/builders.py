"""Settings, probes and results with defaults for what a test does not care about."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from probe.check.advice import lint
from probe.config.loader import load
from probe.config.settings import Probe, Settings
from probe.result import Failure, Phase, Reason, Result, StreamResult, TokenCounts
from probe.scheduler.token_estimate import estimate_counted_tokens

MEASURED_STREAM = StreamResult(
    time_to_first_byte=0.01,
    time_to_first_chunk=0.02,
    time_to_first_token=0.03,
    time_to_first_output_token=0.03,
    time_per_output_token=0.004,
    longest_gap=0.008,
    chunks=5,
    merged_events=2,
    tokens=TokenCounts(input=7, output=4, cached=3),
    finish_reason="stop",
)


def make_settings(directory: Path, *probes: dict[str, Any], **top: Any) -> Settings:
    """Write a config with these probes to a file, load it and return the settings."""
    path = directory / "probe.yml"
    path.write_text(yaml.safe_dump({**top, "probes": list(probes)}))
    return load(path, environ={})


def lint_settings(settings: Settings) -> list[str]:
    """Return the advice of `check` about a config."""
    return list(
        lint(settings, {probe.name: estimate_counted_tokens(probe) for probe in settings.probes})
    )


def make_probe(directory: Path, **keys: Any) -> Probe:
    """Return a probe with these config keys, by default named `model`."""
    defaults = {"name": "model", "url": "http://127.0.0.1:1/"}
    return make_settings(directory, {**defaults, **keys}).probes[0]


def make_result(
    *,
    latency: float = 0.1,
    reason: Reason | None = None,
    detail: str = "as the test says",
    probe: str = "model",
    **more: Any,
) -> Result:
    """Return a result whose latency is all `wait`, unless `more` has other phases."""
    return Result(
        probe=probe,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        failure=Failure(reason=reason, detail=detail) if reason else None,
        **{"phases": {Phase.WAIT: latency}, **more},
    )
