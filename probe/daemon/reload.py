"""Reloads the config while the daemon runs: either all changes take effect, or none."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from probe.check.advice import lint
from probe.clock import Clock
from probe.config.errors import ConfigError, TlsError
from probe.config.settings import Settings
from probe.daemon.collection_pause import collection_pause
from probe.daemon.probe_manager import ConfigDiff, ProbeManager
from probe.metrics.daemon_info import DaemonInfo
from probe.server.lifecycle import ReloadRejected

logger = logging.getLogger(__name__)

# Names of probes in the summary of one reload, by kind of change.
MAX_NAMES_SHOWN = 10


class Reloader:
    """Reloads the config each time it is called, from any thread, one reload after the other."""

    def __init__(
        self,
        load_config: Callable[[], Settings] | None,
        settings: Settings,
        *,
        manager: ProbeManager,
        info: DaemonInfo,
        clock: Clock,
    ) -> None:
        """`load_config` returns the config or raises ConfigError; it is None if no file was read.

        `settings` is the config in effect, which `manager` runs.
        """
        self._load_config = load_config
        advice = _advice(settings, manager)
        self._known_advice = frozenset(advice)
        # Advice about the config at the start.
        self.start_advice = tuple(advice.values())
        self._manager = manager
        self._info = info
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self) -> str:
        """Reload; return a summary of the changes for users. Raises ReloadRejected."""
        with self._lock:
            self._reject_if_closed()
            if self._load_config is None:
                logger.warning("nothing to reload: the config comes from flags")
                raise ReloadRejected(
                    "there is no config file: the config comes from flags; restart"
                )
            with collection_pause():
                return self._reload(self._load_config)

    def close(self, timeout_seconds: float) -> None:
        """Reject further reloads, and wait for a running one, but not longer than the timeout.

        A reload may hang: its files may be on a network file system.
        """
        self._closed = True
        if self._lock.acquire(timeout=timeout_seconds):
            self._lock.release()
        else:
            logger.warning("a reload did not finish in time and is abandoned")

    def _reject_if_closed(self) -> None:
        if self._closed:
            raise ReloadRejected("inference-probe is stopping")

    def _reload(self, load_config: Callable[[], Settings]) -> str:
        try:
            settings = load_config()
            self._reject_if_closed()
            diff = self._manager.apply_config(settings)
        except (ConfigError, TlsError, OSError) as error:
            logger.error("config reload failed: the previous config stays in effect")
            for problem in str(error).splitlines():
                logger.error(problem)
            self._info.reload_failed()
            raise ReloadRejected(str(error)) from None
        except ReloadRejected:  # the daemon is stopping: this is not an error of the config
            raise
        except Exception as bug:
            logger.exception("config reload failed: this is a bug of inference-probe")
            self._info.reload_failed()
            raise ReloadRejected("a bug of inference-probe; see its log") from bug
        self._info.reload_succeeded(self._clock.unix_seconds())
        summary = _summary(diff)
        logger.info("config reloaded", extra={"fields": summary})
        self._log_new_advice(settings)
        return "reloaded: " + ", ".join(f"{kind} {names}" for kind, names in summary.items())

    def _log_new_advice(self, settings: Settings) -> None:
        """Log the advice that is new since the previous config."""
        previous, advice = self._known_advice, _advice(settings, self._manager)
        self._known_advice = frozenset(advice)
        for key, message in advice.items():
            if key not in previous:
                logger.warning(message)


def start_reload_thread(reload: Callable[[], str]) -> Callable[[], None]:
    """Start the thread that reloads, and return a function that triggers it without waiting.

    Requests that arrive before the reload starts are coalesced. The thread starts now, because the
    system may have none left later. It is daemonic: it does not delay the end of the process.
    """
    requested = threading.Event()

    def work() -> None:
        while requested.wait():
            requested.clear()
            with suppress(ReloadRejected):  # already logged
                reload()

    threading.Thread(target=work, name="reload", daemon=True).start()
    return requested.set


def _advice(settings: Settings, manager: ProbeManager) -> dict[str, str]:
    """Return the advice about the config that `manager` runs, by its text without its position.

    A line that is inserted above a value does not make the advice about this value new.
    """
    keys = {
        str(mistake): f"{mistake.path}: {mistake.message}" for mistake in settings.likely_mistakes
    }
    return {keys.get(message, message): message for message in lint(settings, manager.estimates)}


def _summary(diff: ConfigDiff) -> dict[str, str]:
    """Return by kind of change the number of probes and, except for `unchanged`, their names."""
    changes = {"added": diff.added, "changed": diff.changed, "removed": diff.removed}
    summary = {kind: _count_and_names(names) for kind, names in changes.items()}
    return summary | {"unchanged": str(len(diff.unchanged))}


def _count_and_names(names: tuple[str, ...]) -> str:
    more = ["..."] if len(names) > MAX_NAMES_SHOWN else []
    return f"{len(names)} ({', '.join([*names[:MAX_NAMES_SHOWN], *more])})" if names else "0"
