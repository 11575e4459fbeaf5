"""Every tick is accounted for: the second promise of the product, held against chance."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probe.clock import SECOND, Clock
from probe.result import SkipReason
from probe.scheduler.accounting import ProbeTicks, TickAccounting, TickCounts
from probe.scheduler.grid import Grid
from probe.scheduler.run_state import RunState
from probe.scheduler.scheduler import ProbeScheduler
from probe.scheduler.ticker import Schedule, Tick, Ticker
from probe.threads import Task
from tests.fakes import FakeCrew, FakeTime, HandWound


class Machine(RuleBasedStateMachine):
    """A scheduler with probes of any pace, under overload, clock jumps, stalls and shutdown."""

    @initialize(
        paces=st.lists(
            st.tuples(st.sampled_from([0.1, 0.5, 1.0, 10.0]), st.sampled_from([0.05, 1.0, 5.0])),
            min_size=1,
            max_size=4,
        )
    )
    def build(self, paces: list[tuple[float, float]]) -> None:
        self.time = FakeTime()
        self.anchor = self.time.monotonic
        self.crew = FakeCrew()
        self.paces = {f"p{n}": Schedule(interval=i, timeout=t) for n, (i, t) in enumerate(paces)}
        self.gate = RunState()
        self.ledger = TickAccounting()
        self.books = {name: self.ledger.open(name) for name in self.paces}
        self.running: list[str] = []
        self.finished: Counter[str] = Counter()
        self.stopped = False
        self.clockwork = ProbeScheduler(self.time.clock(), scheduler=HandWound)
        for name in self.paces:
            self.clockwork.add(self.ticker(name))
        self.clockwork.start()
        self.looked = self.time.monotonic

    def ticker(self, name: str) -> Ticker:
        def run(tick: Tick) -> None:
            assert 0 <= tick.lag <= self.paces[name].latest_start
            self.running.append(name)

        def unable(_tick: Tick, _error: Exception) -> None:
            self.finish(name)

        return Ticker(
            name,
            self.paces[name],
            run=run,
            unable=unable,
            gate=self.gate,
            book=self.books[name],
            crew=self.crew,
            clock=self.time.clock(),
        )

    def finish(self, name: str) -> None:
        if self.books[name].finish():
            self.finished[name] += 1

    @rule(seconds=st.floats(min_value=0, max_value=20))
    def time_passes_and_the_scheduler_looks(self, seconds: float) -> None:
        """It may look late: the machine was asleep, or the process was stopped."""
        self.time.advance(seconds)
        if not self.stopped:
            self.clockwork.scheduler.look()
            self.looked = self.time.monotonic

    @rule(seconds=st.floats(min_value=-1e6, max_value=1e6))
    def wall_clock_is_set(self, seconds: float) -> None:
        self.time.step_wall(seconds)

    @rule(full=st.booleans())
    def threads_run_out_or_come_back(self, full: bool) -> None:
        self.crew.full = full

    @rule(paused=st.booleans())
    def the_daemon_is_paused_or_resumed(self, paused: bool) -> None:
        self.gate.paused = paused

    @rule(data=st.data())
    @precondition(lambda self: self.crew.tasks)
    def a_thread_gets_round_to_a_task(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.crew.tasks) - 1))
        self.crew.tasks.pop(index)()

    @rule(data=st.data())
    @precondition(lambda self: self.running)
    def a_probe_comes_back(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.running) - 1))
        self.finish(self.running.pop(index))

    @rule()
    @precondition(lambda self: not self.stopped)
    def the_daemon_stops(self) -> None:
        self.gate.shut()
        self.clockwork.stop()
        self.stopped = True

    @rule()
    @precondition(lambda self: self.stopped)
    def the_daemon_gives_up_what_is_in_flight(self) -> None:
        self.ledger.close()

    @invariant()
    @precondition(lambda self: hasattr(self, "ledger"))
    def the_account_balances(self) -> None:
        for name, account in self.ledger.accounts().items():
            assert account.ticks == account.runs + sum(account.skipped.values()) + account.in_flight
            assert account.runs == self.finished[name]
            assert account.in_flight >= 0
            assert account.in_flight <= self.paces[name].limit

    @invariant()
    @precondition(lambda self: hasattr(self, "ledger"))
    def no_due_time_is_lost_or_made_up(self) -> None:
        for name, account in self.ledger.accounts().items():
            grid = Grid.of(name, self.paces[name].interval, anchor=self.anchor)
            due = max(0, (self.looked - grid.first) // grid.interval + 1)
            # a due time within the microsecond that APScheduler rounds to may be yet to come
            assert account.ticks in (due, due - 1)


TestAccounting = Machine.TestCase
TestAccounting.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


Entry = Callable[[TickAccounting, ProbeTicks], object]


@pytest.mark.parametrize(
    ("entry", "skip"),
    [
        (lambda _, book: book.skip(SkipReason.LATE), SkipReason.LATE),
        (lambda _, book: book.abandon(SkipReason.SHUTDOWN), SkipReason.SHUTDOWN),
        (lambda _, book: book.begin(limit=1), SkipReason.OVERLAP),
        (lambda ledger, _: ledger.close(), SkipReason.SHUTDOWN),
    ],
    ids=["late", "shutdown before the start", "overlap", "given up"],
)
def test_skips_have_their_reason(entry: Entry, skip: SkipReason) -> None:
    """A tick that does not become a request is counted under the reason why not."""
    ledger = TickAccounting()
    book = ledger.open("p")
    assert book.begin(limit=1)
    entry(ledger, book)
    assert {s: n for s, n in ledger.accounts()["p"].skipped.items() if n} == {skip: 1}


def test_what_is_given_up_does_not_finish() -> None:
    """A run that comes back after it was given up is not counted twice."""
    ledger = TickAccounting()
    book = ledger.open("p")
    book.begin(limit=1)
    ledger.close()
    assert book.finish() is False
    assert ledger.accounts()["p"].runs == 0


def test_a_name_that_comes_back_has_nothing_of_before() -> None:
    """What was in flight of a probe that was dropped does not finish in its namesake's book."""
    ledger = TickAccounting()
    before = ledger.open("p")
    before.begin(limit=1)
    ledger.drop("p")
    after = ledger.open("p")
    after.begin(limit=1)
    assert before.finish() is False
    assert (ledger.in_flight(), ledger.accounts()["p"].runs) == (1, 0)


