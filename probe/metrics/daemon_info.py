"""What the daemon says of itself: its version and how its config was loaded."""

import platform

from probe import __version__
from probe.metrics import catalogue
from probe.metrics.exposition import Exposition, format_labels, format_sample


class DaemonInfo:
    """The state of the config, as every exporter reports it."""

    def __init__(self, loaded: float) -> None:
        """`loaded` is when the config was read with success (Unix seconds)."""
        self._loaded = loaded
        self._successful = True

    def reloaded(self, now: float) -> None:
        """The config was read again with success (Unix seconds)."""
        self._loaded, self._successful = now, True

    def refused(self) -> None:
        """The config was read again and is no good: an older one is in force."""
        self._successful = False

    def expose(self, to: Exposition) -> None:
        build = {"version": __version__, "python_version": platform.python_version()}
        to.family(catalogue.BUILD, [format_sample(catalogue.BUILD, format_labels(build), 1)])
        successful = catalogue.RELOAD_SUCCESSFUL
        to.family(successful, [format_sample(successful, "", self._successful)])
        to.family(catalogue.RELOAD_TIME, [format_sample(catalogue.RELOAD_TIME, "", self._loaded)])
