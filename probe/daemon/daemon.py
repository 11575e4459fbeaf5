"""Composition root: builds the daemon from its settings, starts it and stops it."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prometheus_client.gc_collector import GC_COLLECTOR
from prometheus_client.platform_collector import PLATFORM_COLLECTOR
from prometheus_client.process_collector import PROCESS_COLLECTOR
from prometheus_client.registry import CollectorRegistry

from probe.clock import NS_PER_SECOND, Clock
from probe.config.settings import Settings
from probe.daemon.probe_manager import ProbeManager, ProbeServices
from probe.daemon.prober_factory import ProberFactory
from probe.daemon.reload import Reloader
from probe.history.history import History
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import MetricSource, render
from probe.metrics.recorder import Recorder
from probe.otlp.exporters import OtlpExporters, OtlpOptions
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.scheduler import ProbeScheduler
from probe.server.app import Render, create_app
from probe.server.lifecycle import Lifecycle
from probe.server.links import PageLink
from probe.server.server import Server
from probe.server.web_config_watch import WebConfig
from probe.threads import ThreadCache

# Time that `stop` waits for runs in flight. Finishing HTTP responses and exiting take up to 2.5 s
# more, so a stop takes at most 10 s. The default grace period of Kubernetes is 30 s.
MAX_DRAIN_SECONDS = 7.5

# Part of MAX_DRAIN_SECONDS for the export of the last traces and metrics, if they are exported.
MAX_EXPORT_SECONDS = 1.0

_DRAIN_POLL_SECONDS = 0.05


class Daemon:
    """Probes on schedule and serves metrics and pages, from `start` until `stop`."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        environ: Mapping[str, str],
        base: Path,
        clock: Clock,
        load_config: Callable[[], Settings] | None = None,
        enable_lifecycle: bool = False,
        web: WebConfig | None = None,
        links: Sequence[PageLink] = (),
        otlp: OtlpOptions | None = None,
    ) -> None:
        """Build all parts. Raises OSError and TlsError for files that the settings name.

        `load_config` returns the config again or raises ConfigError; None if it is not from a file.
        `enable_lifecycle` permits reload and pause over HTTP. The pages have `links`.
        `otlp` has the clients of the receivers of traces and metrics.
        """
        self._clock = clock
        self._run_state = RunState()
        self._accounting = TickAccounting()
        self._scheduler = ProbeScheduler(clock)
        recorder = Recorder(
            self._accounting,
            clock.unix_seconds,
            has_exemplars=lambda: self._manager.has_sampled_traces,
        )
        history = History(clock.monotonic_seconds, clock.unix_seconds)
        info = DaemonInfo(clock.unix_seconds())
        self._exporters = OtlpExporters(
            otlp or OtlpOptions(), _instance(listener), clock, lambda: self._render("")[0]
        )
        self._factory = ProberFactory(environ=environ, base=base, clock=clock)
        self._manager = manager = ProbeManager(
            self._factory,
            ProbeServices(
                clock=clock,
                run_state=self._run_state,
                accounting=self._accounting,
                scheduler=self._scheduler,
                executor=ThreadCache("probe"),
                recorder=recorder,
                history=history,
                traces=self._exporters.traces,
            ),
        )
        manager.apply_config(settings)
        self.reload = Reloader(load_config, settings, manager=manager, info=info, clock=clock)
        self._render = _renderer(recorder, info, *self._exporters.sources)
        app = create_app(
            self._render,
            lambda: manager.targets,
            history,
            self._lifecycle(enable_lifecycle, info),
            clock,
            links=links,
            trace_url=manager.trace_url,
        )
        self._server = Server(app, listener, clock, web)

    def _lifecycle(self, enabled: bool, info: DaemonInfo) -> Lifecycle:
        return Lifecycle(
            enabled=enabled,
            scheduler_alive=lambda: self._scheduler.alive,
            reload=self.reload,
            pause=self._run_state.pause,
            resume=self._run_state.resume,
            paused=lambda: self._run_state.paused,
            stopping=lambda: self._run_state.stopped,
            config_state=lambda: info.config,
        )

    def start(self) -> None:
        """Start to serve, then to probe. Raises OSError if the server cannot listen."""
        self._server.start()
        self._exporters.start()
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the schedule at once, wait for runs in flight, then stop serving.

        Waits for runs and a reload up to the longest timeout of all probes, at most
        MAX_DRAIN_SECONDS; then they are abandoned. Scrapes are served during the wait.
        """
        self._run_state.stop()
        max_seconds = MAX_DRAIN_SECONDS
        if self._exporters.sources:
            max_seconds -= MAX_EXPORT_SECONDS
        drain_seconds = min(self._manager.longest_timeout, max_seconds)
        deadline = self._clock.monotonic() + drain_seconds * NS_PER_SECOND
        self.reload.close(drain_seconds)
        self._scheduler.stop()
        while self._accounting.in_flight() and self._clock.monotonic() < deadline:
            time.sleep(_DRAIN_POLL_SECONDS)
        self._accounting.close()
        self._exporters.close(MAX_EXPORT_SECONDS)
        self._factory.close()
        self._server.stop()


def _instance(listener: socket.socket) -> str:
    """Return what identifies this daemon among others: the name of its host, and its port."""
    return f"{socket.gethostname()}:{listener.getsockname()[1]}"


def _renderer(*sources: MetricSource) -> Render:
    """Return the function that renders `/metrics`: `sources` and the metrics of the process."""
    process_metrics = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        process_metrics.register(collector)
    return lambda accept: render(accept, sources, process_metrics)