class OneTicker:
    """A ticker of one probe, once a second, on a clockwork that is wound by hand."""

    def __init__(self) -> None:
        self.time, self.crew, self.gate, self.ledger = (
            FakeTime(),
            FakeCrew(),
            RunState(),
            TickAccounting(),
        )
        self.ran: list[Tick] = []
        self.failed: list[Exception] = []
        self.ticker = Ticker(
            "p",
            Schedule(interval=1.0, timeout=0.5),
            run=self.ran.append,
            unable=lambda _tick, error: self.failed.append(error),
            gate=self.gate,
            book=self.ledger.open("p"),
            crew=self.crew,
            clock=self.time.clock(),
        )
        self.clockwork = ProbeScheduler(self.time.clock(), scheduler=HandWound)
        self.clockwork.add(self.ticker)
        self.clockwork.start()

    @property
    def account(self) -> TickCounts:
        return self.ledger.accounts()["p"]

    def look_after(self, seconds: float) -> None:
        self.time.advance(seconds)
        self.clockwork.scheduler.look()


def test_late_ticks_are_skipped_and_the_next_one_runs() -> None:
    """After a stall every missed tick is `late`, all of them are counted, and probing goes on."""
    one = OneTicker()
    one.look_after(100.0)
    assert one.account.ticks == 100
    assert one.account.skipped[SkipReason.LATE] >= 99
    one.look_after(1.0)
    assert one.account.ticks == 101
    assert one.account.in_flight == 101 - one.account.skipped[SkipReason.LATE]


