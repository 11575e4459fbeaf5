"""Config changes at any moment: no tick is lost, and counters never fall."""

import gc
import re
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from probe.config.loader import load
from probe.config.settings import Networks, Probe, Settings, Tracing
from probe.daemon.probe_manager import ProbeManager, ProbeServices
from probe.daemon.prober_factory import ProberFactory
from probe.daemon.reload import Reloader
from probe.history.history import History
from probe.metrics.catalogue import COST, LATENCY, PHASE
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import render
from probe.metrics.histogram import LATENCY_BUCKETS
from probe.metrics.recorder import Recorder
from probe.result import Reason, Result, SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.grid import Grid
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe
from probe.scheduler.scheduler import ProbeScheduler
from probe.server.lifecycle import ReloadRejected
from tests.builders import make_result, make_settings
from tests.fakes import FakeProber, FakeTime, ManualExecutor, ManualScheduler

PROBES = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["500ms", "1s", "10s"]),
        "timeout": st.sampled_from(["50ms", "1s", "5s"]),
        "url": st.sampled_from(["http://127.0.0.1:1/", "http://127.0.0.1:2/"]),
        "connection": st.sampled_from(["new", "reuse"]),
        "startup_grace": st.sampled_from(["0s", "1m"]),
        "json": st.sampled_from([1, True]),
        "phase_buckets": st.sampled_from([["10ms"], ["10ms", "20ms"]]),
        "price": st.sampled_from([{"input": 1, "currency": name} for name in ("USD", "EUR")]),
        "budget": st.sampled_from([{}, {"requests_per_hour": 2}, {"tokens_per_day": "1M"}]).map(
            lambda budget: budget or None
        ),
        "objectives": st.sampled_from(
            [
                [],
                [{"name": "up", "target": "99%"}],
                [{"name": "fast", "target": "99%", "latency": "250ms"}],
                [{"name": "fast", "target": "99%", "latency": "100ms"}],  # already a bucket
            ]
        ),
    }
)
CONFIGS = st.dictionaries(st.sampled_from("abc"), PROBES, min_size=1)
HISTOGRAM = "_(bucket|count|sum)$"
Config = dict[str, dict[str, Any]]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Expected:
    """What a probe must have counted, as long as it stays configured."""

    since: int
    """When its present grid took effect (monotonic, ns)."""
    ticks: int = 0
    """Ticks before that."""
    runs: int = 0


