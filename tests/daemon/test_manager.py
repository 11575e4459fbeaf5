"""Reload without loss, held against chance."""

import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from probe.clock import SECOND
from probe.config.loader import load
from probe.config.schema import Probe, Settings
from probe.daemon.factory import CompiledProbe, ProberFactory
from probe.daemon.manager import ProbeManager
from probe.daemon.reload import Reloader
from probe.history.history import History
from probe.metrics.catalogue import LATENCY, PHASE
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import render
from probe.metrics.histogram import LATENCY_BUCKETS
from probe.metrics.recorder import Recorder
from probe.result import Reason, Result
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.grid import Grid
from probe.scheduler.run_state import RunState
from probe.scheduler.scheduler import ProbeScheduler
from probe.server.lifecycle import ReloadRejected
from tests.builders import result_of
from tests.fakes import FakeCrew, FakeTime, HandWound

PROBES = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["500ms", "1s", "10s"]),
        "timeout": st.sampled_from(["50ms", "1s", "5s"]),
        "url": st.sampled_from(["http://127.0.0.1:1/", "http://127.0.0.1:2/"]),
        "connection": st.sampled_from(["new", "reuse"]),
        "startup_grace": st.sampled_from(["0s", "1m"]),
        "json": st.sampled_from([1, True]),
        "phase_buckets": st.sampled_from([["10ms"], ["10ms", "20ms"]]),
        "objectives": st.sampled_from(
            [
                [],
                [{"name": "up", "target": "99%"}],
                [{"name": "fast", "target": "99%", "latency": "250ms"}],
                [{"name": "fast", "target": "99%", "latency": "100ms"}],  # a bucket already
            ]
        ),
    }
)
CONFIGS = st.dictionaries(st.sampled_from("abc"), PROBES, min_size=1)
HISTOGRAM = "_(bucket|count|sum)$"
Config = dict[str, dict[str, Any]]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Tenure:
    """What is expected of a probe for as long as it stays configured."""

    began: int
    """When its present grid came into force (monotonic, ns)."""
    ticks: int = 0
    """Those before."""
    runs: int = 0


