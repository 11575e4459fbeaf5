"""Applies a config to the running probes without losing a tick."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.clock import Clock
from probe.config.settings import Settings, Tracing
from probe.daemon.prober_factory import ProberFactory
from probe.history.history import History
from probe.history.state_log import StateChangeLog
from probe.metrics.recorder import Recorder
from probe.otlp.span_exporter import SpanExporter
from probe.result import Result
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner, ResultSink, TaskExecutor
from probe.scheduler.scheduler import ProbeScheduler
from probe.scheduler.token_estimate import TokenEstimate
from probe.server.on_demand import OnDemandRefused, OnDemandTarget
from probe.threads import yield_gil


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDiff:
    """Names of probes, by how a new config differs from the one before."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeServices:
    """Parts of the daemon that all probes share."""

    clock: Clock
    run_state: RunState
    accounting: TickAccounting
    scheduler: ProbeScheduler
    executor: TaskExecutor
    recorder: Recorder
    history: History
    traces: SpanExporter | None = None


class ProbeManager:
    """Runs the probes of the current config.

    The name of a probe is its identity: its counts continue when other keys change. Not
    thread-safe, except `targets`, `longest_timeout`, `trace_url` and `has_sampled_traces`.
    """

    def __init__(self, factory: ProberFactory, services: ProbeServices) -> None:
        self._factory = factory
        self._services = services
        self._runners: dict[str, ProbeRunner] = {}
        self._fingerprints: dict[str, object] = {}
        # Probes that clients can request by name. Replaced as a whole, because the server reads it
        # on another thread.
        self.targets: Mapping[str, OnDemandTarget] = {}
        self._tracing = Tracing()
        # Estimated tokens of one request of each probe, by name.
        self.estimates: Mapping[str, TokenEstimate] = {}

    @property
    def longest_timeout(self) -> float:
        """Longest timeout of all probes in seconds, 0 without probes."""
        runners = tuple(self._runners.values())  # a reload may run at the same time
        return max((runner.probe.timeout for runner in runners), default=0.0)

    def trace_url(self, trace_id: str) -> str | None:
        """Return the URL of a trace; None if the current config has no link to traces."""
        return self._tracing.url(trace_id)

    @property
    def has_sampled_traces(self) -> bool:
        """Whether the current config asks servers to record the traces of requests."""
        return self._tracing.is_sampled

    def apply_config(self, settings: Settings) -> ConfigDiff:
        """Apply `settings` and return the difference to the previous config.

        Raises OSError and TlsError for files that cannot be read. In this case nothing changes.
        Runs of other probes proceed meanwhile.
        """
        # At the start there are no runs, and the pauses for them would take a fifth of the time.
        iterate: Callable[[Iterable[Any]], Iterator[Any]] = yield_gil if self._runners else iter
        fingerprints = self._factory.fingerprints(settings, iterate=iterate)
        diff = _compare(self._fingerprints, fingerprints)
        # The last step that can fail.
        compiled = self._factory.build(settings, {*diff.added, *diff.changed}, iterate=iterate)
        for name in iterate(diff.removed):
            self._remove(name)
        # Before a run of an added probe can end.
        if self._services.traces:
            self._services.traces.apply_config(settings)
        for name in iterate(diff.changed):
            self._update(name, compiled[name])
        for name in iterate(diff.added):
            self._add(name, compiled[name])
        self._fingerprints = fingerprints
        self._tracing = settings.tracing
        # An unchanged probe keeps its target, and with it its last on-demand result.
        old_targets = list(self.targets.values())
        self.targets = {
            name: self._target(name, compiled[name]) if name in compiled else self.targets[name]
            for name in iterate(fingerprints)
        }
        self.estimates = {
            name: compiled[name].estimate if name in compiled else self.estimates[name]
            for name in iterate(fingerprints)
        }
        # They have the last references to the changed probes. All at once, these would be freed
        # without a pause.
        for _ in iterate(range(len(old_targets))):
            old_targets.pop()
        return diff

    # A scrape may run at any moment, and the recorder reads the tick counts of all probes that it
    # has. Hence `_add` adds the tick counts first, and `_remove` removes them last.

    def _add(self, name: str, compiled: CompiledProbe) -> None:
        services, probe = self._services, compiled.probe
        runner = self._runners[name] = ProbeRunner(
            compiled,
            ticks=services.accounting.add_probe(name),
            sinks=self._sinks(),
            observe_lag=services.recorder.observe_lag,
            run_state=services.run_state,
            executor=services.executor,
            clock=services.clock,
        )
        suspended = {
            "startup": lambda: runner.starting,
            "paused": lambda: services.run_state.paused,
            "budget": lambda: runner.is_over_budget,
            "cold": lambda: runner.is_suspended_for_cold_start,
        }
        services.recorder.add_probe(probe, suspended, runner.spending)
        services.history.add_probe(
            probe, lambda: runner.startup_seconds_left, lambda: runner.budget_status
        )
        services.scheduler.add(runner)

    def _sinks(self) -> Sequence[ResultSink]:
        """Return the sinks of one probe."""
        services = self._services
        sinks = (services.recorder, services.history, StateChangeLog(services.clock))
        return (*sinks, services.traces) if services.traces else sinks

    def _update(self, name: str, compiled: CompiledProbe) -> None:
        services, runner = self._services, self._runners[name]
        previous = runner.probe
        runner.update(compiled)
        services.recorder.update_probe(compiled.probe)
        services.history.update_probe(compiled.probe)
        if compiled.probe.interval != previous.interval:
            services.scheduler.reschedule(runner)

    def _remove(self, name: str) -> None:
        services = self._services
        services.scheduler.remove(name)
        self._runners.pop(name).stop()
        services.recorder.remove_probe(name)
        services.history.remove_probe(name)
        services.accounting.remove_probe(name)

    def _target(self, name: str, compiled: CompiledProbe) -> OnDemandTarget:
        runner, traces = self._runners[name], self._services.traces

        def run() -> Result:
            result = runner.run_on_demand(compiled)
            if result is None:
                raise OnDemandRefused(
                    f"the budget of {name} is exhausted: it sends no request until older ones are"
                    " outside the window, or the budget is raised"
                )
            if traces:
                traces.record(result)
            return result

        return OnDemandTarget(run=run, interval=compiled.probe.interval)


def _compare(old: Mapping[str, object], new: Mapping[str, object]) -> ConfigDiff:
    common = [name for name in new if name in old]
    changed = {name for name in yield_gil(common) if new[name] != old[name]}
    return ConfigDiff(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in common if name in changed),
        removed=tuple(name for name in old if name not in new),
        unchanged=tuple(name for name in common if name not in changed),
    )
