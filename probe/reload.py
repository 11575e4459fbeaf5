"""A config read again while the daemon runs: all of it comes into force, or nothing."""

import logging
import threading
from collections.abc import Callable
from dataclasses import fields

from probe.advice import advise
from probe.clock import SECOND, Clock
from probe.record.about import About
from probe.roster import Changes, Roster
from probe.settings.loader import ConfigError
from probe.settings.schema import Settings
from probe.settings.tls import TlsError
from probe.web.lifecycle import Refused

logger = logging.getLogger(__name__)

MOST_NAMES = 10


class Reload:
    """Reloads when it is called, from any thread, one after the other."""

    def __init__(
        self, read: Callable[[], Settings] | None, *, roster: Roster, about: About, clock: Clock
    ) -> None:
        """`read` raises ConfigError; None where there is no file that could have changed."""
        self._read = read
        self._roster = roster
        self._about = about
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self) -> str:
        """What has changed, in words, as it stands in the log; raises Refused."""
        with self._lock:
            if self._closed:
                raise Refused("inference-probe is stopping")
            if self._read is None:
                logger.warning("nothing to reload: the config comes from flags")
                raise Refused("there is no config file: the config comes from flags; restart")
            return self._reload(self._read)

    def close(self) -> None:
        """Let a reload that is under way end, and no other begin."""
        with self._lock:
            self._closed = True

    def _reload(self, read: Callable[[], Settings]) -> str:
        try:
            settings = read()
            changes = self._roster.apply(settings)
        except (ConfigError, TlsError, OSError) as error:
            logger.error("config not reloaded, the last good one is in force")
            for problem in str(error).splitlines():
                logger.error(problem)
            self._about.refused()
            raise Refused(str(error)) from None
        except Exception as bug:
            logger.exception("config not reloaded: this is a bug of inference-probe")
            self._about.refused()
            raise Refused("a bug of inference-probe; its log says more") from bug
        self._about.reloaded(self._clock.wall() / SECOND)
        told = _told(changes)
        logger.info("config reloaded", extra={"fields": told})
        for advice in advise(settings):
            logger.warning(advice)
        return "reloaded: " + ", ".join(f"{kind} {what}" for kind, what in told.items())


def _told(changes: Changes) -> dict[str, str]:
    """How many probes were added, changed, removed, and which; how many go on as before."""
    told = {}
    for field in fields(changes):
        names = getattr(changes, field.name)
        shown = ", ".join([*names[:MOST_NAMES], *(["..."] if len(names) > MOST_NAMES else [])])
        told[field.name] = f"{len(names)} ({shown})" if names else "0"
    told["unchanged"] = str(len(changes.unchanged))
    return told
