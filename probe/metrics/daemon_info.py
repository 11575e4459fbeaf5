"""Metrics about the daemon itself: its version and its last config reload.

Separate from `Recorder`, which knows only probes and needs a lock.
"""

import platform
from typing import NamedTuple

from probe import __version__
from probe.metrics import catalogue
from probe.metrics.exposition import Exposition, format_labels, format_sample


class ConfigState(NamedTuple):
    """State of the config in effect: when it was loaded, and whether the last reload succeeded.

    `loaded_at` is the time of the last successful load (Unix seconds).
    """

    loaded_at: float
    reload_successful: bool


class DaemonInfo:
    """Version and reload metrics, as every Prometheus exporter has them."""

    def __init__(self, loaded_at: float) -> None:
        """`loaded_at` is the time of the first successful load of the config (Unix seconds)."""
        self._config = ConfigState(loaded_at, reload_successful=True)

    @property
    def config(self) -> ConfigState:
        """State of the config in effect."""
        return self._config

    def reload_succeeded(self, now: float) -> None:
        """Record a successful reload at `now` (Unix seconds)."""
        self._config = ConfigState(now, reload_successful=True)

    def reload_failed(self) -> None:
        """Record a failed reload; the previous config stays in effect."""
        self._config = self._config._replace(reload_successful=False)

    def write_to(self, exposition: Exposition) -> None:
        """Add the metrics to `exposition`."""
        build = format_labels({"version": __version__, "python_version": platform.python_version()})
        loaded_at, successful = self._config
        for spec, labels, value in (
            (catalogue.BUILD, build, 1),
            (catalogue.RELOAD_SUCCESSFUL, "", successful),
            (catalogue.RELOAD_TIME, "", loaded_at),
        ):
            exposition.add_family(spec, [format_sample(spec, labels, value)])