@pytest.mark.parametrize(
    ("interval", "timeout", "limit"),
    [(10.0, 5.0, 1), (1.0, 2.5, 4), (1.0, 5.0, 6), (10.0, 10.0, 2), (600.0, 5.0, 1)],
)
def test_overlap_limit(interval: float, timeout: float, limit: int) -> None:
    """As many runs may overlap as the timeout can ask for, the start's own lag included."""
    assert Schedule(interval=interval, timeout=timeout).limit == limit


def test_due_times_are_handed_over() -> None:
    """A run is told the due time that it stands for, not the time at which it got round to it."""
    one = OneTicker()
    due = one.time.monotonic
    one.ticker.tick(due)
    one.time.advance(0.3)
    one.crew.tasks.pop()()
    assert one.ran == [Tick(due=due, lag=0.3)]
    assert one.time.monotonic == due + 3 * SECOND // 10


def test_paused() -> None:
    """While it is paused ticks are `paused`, also one that was due and had not started yet."""
    one = OneTicker()
    one.ticker.tick(one.time.monotonic)
    one.gate.pause()
    one.crew.tasks.pop()()
    one.ticker.tick(one.time.monotonic)
    assert (one.account.skipped[SkipReason.PAUSED], one.ran) == (2, [])
    one.gate.resume()
    one.ticker.tick(one.time.monotonic)
    one.crew.tasks.pop()()
    assert len(one.ran) == 1


def test_a_removed_probe_sends_nothing_more() -> None:
    """What was due and waits for its thread is not started, and counted as what it is."""
    one = OneTicker()
    one.ticker.tick(one.time.monotonic)
    one.ticker.stop()
    one.crew.tasks.pop()()
    one.ticker.tick(one.time.monotonic)
    assert (one.ran, one.crew.tasks) == ([], [])
    assert (one.account.in_flight, one.account.skipped[SkipReason.SHUTDOWN]) == (0, 2)


def test_whatever_keeps_a_thread_from_starting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what nobody foresaw: else the tick would be in flight for ever."""
    one, no_memory = OneTicker(), MemoryError()

    def submit(_task: Task) -> None:
        raise no_memory

    monkeypatch.setattr(one.crew, "submit", submit)
    one.ticker.tick(one.time.monotonic)
    assert one.failed == [no_memory]


def test_heartbeat() -> None:
    """A scheduler that does not look any more is not ticking, whatever the probes' intervals; when
    it looks again, as after SIGCONT, it is.
    """
    one = OneTicker()
    one.look_after(1.0)
    one.time.advance(9.0)
    assert one.clockwork.ticking
    one.time.advance(2.0)
    assert not one.clockwork.ticking
    one.look_after(0.0)
    assert one.clockwork.ticking


def test_a_hung_scheduler_is_noticed_and_can_be_stopped() -> None:
    """APScheduler's own thread, caught in a tick that does not return."""
    hung, release = threading.Event(), threading.Event()
    ahead = 0

    class Stuck:
        def submit(self, _task: Task) -> None:
            hung.set()
            release.wait(10)

    clock = Clock(monotonic=lambda: time.monotonic_ns() + ahead)
    ticker = Ticker(
        "p",
        Schedule(interval=0.05, timeout=0.5),
        run=lambda _tick: None,
        unable=lambda _tick, _error: None,
        gate=RunState(),
        book=TickAccounting().open("p"),
        crew=Stuck(),
        clock=clock,
    )
    clockwork = ProbeScheduler(clock)
    clockwork.add(ticker)
    clockwork.start()
    try:
        assert hung.wait(5)
        assert clockwork.ticking
        ahead = 11 * SECOND
        assert not clockwork.ticking
        began = time.monotonic()
        clockwork.stop()
        assert time.monotonic() - began < 1
    finally:
        release.set()