class ReloadMachine(RuleBasedStateMachine):
    """Daemon without its sockets: reloads of all kinds between ticks, starts and finishes."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name, "probe.yml")
        self.time, self.executor = FakeTime(), ManualExecutor()
        self.run_state, self.accounting = RunState(), TickAccounting()
        clock = self.time.clock()
        self.scheduler = ProbeScheduler(clock, scheduler_type=ManualScheduler)
        self.anchor = self.looked = self.time.monotonic
        self.recorder, self.info = Recorder(self.accounting), DaemonInfo(0.0)
        self.history = History(clock.monotonic_seconds)
        self.manager = ProbeManager(
            MachineFactory(self),
            ProbeServices(
                clock=clock,
                run_state=self.run_state,
                accounting=self.accounting,
                scheduler=self.scheduler,
                executor=self.executor,
                recorder=self.recorder,
                history=self.history,
            ),
        )
        self.reload = Reloader(
            lambda: load(self.path, environ={}),
            Settings(probes=(), networks=Networks(deny=(), allow=()), tracing=Tracing()),
            manager=self.manager,
            info=self.info,
            clock=clock,
        )
        self.config: Config = {}
        self.expected: dict[str, Expected] = {}
        # Probe and metric of the histograms that started again in this step.
        self.restarted: set[tuple[str, str]] = set()
        # Configs that take effect while the next run is in flight.
        self.during_run: list[Config] = []
        self.previous: Series = {}
        self.previously_expected: dict[str, Expected] = {}
        self.scheduler.start()

    def teardown(self) -> None:
        self.directory.cleanup()

    # Actions

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
                self.expected[name] = Expected(since=now)
                continue
            if keys["interval"] != old["interval"]:
                self.expected[name].ticks = self.accounting.counts()[name].ticks
                self.expected[name].since = now
            if keys["price"] != old["price"]:
                self.restarted.add((name, COST.name))
            if keys["phase_buckets"] != old["phase_buckets"]:
                self.restarted |= {(name, LATENCY.name), (name, PHASE.name)}
            if _added_buckets(keys) != _added_buckets(old) or _thresholds(keys) - _thresholds(old):
                self.restarted.add((name, LATENCY.name))
        for name in self.config.keys() - config.keys():
            del self.expected[name]
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
        self.scheduler.apscheduler.run_due_jobs()
        self.looked = self.time.monotonic

    @rule(milliseconds=st.integers(0, 600))
    def time_passes(self, milliseconds: int) -> None:
        self.time.advance(milliseconds / 1000)

    @rule(paused=st.booleans())
    def the_daemon_is_paused_or_resumed(self, paused: bool) -> None:
        (self.run_state.pause if paused else self.run_state.resume)()

    @rule(data=st.data(), configs=st.lists(CONFIGS, max_size=2))
    @precondition(lambda self: self.executor.tasks)
    def a_probe_runs(self, data: st.DataObject, configs: list[Config]) -> None:
        """Other configs may take effect while it is in flight."""
        self.during_run = configs
        self.executor.tasks.pop(data.draw(st.integers(0, len(self.executor.tasks) - 1)))()
        self.during_run = []

    def run(self, probe: Probe) -> Result:
        name, expected = probe.name, self.expected[probe.name]
        while self.during_run:
            self.a_config_is_loaded(self.during_run.pop())
        if self.expected.get(name) is expected:
            expected.runs += 1
        reason = Reason.REFUSED if self.time.monotonic // 1_000_000 % 3 == 0 else None
        return make_result(probe=name, reason=reason)

    # Invariants

    @invariant()
    def counts_balance_and_belong_to_configured_probes(self) -> None:
        all_counts = self.accounting.counts()
        assert all_counts.keys() == self.config.keys() == self.manager.targets.keys()
        for name, counts in all_counts.items():
            assert counts.ticks == counts.runs + sum(counts.skipped.values()) + counts.in_flight
            assert counts.runs == self.expected[name].runs
            assert counts.in_flight >= 0

    @invariant()
    def no_due_time_is_lost_or_doubled(self) -> None:
        for name, expected in self.expected.items():
            interval = {"500ms": 0.5, "1s": 1.0, "10s": 10.0}[self.config[name]["interval"]]
            grid = Grid.for_probe(name, interval, anchor=self.anchor)
            end = max(self.looked, expected.since)
            due = _due_times_until(grid, end) - _due_times_until(grid, expected.since)
            assert self.accounting.counts()[name].ticks == expected.ticks + due

    @invariant()
    def counters_never_fall(self) -> None:
        """While a probe stays configured. Histograms with other buckets start again."""
        now = self.series()
        assert {dict(labels)["probe"] for _, labels in now if "probe" in dict(labels)} == set(
            self.config
        )
        for (series, labels), value in self.previous.items():
            name, metric = dict(labels).get("probe", ""), re.sub(HISTOGRAM, "", series)
            if self.expected.get(name) is not self.previously_expected.get(name):
                continue  # removed, and perhaps added again
            if (name, metric) in self.restarted:
                continue
            if value == 0 and dict(labels).get("reason") == SkipReason.BUDGET:
                continue  # absent without a budget
            if metric != series or metric.endswith("_total"):
                assert now[series, labels] >= value, (series, labels)
            if metric == LATENCY.name and series.endswith("_count"):
                assert now[series, labels] <= self.expected[name].runs
        self.previous, self.previously_expected = now, dict(self.expected)
        self.restarted.clear()

    def series(self) -> Series:
        page, _ = render("text/plain", (self.recorder, self.info), CollectorRegistry())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families("".join(page))
            for sample in family.samples
        }


class MachineFactory(ProberFactory):
    """Compares configs as the real factory does, and builds probers that call the machine."""

    def __init__(self, machine: ReloadMachine) -> None:
        super().__init__(environ={}, base=Path(), clock=machine.time.clock())
        self._machine = machine

    def build(
        self, settings: Settings, names: Collection[str], **_: object
    ) -> dict[str, CompiledProbe]:
        def compile_probe(probe: Probe) -> CompiledProbe:
            prober = FakeProber(lambda: self._machine.run(probe))
            return CompiledProbe(probe=probe, prober=prober, close=lambda: None)

        return {
            probe.name: compile_probe(probe) for probe in settings.probes if probe.name in names
        }


def _added_buckets(keys: dict[str, Any]) -> set[str]:
    """Return the thresholds that are not a bucket anyway."""
    assert 0.1 in LATENCY_BUCKETS
    return {threshold for _, threshold in _thresholds(keys) if threshold} - {"100ms"}


def _thresholds(keys: dict[str, Any]) -> set[tuple[str, str | None]]:
    """Return the objectives with their thresholds: a new one restarts the histogram."""
    return {(objective["name"], objective.get("latency")) for objective in keys["objectives"]}


def _due_times_until(grid: Grid, instant: int) -> int:
    """Return the number of due times from the first one until `instant` (ns)."""
    return max(0, (instant - grid.first) // grid.interval + 1)


@pytest.mark.parametrize("examples", [12, pytest.param(200, marks=pytest.mark.full)])
def test_reloads(examples: int) -> None:
    """The invariants hold in random sequences of reloads, ticks, starts and finishes."""
    run_state_machine_as_test(
        ReloadMachine,
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None),
    )


@pytest.fixture
def machine() -> Iterator[ReloadMachine]:
    machine = ReloadMachine()
    yield machine
    machine.teardown()


def _keys(**more: Any) -> dict[str, Any]:
    return {
        "url": "http://127.0.0.1:1/",
        "interval": "1s",
        "objectives": [],
        "phase_buckets": ["10ms"],
        "price": {"input": 1, "currency": "USD"},
        "budget": None,
        **more,
    }


def test_a_tick_that_is_due_is_not_lost_to_a_change(machine: ReloadMachine) -> None:
    """A tick between its due time and the next look of the scheduler is counted once."""
    machine.a_config_is_loaded({"a": _keys()})
    machine.time_passes(1000)
    machine.a_config_is_loaded({"a": _keys(phase_buckets=["20ms"])})
    machine.time_passes_and_the_scheduler_looks(0)
    assert machine.accounting.counts()["a"].ticks == 1


def test_a_removed_probe_finishes_unrecorded(machine: ReloadMachine) -> None:
    """Also if another probe has its name by then."""
    config: Config = {"a": _keys()}
    machine.a_config_is_loaded(config)
    machine.time_passes_and_the_scheduler_looks(1000)
    machine.during_run = [config, {"b": _keys()}]
    machine.executor.tasks.pop()()
    machine.counts_balance_and_belong_to_configured_probes()
    assert machine.accounting.counts()["a"].in_flight == 0
    count = ("inference_probe_latency_seconds_count", {"probe": "a", "outcome": "success"})
    assert machine.series()[count[0], frozenset(count[1].items())] == 0


def test_a_removed_probe_has_no_history(machine: ReloadMachine) -> None:
    """Its results are not shown for another probe that gets its name."""
    machine.a_config_is_loaded({"a": _keys()})
    machine.time_passes_and_the_scheduler_looks(1000)
    machine.executor.tasks.pop()()
    snapshot = machine.history.snapshot("a")
    assert snapshot
    assert snapshot.recent()
    machine.a_config_is_loaded({"b": _keys()})
    assert machine.history.snapshot("a") is None


def test_changed_objectives_are_shown(machine: ReloadMachine) -> None:
    """The history counts for the objectives of the current config."""

    def objectives() -> list[str]:
        snapshot = machine.history.snapshot("a")
        assert snapshot
        return [status.objective.name for status in snapshot.objectives]

    machine.a_config_is_loaded({"a": _keys(objectives=[{"name": "up", "target": "99%"}])})
    assert objectives() == ["up"]
    fast = {"name": "fast", "target": "99%", "latency": "1s"}
    machine.a_config_is_loaded({"a": _keys(objectives=[fast])})
    assert objectives() == ["fast"]


def test_the_history_knows_the_startup_grace(machine: ReloadMachine) -> None:
    """The pages show the time until failures count, also after a change of the config."""

    def seconds_left() -> float:
        snapshot = machine.history.snapshot("a")
        assert snapshot
        return snapshot.startup_seconds_left

    machine.a_config_is_loaded({"a": _keys(startup_grace="1m")})
    assert 59 < seconds_left() <= 60
    machine.a_config_is_loaded({"a": _keys(startup_grace="0s")})
    assert seconds_left() == 0


def test_an_unchanged_probe_keeps_its_target(machine: ReloadMachine) -> None:
    """Its last on-demand result stays valid; that of a changed probe does not."""
    machine.a_config_is_loaded({"a": _keys(), "b": _keys()})
    before = machine.manager.targets
    machine.a_config_is_loaded({"a": _keys(), "b": _keys(interval="10s")})
    after = machine.manager.targets
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_a_reload_leaves_little_garbage(machine: ReloadMachine) -> None:
    """Objects that exist after a reload are never searched for garbage."""

    def settings(timeout: str) -> Settings:
        keys = {"url": "http://127.0.0.1:1/", "timeout": timeout, "expect": {"body_matches": "a+"}}
        probes = [{"name": f"model-{number}", **keys} for number in range(50)]
        return make_settings(Path(machine.directory.name), *probes)

    machine.manager.apply_config(settings("1s"))
    changed = settings("2s")
    gc.collect()
    gc.disable()
    try:
        assert len(machine.manager.apply_config(changed).changed) == 50
        assert gc.collect() < 50
    finally:
        gc.enable()
