"""Who is probed at present: takes one config in place of another without losing a tick."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from probe.clock import Clock
from probe.config.schema import Settings
from probe.daemon.factory import CompiledProbe
from probe.history.history import History
from probe.metrics.recorder import Recorder
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import ProbeRunner
from probe.scheduler.scheduler import ProbeScheduler
from probe.scheduler.ticker import Executor
from probe.server.on_demand import OnDemandTarget


class ProberFactoryProtocol(Protocol):
    """Who makes instruments; `probe.daemon.factory.Workshop` outside of tests."""

    def fingerprints(self, settings: Settings) -> dict[str, object]: ...
    def make(self, settings: Settings, names: frozenset[str]) -> dict[str, CompiledProbe]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDiff:
    """The names of probes, by what a new config has made of them."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


class ProbeManager:
    """The stations by name. The name of a probe is its identity: whatever else changes, its
    counts go on. One caller at a time.
    """

    def __init__(
        self,
        maker: ProberFactoryProtocol,
        *,
        ledger: TickAccounting,
        recorder: Recorder,
        history: History,
        clockwork: ProbeScheduler,
        gate: RunState,
        crew: Executor,
        clock: Clock,
    ) -> None:
        self._maker = maker
        self._ledger = ledger
        self._recorder = recorder
        self._history = history
        self._clockwork = clockwork
        self._gate = gate
        self._crew = crew
        self._clock = clock
        self._stations: dict[str, ProbeRunner] = {}
        self._fingerprints: dict[str, object] = {}
        self.targets: Mapping[str, OnDemandTarget] = {}
        """What can be asked for out of turn; replaced as a whole, never changed."""

    @property
    def longest_timeout(self) -> float:
        stations = tuple(self._stations.values())  # a reload may be under way
        return max((one.probe.timeout for one in stations), default=0.0)

    def apply(self, settings: Settings) -> ConfigDiff:
        """Probe what the settings say from now on; raises OSError and TlsError for files that
        cannot be read, and then nothing has changed.
        """
        fingerprints = self._maker.fingerprints(settings)
        changes = _compare(self._fingerprints, fingerprints)
        new = frozenset((*changes.added, *changes.changed))
        instruments = self._maker.make(settings, new)  # the last that can fail
        for name in changes.removed:
            self._remove(name)
        for name in changes.changed:
            self._change(name, instruments[name])
        for name in changes.added:
            self._add(name, instruments[name])
        self._fingerprints = fingerprints
        self.targets = {name: self._stations[name].target for name in fingerprints}
        return changes

    # A scrape may come at any moment: who is in the recorder must be in the ledger.

    def _add(self, name: str, instrument: CompiledProbe) -> None:
        station = self._stations[name] = ProbeRunner(
            instrument,
            book=self._ledger.open(name),
            recorder=self._recorder,
            history=self._history,
            gate=self._gate,
            crew=self._crew,
            clock=self._clock,
        )
        self._clockwork.add(station.ticker)

    def _change(self, name: str, instrument: CompiledProbe) -> None:
        station = self._stations[name]
        interval = station.probe.interval
        station.change(instrument)
        if station.probe.interval != interval:
            self._clockwork.change(station.ticker)

    def _remove(self, name: str) -> None:
        self._clockwork.remove(name)
        self._stations.pop(name).close()
        self._ledger.drop(name)


def _compare(old: Mapping[str, object], new: Mapping[str, object]) -> ConfigDiff:
    both = [name for name in new if name in old]
    return ConfigDiff(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in both if new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
        unchanged=tuple(name for name in both if new[name] == old[name]),
    )
