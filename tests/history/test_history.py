"""What is remembered of probes, and for how long."""

import gc
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.history.history import (
    MAX_EXCERPTS,
    MAX_FAILURES,
    MAX_OUTAGES,
    MAX_RESULTS,
    History,
    ProbeHistory,
)
from probe.history.objectives import GoodBad, ObjectiveStatus, SlidingWindowCounter, StatusWindow
from probe.history.packed import pack, phase_quantiles, quantiles, read_summary, unpack
from probe.result import Component, Excerpt, Failure, Phase, Reason, RedirectHop, Result
from tests.builders import probe_of, result_of

FAST = {"name": "fast", "target": "90%", "latency": "200ms"}
UP = {"name": "up", "target": "50%"}


class Past:
    """A history of one probe called `model`, and a clock to hold."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 100_000.0
        self.history = History(lambda: self.now)
        self.watch(FAST, UP)

    def watch(self, *objectives: dict[str, str]) -> None:
        self.history.set_probe(probe_of(self.directory, objectives=list(objectives)))

    def kept(self) -> ProbeHistory:
        kept = self.history.snapshot("model")
        assert kept
        return kept

    def standing(self, name: str = "fast") -> ObjectiveStatus:
        return next(one for one in self.kept().objectives if one.objective.name == name)

    def fail(self, number: int) -> None:
        """With an answer that has this number in a header, and for a status."""
        excerpt = Excerpt(headers={"N": str(number)}, body="no")
        failure = result_of(reason=Reason.OVERLOADED, excerpt=excerpt)
        self.history.record(replace(failure, status=number))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


def test_an_objective_over_each_window(past: Past) -> None:
    """What was good and bad in 5 minutes, an hour and altogether is told apart."""
    for _ in range(8):
        past.history.record(result_of(latency=0.1))
    past.now += 600
    past.history.record(result_of(latency=0.3))
    past.now += 3400
    past.history.record(result_of(latency=0.2))
    assert past.standing().counts == {
        StatusWindow.FIVE_MINUTES: GoodBad(good=1, bad=0),
        StatusWindow.HOUR: GoodBad(good=1, bad=1),
        StatusWindow.BUDGET_PERIOD: GoodBad(good=9, bad=1),
    }
    assert [past.standing().met(window) for window in StatusWindow] == [True, False, True]
    assert past.standing().covered_seconds == 4000


def test_the_budget_is_what_the_target_allows(past: Past) -> None:
    """Of 10 results with 90 % promised one may be bad: then the budget is spent to the end."""
    assert past.standing().budget_left is None
    for _ in range(9):
        past.history.record(result_of(latency=0.1))
    assert past.standing().budget_left == 1
    past.history.record(result_of(latency=0.3))
    assert past.standing().budget_left == pytest.approx(0)
    past.history.record(result_of(reason=Reason.RESET))
    assert past.standing().budget_left == pytest.approx(1 - (2 / 11) / 0.1)
    assert past.standing("up").budget_left == pytest.approx(1 - (1 / 11) / 0.5)


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.counts_against_slo])
def test_what_is_not_the_models_fault_is_shown_and_not_counted(past: Past, reason: Reason) -> None:
    """A failure of ours, or of a model that starts, is among the failures but spends no budget."""
    past.history.record(result_of(reason=reason))
    assert past.standing().counts[StatusWindow.BUDGET_PERIOD] == GoodBad(0, 0)
    assert past.standing().met(StatusWindow.BUDGET_PERIOD) is None
    assert [one.failure and one.failure.reason for one in past.kept().failures()] == [reason]


def test_failures_outlive_successes(past: Past) -> None:
    """A failure is still there when every success of its time is gone."""
    past.history.record(result_of(reason=Reason.TLS))
    for _ in range(MAX_RESULTS):
        past.history.record(result_of())
    assert {one.failure for one in past.kept().recent()} == {None}
    assert len(past.kept().recent()) == MAX_RESULTS
    assert len(past.kept().failures()) == 1


def test_the_latest_failures_keep_their_answers(past: Past) -> None:
    """Failures are bounded in number, and their answers in a smaller one: the latest, and the one
    with which it all began.
    """
    for n in range(MAX_FAILURES + 5):
        past.fail(n)
    failures = past.kept().failures()
    assert len(failures) == MAX_FAILURES + 1
    told = [one.excerpt and one.excerpt.headers["N"] for one in failures]
    latest = [str(MAX_FAILURES + 4 - n) for n in range(MAX_EXCERPTS)]
    assert told == latest + [None] * (MAX_FAILURES - MAX_EXCERPTS) + ["0"]


def test_outages_keep_their_first_failure(past: Past) -> None:
    """The cause of an outage is there when the outage has filled all else; of many, the latest."""
    for outage in range(MAX_OUTAGES + 2):
        past.history.record(result_of())
        for n in range(2 * MAX_EXCERPTS):
            past.fail(100 * outage + n)
    told = {one.excerpt.headers["N"] for one in past.kept().failures() if one.excerpt}
    assert {f"{100 * outage}" for outage in range(2, MAX_OUTAGES + 2)} < told
    assert not {"0", "100"} & told
    numbers = [one.status or 0 for one in past.kept().failures()]
    assert numbers == sorted(set(numbers), reverse=True)


def test_no_failure_is_forgotten_before_an_older_success(past: Past) -> None:
    """Whatever the share of failures: those among the last results are all there."""
    for n in range(2 * MAX_RESULTS):
        past.history.record(result_of()) if n % 3 == 0 else past.fail(n)
    failed = [one.status for one in past.kept().recent() if one.failure]
    kept = [one.status for one in past.kept().failures()]
    assert set(failed) <= set(kept)


def test_the_slowest_of_the_last_hour(past: Past) -> None:
    """Each five minutes keep their slowest success, for an hour, whatever came after it."""
    for latency in (0.2, 0.9, 0.1):
        past.history.record(result_of(latency=latency))
    past.history.record(result_of(latency=5.0, reason=Reason.BODY_TIMEOUT))
    past.now += 1800
    for _ in range(MAX_RESULTS):
        past.history.record(result_of(latency=0.3))
    assert [one.latency for one in past.kept().slowest()] == [0.9, 0.3]
    past.now += 2100
    assert [one.latency for one in past.kept().slowest()] == [0.3]
    past.now += 3600
    assert past.kept().slowest() == []


def test_a_probe_that_is_watched_again_keeps_its_past(past: Past) -> None:
    """A reload loses nothing; only an objective whose threshold moved begins anew."""
    past.history.record(result_of(latency=0.1))
    past.now += 60
    past.watch(FAST | {"target": "80%"}, UP | {"latency": "1s"})
    assert past.standing("fast").counts[StatusWindow.BUDGET_PERIOD] == GoodBad(good=1, bad=0)
    assert past.standing("fast").objective.target == pytest.approx(0.8)
    assert past.standing("up").counts[StatusWindow.BUDGET_PERIOD] == GoodBad(0, 0)
    assert (past.standing("fast").covered_seconds, past.standing("up").covered_seconds) == (60, 0)
    assert len(past.kept().recent()) == 1


def test_a_forgotten_probe_stays_forgotten(past: Past) -> None:
    """What comes back of a removed probe is not remembered, and does no harm."""
    past.history.remove_probe("model")
    past.history.record(result_of())
    assert past.history.snapshot("model") is None


def test_what_was_shown_does_not_change(past: Past) -> None:
    """A snapshot is of one moment."""
    before = past.kept()
    past.history.record(result_of())
    assert (before.recent(), before.objectives[0].counts[StatusWindow.BUDGET_PERIOD]) == (
        [],
        GoodBad(0, 0),
    )


def test_memory_is_bounded(past: Past) -> None:
    """However many results come, all with an answer, a probe takes 110 kB at most."""
    excerpt = Excerpt(headers={"Header": "h" * 1000}, body="b" * 1024)

    def fill(results: int) -> None:
        for n in range(results):
            body = f"{n}{excerpt.body[4:]}"
            result = result_of(reason=Reason.OVERLOADED, excerpt=replace(excerpt, body=body))
            past.history.record(result)

    def held() -> int:
        fill(500)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        full, *more = (held() for _ in range(4))
    finally:
        tracemalloc.stop()
    assert full < 110_000
    # threads that other tests have left may add to it now and then, but not each time
    assert min(after - before for before, after in pairwise([full, *more])) < 5_000


seconds = st.floats(0, 1e4)
phases = st.dictionaries(st.sampled_from(Phase), seconds)
hops = st.builds(
    RedirectHop, url=st.text(), status=st.none() | st.integers(100, 599), phases=phases
)
dates = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
results = st.builds(
    Result,
    probe=st.just("model"),
    started=dates,
    due=st.none() | dates,
    phases=phases,
    failure=st.none() | st.builds(Failure, reason=st.sampled_from(Reason), detail=st.text()),
    status=st.none() | st.integers(100, 599),
    server=st.dictionaries(st.sampled_from(Component), seconds),
    hops=st.lists(hops).map(tuple),
    final_hop=st.none() | hops,
    clock=st.sampled_from(["kernel", "user"]),
    correction=seconds,
    size=st.integers(0, 2**40),
    certificate_not_after=st.none() | seconds,
    excerpt=st.none(),
)


@given(results)
def test_a_result_comes_back_as_it_was(result: Result) -> None:
    """Nothing of a result is lost or rounded by being put away."""
    assert unpack("model", pack(result)) == result
    seen = read_summary(pack(result))
    assert seen.latency == result.latency
    assert seen.reason == (result.failure.reason if result.failure else None)


@given(st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=60), st.integers(1, 40))
def test_a_tally_counts_like_a_list(steps: list[tuple[int, bool]], back: int) -> None:
    """The ring says what counting all events of those slots says, over any gaps."""
    tally, events, now = SlidingWindowCounter(slot_seconds=10, slot_count=40), [], 12345
    for step, good in steps:
        now += step
        tally.add(now, good=good)
        events.append((now // 10, good))
    recent = [good for slot, good in events if slot > now // 10 - back]
    expected = GoodBad(good=recent.count(True), bad=recent.count(False))
    assert tally.count(now, back * 10) == expected


def test_quantiles_are_times_that_were_measured() -> None:
    """By the nearest rank; of phases only those that happened, of successes."""
    assert quantiles([]) == {}
    assert quantiles(n / 100 for n in range(100, 0, -1)) == {0.5: 0.5, 0.95: 0.95, 0.99: 0.99}
    told = phase_quantiles(
        [
            result_of(latency=0.1),
            result_of(latency=0.2, phases={Phase.TLS: 0.3}),
            result_of(latency=9.0, reason=Reason.RESET),
        ]
    )
    assert told == {
        Phase.TLS: {0.5: 0.3, 0.95: 0.3, 0.99: 0.3},
        Phase.WAIT: {0.5: 0.1, 0.95: 0.1, 0.99: 0.1},
    }


def test_results_are_remembered_with_their_times(past: Past) -> None:
    """The last results come back in order, at the instants at which they started."""
    start = datetime(2026, 1, 2, tzinfo=UTC)
    for n in range(3):
        past.history.record(replace(result_of(), started=start + timedelta(seconds=n)))
    assert [one.started.second for one in past.kept().recent()] == [0, 1, 2]


def test_the_slowest_is_kept_for_an_hour(past: Past) -> None:
    """For twelve times five minutes, of which the one under way is the last."""
    past.now = 300.0 * 1000
    past.history.record(result_of(latency=0.9))
    past.now += 300 * 12 - 1
    assert [one.latency for one in past.kept().slowest()] == [0.9]
    past.now += 1
    assert past.kept().slowest() == []


@pytest.mark.parametrize("gap", range(4, 13))
def test_a_tally_forgets_over_a_gap_of_any_length(gap: int) -> None:
    """Also over one that is as long as its ring, or twice, where its slots are the same again."""
    tally = SlidingWindowCounter(slot_seconds=10, slot_count=4)
    tally.add(1000, good=False)
    assert tally.count(1000 + 10 * gap, 40) == GoodBad()
