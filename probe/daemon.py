"""The composition root: builds the daemon from its settings, starts it and stops it."""

import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
)

from probe.clock import SECOND, Clock
from probe.measure.dialer import Dialer
from probe.measure.failure import classify
from probe.measure.grace import Grace
from probe.measure.policy import Policy
from probe.measure.prober import OpenTransport, Prober
from probe.measure.resolver import Resolver
from probe.measure.stopwatch import Stopwatch
from probe.measure.transport import Pool, Transport
from probe.record.about import About
from probe.record.exposition import render
from probe.record.journal import Journal
from probe.record.recorder import Recorder
from probe.schedule.clockwork import Clockwork
from probe.schedule.ledger import Ledger
from probe.schedule.ticker import Pace, Tick, Ticker
from probe.settings.schema import Connection, IpFamily, Probe, Settings, Tls
from probe.settings.secrets import Secrets
from probe.settings.tls import make_context
from probe.vocabulary import Result
from probe.web.app import Render, create_app
from probe.web.ondemand import Target
from probe.web.server import Server
from probe.workers import Workers

LONGEST_DRAIN = 10.0
"""Seconds that a stop waits for probes in flight; less than Kubernetes' grace period of 30."""

_FAMILIES = {
    IpFamily.ANY: socket.AF_UNSPEC,
    IpFamily.V4: socket.AF_INET,
    IpFamily.V6: socket.AF_INET6,
}


def build_probers(
    settings: Settings, *, environ: Mapping[str, str], base: Path, clock: Clock
) -> dict[str, Prober]:
    """A prober for each probe, by name; secrets in files are looked for in `base`."""
    secrets = Secrets(environ, base)
    resolver = Resolver(Workers("resolver"), clock)
    policy = Policy(deny=settings.networks.deny, allow=settings.networks.allow)
    contexts: dict[Tls, ssl.SSLContext] = {}  # one costs 18 ms and 0.7 MB: probes share them

    def context(probe: Probe) -> ssl.SSLContext:
        if probe.tls not in contexts:
            contexts[probe.tls] = make_context(probe.tls, environ)
        return contexts[probe.tls]

    def prober(probe: Probe) -> Prober:
        if not probe.url.source.startswith("http://"):
            context(probe)  # now, and not in the first probe's time
        dialer = Dialer(
            resolver,
            policy,
            context=lambda: context(probe),
            server_name=probe.tls.server_name,
            family=_FAMILIES[probe.ip_family],
        )
        return Prober(probe, secrets, _transports(probe, dialer), clock)

    return {probe.name: prober(probe) for probe in settings.probes}


def _transports(probe: Probe, dialer: Dialer) -> OpenTransport:
    pool = Pool() if probe.connection is Connection.REUSE else None

    def open_transport(watch: Stopwatch, proxy: SplitResult | None) -> Transport:
        return Transport(dialer, watch, pool=pool, proxy=proxy)

    return open_transport


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
    ) -> None:
        self._clock = clock
        self._timeouts = [probe.timeout for probe in settings.probes]
        self._ledger = Ledger(probe.name for probe in settings.probes)
        self._recorder = Recorder(self._ledger, lambda: clock.wall() / SECOND)
        self._crew = Workers("probe")
        probers = build_probers(settings, environ=environ, base=base, clock=clock)
        self._clockwork = Clockwork(
            [self._ticker(probe, probers[probe.name]) for probe in settings.probes], clock
        )
        targets = {
            probe.name: Target(run=probers[probe.name].run, interval=probe.interval)
            for probe in settings.probes
        }
        self._server = Server(create_app(self._page(), targets), listener)

    def _page(self) -> Render:
        """What a scrape gets: our own metrics, and those of any Python process."""
        others = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            others.register(collector)
        sources = (self._recorder, About(self._clock.wall() / SECOND))
        return lambda accept: render(accept, sources, others)

    def _ticker(self, probe: Probe, prober: Prober) -> Ticker:
        grace, journal = Grace(self._clock, probe.startup_grace), Journal()
        self._recorder.watch(probe, {"startup": lambda: grace.running})

        def run(tick: Tick) -> None:
            self._recorder.started(tick.lag)
            finish(prober.run(tick.due))

        def unable(tick: Tick, error: Exception) -> None:
            finish(_not_run(probe, tick, error, self._clock))

        def finish(result: Result) -> None:
            if self._ledger.finish(probe.name):
                counted = grace.judge(result)
                self._recorder.finished(counted)
                journal.note(counted)

        return Ticker(
            probe.name,
            Pace(interval=probe.interval, timeout=probe.timeout),
            run=run,
            unable=unable,
            ledger=self._ledger,
            crew=self._crew,
            clock=self._clock,
        )

    def start(self) -> None:
        self._server.start()
        self._clockwork.start()

    def stop(self) -> None:
        """Stop the grid at once, let probes in flight come back, then stop serving.

        What has not come back within the longest deadline, or 10 s if that is shorter, is given
        up. Scrapes are answered all the while.
        """
        self._clockwork.stop()
        give_up = self._clock.monotonic() + min(max(self._timeouts), LONGEST_DRAIN) * SECOND
        while self._ledger.in_flight() and self._clock.monotonic() < give_up:
            time.sleep(0.05)
        self._ledger.close()
        self._server.stop()


def _not_run(probe: Probe, tick: Tick, error: Exception, clock: Clock) -> Result:
    return Result(
        probe=probe.name,
        started=clock.date(clock.monotonic()),
        due=clock.date(tick.due),
        phases={},
        failure=classify(None, error, timeout=probe.timeout),
    )
