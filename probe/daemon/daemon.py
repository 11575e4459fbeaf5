"""The composition root: builds the daemon from its settings, starts it and stops it."""

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
)

from probe.clock import SECOND, Clock
from probe.config.schema import Settings
from probe.daemon.factory import ProberFactory
from probe.daemon.manager import ProbeManager
from probe.daemon.reload import Reloader
from probe.history.history import History
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import MetricSource, render
from probe.metrics.recorder import Recorder
from probe.result import SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.scheduler import ProbeScheduler
from probe.server.app import Render, create_app
from probe.server.config_watch import WebConfig
from probe.server.lifecycle import Lifecycle
from probe.server.server import Server
from probe.threads import ThreadCache

MAX_DRAIN_SECONDS = 7.5
"""Seconds that a stop waits for probes in flight. With the answers that are under way then, and the
end of the interpreter, it takes 10 at most; Kubernetes' grace period is 30."""


class Daemon:
    """Probes on schedule, counts, and serves the counts, from `start` until `stop`."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        environ: Mapping[str, str],
        base: Path,
        clock: Clock,
        read: Callable[[], Settings] | None = None,
        enable_lifecycle: bool = False,
        web: WebConfig | None = None,
    ) -> None:
        """`read` gives the settings anew or raises ConfigError; None if no file has them.

        With `enable_lifecycle` a reload and a pause can be asked for over HTTP.
        """
        self._clock = clock
        self._gate = RunState()
        self._ledger = TickAccounting()
        self._clockwork = ProbeScheduler(clock)
        recorder = Recorder(self._ledger, clock.unix)
        history = History(clock.seconds)
        about = DaemonInfo(clock.unix())
        self._roster = roster = ProbeManager(
            ProberFactory(environ=environ, base=base, clock=clock),
            ledger=self._ledger,
            recorder=recorder,
            history=history,
            clockwork=self._clockwork,
            gate=self._gate,
            crew=ThreadCache("probe"),
            clock=clock,
        )
        roster.apply(settings)
        self.reload = Reloader(read, settings, roster=roster, about=about, clock=clock)
        app = create_app(
            _page(recorder, about),
            lambda: roster.targets,
            history,
            self._lifecycle(enable_lifecycle),
            clock,
        )
        self._server = Server(app, listener, clock, web)

    def _lifecycle(self, enabled: bool) -> Lifecycle:
        return Lifecycle(
            enabled=enabled,
            ticking=lambda: self._clockwork.ticking,
            reload=self.reload,
            pause=self._gate.pause,
            resume=self._gate.resume,
            paused=lambda: self._gate.paused,
            stopping=lambda: self._gate.reason is SkipReason.SHUTDOWN,
        )

    def start(self) -> None:
        self._server.start()
        self._clockwork.start()

    def stop(self) -> None:
        """Stop the grid at once, let probes in flight come back, then stop serving.

        What has not come back within the longest deadline, or 7.5 s if that is shorter, is given
        up, a reload as well. Scrapes are answered all the while.
        """
        self._gate.shut()
        drain = min(self._roster.longest_timeout, MAX_DRAIN_SECONDS)
        give_up = self._clock.monotonic() + drain * SECOND
        self.reload.close(drain)
        self._clockwork.stop()
        while self._ledger.in_flight() and self._clock.monotonic() < give_up:
            time.sleep(0.05)
        self._ledger.close()
        self._server.stop()


def _page(*sources: MetricSource) -> Render:
    """What a scrape gets: our own metrics, and those of any Python process."""
    others = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        others.register(collector)
    return lambda accept: render(accept, sources, others)
