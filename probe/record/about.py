"""What the daemon says of itself: its version and how its config was loaded."""

import platform
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from probe import __version__
from probe.record import metrics


class About(Collector):
    """The state of the config, as every exporter reports it."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is the wall clock, in Unix seconds; the config was loaded just now."""
        self._loaded = now()

    def collect(self) -> Iterator[Metric]:
        build = metrics.BUILD.family()
        build.add((__version__, platform.python_version()), 1)
        successful = metrics.RELOAD_SUCCESSFUL.family()
        successful.add((), 1)
        when = metrics.RELOAD_TIME.family()
        when.add((), self._loaded)
        yield from (build, successful, when)
