"""A config read again while the daemon runs: all of it comes into force, or nothing."""

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
from probe.daemon.manager import ConfigDiff, ProbeManager
from probe.metrics.daemon_info import DaemonInfo
from probe.server.lifecycle import ReloadRejected

logger = logging.getLogger(__name__)

MAX_NAMES_SHOWN = 10


class Reloader:
    """Reloads when it is called, from any thread, one after the other."""

    def __init__(
        self,
        read: Callable[[], Settings] | None,
        settings: Settings,
        *,
        roster: ProbeManager,
        about: DaemonInfo,
        clock: Clock,
    ) -> None:
        """`read` raises ConfigError; None where there is no file that could have changed.

        `settings` are those that are in force.
        """
        self._read = read
        self._advice = frozenset(lint(settings))
        self._roster = roster
        self._about = about
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self) -> str:
        """What has changed, in words, as it stands in the log; raises Refused."""
        with self._lock:
            self._refuse_when_closed()
            if self._read is None:
                logger.warning("nothing to reload: the config comes from flags")
                raise ReloadRejected(
                    "there is no config file: the config comes from flags; restart"
                )
            return self._reload(self._read)

    def close(self, patience: float) -> None:
        """Let no other begin, and one that is under way end, unless that takes longer than so many
        seconds: a file system may hang.
        """
        self._closed = True
        if self._lock.acquire(timeout=patience):
            self._lock.release()
        else:
            logger.warning("a reload hangs and is given up")

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ReloadRejected("inference-probe is stopping")

    def _reload(self, read: Callable[[], Settings]) -> str:
        try:
            settings = read()
            self._refuse_when_closed()
            changes = self._roster.apply(settings)
        except (ConfigError, TlsError, OSError) as error:
            logger.error("config not reloaded, the last good one is in force")
            for problem in str(error).splitlines():
                logger.error(problem)
            self._about.reload_failed()
            raise ReloadRejected(str(error)) from None
        except ReloadRejected:  # there was no time for it
            raise
        except Exception as bug:
            logger.exception("config not reloaded: this is a bug of inference-probe")
            self._about.reload_failed()
            raise ReloadRejected("a bug of inference-probe; its log says more") from bug
        self._about.reload_succeeded(self._clock.unix())
        told = _told(changes)
        logger.info("config reloaded", extra={"fields": told})
        self._advise(settings)
        return "reloaded: " + ", ".join(f"{kind} {what}" for kind, what in told.items())

    def _advise(self, settings: Settings) -> None:
        """What was true of the last settings, too, has been said."""
        before, advice = self._advice, list(lint(settings))
        self._advice = frozenset(advice)
        for words in advice:
            if words not in before:
                logger.warning(words)


def reload_worker(reload: Callable[[], str]) -> Callable[[], None]:
    """What asks for a reload and waits for nothing; asked for again before it begins, it is one.

    Its thread begins now: there may be none left when it is needed. It may be left behind.
    """
    asked = threading.Event()

    def work() -> None:
        while asked.wait():
            asked.clear()
            with suppress(ReloadRejected):  # it is in the log
                reload()

    threading.Thread(target=work, name="reload", daemon=True).start()
    return asked.set


def _told(changes: ConfigDiff) -> dict[str, str]:
    """How many probes were added, changed, removed, and which; how many go on as before."""
    told = {}
    for field in fields(changes):
        names = getattr(changes, field.name)
        shown = ", ".join(
            [*names[:MAX_NAMES_SHOWN], *(["..."] if len(names) > MAX_NAMES_SHOWN else [])]
        )
        told[field.name] = f"{len(names)} ({shown})" if names else "0"
    told["unchanged"] = str(len(changes.unchanged))
    return told
