"""Reloads the config while the daemon runs: all of it takes effect, or nothing."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields

from probe.check.advice import lint
from probe.clock import Clock
from probe.config.loader import ConfigError
from probe.config.schema import Settings
from probe.config.tls import TlsError
from probe.daemon.probe_manager import ConfigDiff, ProbeManager
from probe.errors import ReloadRejected
from probe.metrics.daemon_info import DaemonInfo

logger = logging.getLogger(__name__)

# Names of probes in the summary of one reload, by kind of change.
MAX_NAMES_SHOWN = 10


class Reloader:
    """Reloads the config each time it is called, from any thread, one reload after the other."""

    def __init__(
        self,
        read: Callable[[], Settings] | None,
        settings: Settings,
        *,
        manager: ProbeManager,
        info: DaemonInfo,
        clock: Clock,
    ) -> None:
        """`read` returns the config or raises ConfigError; it is None if no file was read.

        `settings` is the config in effect.
        """
        self._read = read
        self._advice = frozenset(lint(settings))
        self._manager = manager
        self._info = info
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self) -> str:
        """Reload; return a summary of the changes for users. Raises ReloadRejected."""
        with self._lock:
            self._reject_if_closed()
            if self._read is None:
                logger.warning("nothing to reload: the config comes from flags")
                raise ReloadRejected(
                    "there is no config file: the config comes from flags; restart"
                )
            return self._reload(self._read)

    def close(self, timeout_seconds: float) -> None:
        """Reject further reloads, and wait for a running one, but not longer than the timeout.

        A reload may hang: its files may be on a network file system.
        """
        self._closed = True
        if self._lock.acquire(timeout=timeout_seconds):
            self._lock.release()
        else:
            logger.warning("a reload hangs and is given up")

    def _reject_if_closed(self) -> None:
        if self._closed:
            raise ReloadRejected("inference-probe is stopping")

    def _reload(self, read: Callable[[], Settings]) -> str:
        try:
            settings = read()
            self._reject_if_closed()
            diff = self._manager.apply_config(settings)
        except (ConfigError, TlsError, OSError) as error:
            logger.error("config not reloaded, the last good one is in force")
            for problem in str(error).splitlines():
                logger.error(problem)
            self._info.reload_failed()
            raise ReloadRejected(str(error)) from None
        except ReloadRejected:  # the daemon was stopped meanwhile: the config is not at fault
            raise
        except Exception as bug:
            logger.exception("config not reloaded: this is a bug of inference-probe")
            self._info.reload_failed()
            raise ReloadRejected("a bug of inference-probe; its log says more") from bug
        self._info.reload_succeeded(self._clock.unix_seconds())
        summary = _summary(diff)
        logger.info("config reloaded", extra={"fields": summary})
        self._log_new_advice(settings)
        return "reloaded: " + ", ".join(f"{kind} {names}" for kind, names in summary.items())

    def _log_new_advice(self, settings: Settings) -> None:
        """Log the advice that did not apply to the previous config."""
        previous, advice = self._advice, list(lint(settings))
        self._advice = frozenset(advice)
        for message in advice:
            if message not in previous:
                logger.warning(message)


def reload_worker(reload: Callable[[], str]) -> Callable[[], None]:
    """Return a non-blocking trigger. Requests that arrive before the reload starts are coalesced.

    The thread of the reloads starts now, because the system may have none left later. It is
    daemonic: it does not delay the end of the process.
    """
    requested = threading.Event()

    def work() -> None:
        while requested.wait():
            requested.clear()
            with suppress(ReloadRejected):  # already logged
                reload()

    threading.Thread(target=work, name="reload", daemon=True).start()
    return requested.set


def _summary(diff: ConfigDiff) -> dict[str, str]:
    """Return by kind of change the number of probes and, except for `unchanged`, their names."""
    summary = {}
    for field in fields(diff):
        names = getattr(diff, field.name)
        shown = ", ".join(
            [*names[:MAX_NAMES_SHOWN], *(["..."] if len(names) > MAX_NAMES_SHOWN else [])]
        )
        summary[field.name] = f"{len(names)} ({shown})" if names else "0"
    summary["unchanged"] = str(len(diff.unchanged))
    return summary
