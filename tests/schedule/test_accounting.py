"""Every tick is accounted for: the second promise of the product, held against chance."""

from collections import Counter
from collections.abc import Callable

import pytest
from apscheduler.schedulers.base import BaseScheduler
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probe.clock import SECOND
from probe.schedule.clockwork import Clockwork
from probe.schedule.grid import Grid
from probe.schedule.ledger import Ledger
from probe.schedule.ticker import Pace, Tick, Ticker
from probe.vocabulary import Skip
from tests.fakes import FakeCrew, FakeTime


class HandWound(BaseScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler itself, without its thread: it looks for due jobs when the test says so."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def wakeup(self) -> None:
        pass

    def look(self) -> None:
        self._process_jobs()


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
        self.paces = {f"p{n}": Pace(interval=i, timeout=t) for n, (i, t) in enumerate(paces)}
        self.ledger = Ledger(self.paces)
        self.running: list[str] = []
        self.finished: Counter[str] = Counter()
        self.stopped = False
        self.clockwork = Clockwork(
            [self.ticker(name) for name in self.paces], self.time.clock(), scheduler=HandWound
        )
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
            ledger=self.ledger,
            crew=self.crew,
            clock=self.time.clock(),
        )

    def finish(self, name: str) -> None:
        if self.ledger.finish(name):
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


Entry = Callable[[Ledger], object]


@pytest.mark.parametrize(
    ("entry", "skip"),
    [
        (lambda ledger: ledger.skip("p", Skip.LATE), Skip.LATE),
        (lambda ledger: ledger.abandon("p", Skip.SHUTDOWN), Skip.SHUTDOWN),
        (lambda ledger: ledger.begin("p", limit=1), Skip.OVERLAP),
        (lambda ledger: ledger.close(), Skip.SHUTDOWN),
    ],
    ids=["late", "shutdown before the start", "overlap", "given up"],
)
def test_skips_have_their_reason(entry: Entry, skip: Skip) -> None:
    """A tick that does not become a request is counted under the reason why not."""
    ledger = Ledger(["p"])
    assert ledger.begin("p", limit=1)
    entry(ledger)
    assert {s: n for s, n in ledger.accounts()["p"].skipped.items() if n} == {skip: 1}


def test_what_is_given_up_does_not_finish() -> None:
    """A run that comes back after it was given up is not counted twice."""
    ledger = Ledger(["p"])
    ledger.begin("p", limit=1)
    ledger.close()
    assert ledger.finish("p") is False
    assert ledger.accounts()["p"].runs == 0


def test_late_ticks_are_skipped_and_the_next_one_runs() -> None:
    """After a stall every missed tick is `late`, all of them are counted, and probing goes on."""
    time, crew, ledger = FakeTime(), FakeCrew(), Ledger(["p"])
    ran: list[Tick] = []
    ticker = Ticker(
        "p",
        Pace(interval=1.0, timeout=0.5),
        run=ran.append,
        unable=lambda _tick, _error: None,
        ledger=ledger,
        crew=crew,
        clock=time.clock(),
    )
    clockwork = Clockwork([ticker], time.clock(), scheduler=HandWound)
    clockwork.start()
    time.advance(100.0)
    clockwork.scheduler.look()
    account = ledger.accounts()["p"]
    assert account.ticks == 100
    assert account.skipped[Skip.LATE] >= 99
    time.advance(1.0)
    clockwork.scheduler.look()
    assert ledger.accounts()["p"].ticks == 101
    assert ledger.in_flight() == 101 - ledger.accounts()["p"].skipped[Skip.LATE]


@pytest.mark.parametrize(
    ("interval", "timeout", "limit"),
    [(10.0, 5.0, 1), (1.0, 2.5, 4), (1.0, 5.0, 6), (10.0, 10.0, 2), (600.0, 5.0, 1)],
)
def test_overlap_limit(interval: float, timeout: float, limit: int) -> None:
    """As many runs may overlap as the timeout can ask for, the start's own lag included."""
    assert Pace(interval=interval, timeout=timeout).limit == limit


def test_due_times_are_handed_over() -> None:
    """A run is told the due time that it stands for, not the time at which it got round to it."""
    time, crew, ledger = FakeTime(), FakeCrew(), Ledger(["p"])
    ran: list[Tick] = []
    pace = Pace(interval=1.0, timeout=0.5)
    ticker = Ticker(
        "p",
        pace,
        run=ran.append,
        unable=lambda _tick, _error: None,
        ledger=ledger,
        crew=crew,
        clock=time.clock(),
    )
    due = time.monotonic
    ticker.tick(due)
    time.advance(0.3)
    crew.tasks.pop()()
    assert ran == [Tick(due=due, lag=0.3)]
    assert time.monotonic == due + 3 * SECOND // 10