class Machine(RuleBasedStateMachine):
    """A daemon without its sockets: reloads of all kinds between ticks, starts and finishes."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name, "probe.yml")
        self.time, self.crew, self.gate, self.ledger = (
            FakeTime(),
            FakeCrew(),
            RunState(),
            TickAccounting(),
        )
        clock = self.time.clock()
        self.clockwork = ProbeScheduler(clock, scheduler=HandWound)
        self.anchor = self.looked = self.time.monotonic
        self.recorder = Recorder(self.ledger)
        self.about = DaemonInfo(0.0)
        self.roster = ProbeManager(
            _Workshop(self),
            ledger=self.ledger,
            recorder=self.recorder,
            history=History(lambda: clock.monotonic() / SECOND),
            clockwork=self.clockwork,
            gate=self.gate,
            crew=self.crew,
            clock=clock,
        )
        self.reload = Reloader(
            lambda: load(self.path, environ={}),
            Settings(probes=()),
            roster=self.roster,
            about=self.about,
            clock=clock,
        )
        self.config: Config = {}
        self.tenures: dict[str, Tenure] = {}
        self.restarted: set[tuple[str, str]] = set()
        """Probe and metric of the histograms that began anew in this step."""
        self.during: list[Config] = []
        self.before: Series = {}
        self.known: dict[str, Tenure] = {}
        self.clockwork.start()

    def teardown(self) -> None:
        self.directory.cleanup()

    # What happens

    @rule(config=CONFIGS)
    def a_config_is_loaded(self, config: Config) -> None:
        self.path.write_text(
            yaml.safe_dump({"probes": [{"name": n, **keys} for n, keys in config.items()]})
        )
        self.reload()
        now = self.time.monotonic
        for name, keys in config.items():
            old = self.config.get(name)
            if old is None:
                self.tenures[name] = Tenure(began=now)
                continue
            if keys["interval"] != old["interval"]:
                self.tenures[name].ticks = self.ledger.accounts()[name].ticks
                self.tenures[name].began = now
            if keys["phase_buckets"] != old["phase_buckets"]:
                self.restarted |= {(name, LATENCY.name), (name, PHASE.name)}
            if _thresholds(keys) != _thresholds(old):
                self.restarted.add((name, LATENCY.name))
        for name in self.config.keys() - config.keys():
            del self.tenures[name]
        self.config = config

    @rule(data=st.data())
    @precondition(lambda self: self.config)
    def one_key_is_changed(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.config)))
        key = data.draw(st.sampled_from(sorted(self.config[name])))
        keys = {**self.config[name], key: data.draw(PROBES)[key]}
        self.a_config_is_loaded({**self.config, name: keys})

    @rule(text=st.sampled_from(["probes: [", "probes: [{name: a}]", "probes: []", None]))
    def a_bad_config_is_loaded(self, text: str | None) -> None:
        if text is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.write_text(text)
        with pytest.raises(ReloadRejected, match=r"probe\.yml"):
            self.reload()
        assert self.series()["inference_probe_config_last_reload_successful", frozenset()] == 0

    @rule(milliseconds=st.integers(0, 12_000))
    def time_passes_and_the_scheduler_looks(self, milliseconds: int) -> None:
        self.time.advance(milliseconds / 1000)
        self.clockwork.scheduler.look()
        self.looked = self.time.monotonic

    @rule(milliseconds=st.integers(0, 600))
    def time_passes(self, milliseconds: int) -> None:
        self.time.advance(milliseconds / 1000)

    @rule(paused=st.booleans())
    def it_is_paused_or_resumed(self, paused: bool) -> None:
        self.gate.paused = paused

    @rule(data=st.data(), configs=st.lists(CONFIGS, max_size=2))
    @precondition(lambda self: self.crew.tasks)
    def a_probe_runs(self, data: st.DataObject, configs: list[Config]) -> None:
        """Other configs may come into force while it is under way."""
        self.during = configs
        self.crew.tasks.pop(data.draw(st.integers(0, len(self.crew.tasks) - 1)))()
        self.during = []

    def run_of(self, probe: Probe) -> Result:
        name, tenure = probe.name, self.tenures[probe.name]
        while self.during:
            self.a_config_is_loaded(self.during.pop())
        if self.tenures.get(name) is tenure:
            tenure.runs += 1
        reason = Reason.REFUSED if self.time.monotonic // 1_000_000 % 3 == 0 else None
        return result_of(probe=name, reason=reason)

    # What is always true

    @invariant()
    def the_accounts_balance_and_are_those_of_the_configured_probes(self) -> None:
        accounts = self.ledger.accounts()
        assert accounts.keys() == self.config.keys() == self.roster.targets.keys()
        for name, account in accounts.items():
            assert account.ticks == account.runs + sum(account.skipped.values()) + account.in_flight
            assert account.runs == self.tenures[name].runs
            assert account.in_flight >= 0
        heartbeat = 1
        assert len(self.clockwork.scheduler.get_jobs()) == heartbeat + len(self.config)

    @invariant()
    def no_due_time_is_lost_or_doubled(self) -> None:
        for name, tenure in self.tenures.items():
            interval = {"500ms": 0.5, "1s": 1.0, "10s": 10.0}[self.config[name]["interval"]]
            grid = Grid.of(name, interval, anchor=self.anchor)
            due = _until(grid, max(self.looked, tenure.began)) - _until(grid, tenure.began)
            assert self.ledger.accounts()[name].ticks == tenure.ticks + due

    @invariant()
    def counters_never_fall(self) -> None:
        """Of probes that stay configured; but histograms of other buckets begin anew."""
        now = self.series()
        assert {dict(labels)["probe"] for _, labels in now if "probe" in dict(labels)} == set(
            self.config
        )
        for (series, labels), value in self.before.items():
            name, metric = dict(labels).get("probe", ""), re.sub(HISTOGRAM, "", series)
            if self.tenures.get(name) is not self.known.get(name):
                continue  # removed, and perhaps added again
            if (name, metric) in self.restarted:
                continue
            if metric != series or metric.endswith("_total"):
                assert now[series, labels] >= value, (series, labels)
            if metric == LATENCY.name and series.endswith("_count"):
                assert now[series, labels] <= self.tenures[name].runs
        self.before, self.known = now, dict(self.tenures)
        self.restarted.clear()

    def series(self) -> Series:
        page, _ = render("text/plain", (self.recorder, self.about), CollectorRegistry())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        }


class _Workshop(ProberFactory):
    """Knows what has changed, as the real one does; its instruments are the machine's."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(environ={}, base=Path(), clock=machine.time.clock())
        self._machine = machine

    def make(self, settings: Settings, names: Collection[str]) -> dict[str, CompiledProbe]:
        def instrument(probe: Probe) -> CompiledProbe:
            def run(due: int | None = None) -> Result:  # noqa: ARG001
                return self._machine.run_of(probe)

            return CompiledProbe(probe=probe, run=run, close=lambda: None)

        return {probe.name: instrument(probe) for probe in settings.probes if probe.name in names}


def _thresholds(keys: dict[str, Any]) -> set[str]:
    """Those that make a bucket which would not be there without them."""
    assert 0.1 in LATENCY_BUCKETS
    return {one["latency"] for one in keys["objectives"] if "latency" in one} - {"100ms"}


def _until(grid: Grid, instant: int) -> int:
    """How many due times there are from the first until an instant."""
    return max(0, (instant - grid.first) // grid.interval + 1)


TestReloads = Machine.TestCase
TestReloads.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def _keys(**more: Any) -> dict[str, Any]:
    return {"url": "http://127.0.0.1:1/", "interval": "1s", "objectives": []} | more


def test_what_is_due_already_is_not_lost_to_a_change() -> None:
    """A tick between its due time and the scheduler's next look is still counted, once."""
    machine = Machine()
    machine.a_config_is_loaded({"a": _keys(phase_buckets=["10ms"])})
    machine.time_passes(1000)
    machine.a_config_is_loaded({"a": _keys(phase_buckets=["20ms"])})
    machine.time_passes_and_the_scheduler_looks(0)
    assert machine.ledger.accounts()["a"].ticks == 1
    machine.teardown()


def test_a_removed_probe_finishes_unrecorded() -> None:
    """Also where its name has come back by then."""
    machine = Machine()
    config: Config = {"a": _keys(phase_buckets=["10ms"])}
    machine.a_config_is_loaded(config)
    machine.time_passes_and_the_scheduler_looks(1000)
    machine.during = [config, {"b": _keys(phase_buckets=["10ms"])}]
    machine.crew.tasks.pop()()
    machine.the_accounts_balance_and_are_those_of_the_configured_probes()
    assert machine.ledger.accounts()["a"].in_flight == 0
    count = ("inference_probe_latency_seconds_count", {"probe": "a", "outcome": "success"})
    assert machine.series()[count[0], frozenset(count[1].items())] == 0
    machine.teardown()
