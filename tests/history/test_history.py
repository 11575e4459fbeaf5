"""What is remembered of probes, and for how long."""

import gc
import sys
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.history.history import History
from probe.history.objectives import GoodBad, ObjectiveStatus, SlidingWindowCounter, StatusWindow
from probe.history.quantiles import phase_quantiles, quantiles
from probe.history.result_codec import pack, read_summary, unpack
from probe.history.slot_counts import SlotCounts
from probe.history.snapshots import (
    MAX_EXCERPTS,
    MAX_FAILURES,
    MAX_OUTAGES,
    MAX_RESULTS,
    ProbeHistory,
)
from probe.history.version_log import MAX_VERSIONS
from probe.result import (
    MAX_TOKEN_TIMES,
    Component,
    Excerpt,
    Failure,
    Phase,
    Reason,
    RedirectHop,
    Result,
    ResultKind,
    classify_result,
)
from probe.result_batch import BATCH_RESULTS
from tests.builders import MEASURED_STREAM, make_probe, make_result

# Unix time at which the monotonic clock of the harness is 0: 10 minutes after a half hour.
UNIX_OFFSET = 1800.0 * 1_000_000 + 600

FAST = {"name": "fast", "target": "90%", "latency": "200ms"}
UP = {"name": "up", "target": "50%"}


class HistoryHarness:
    """A history of one probe, `model`, with a settable clock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 100_000.0
        self.history = History(lambda: self.now, lambda: self.now + UNIX_OFFSET)
        self.history.add_probe(make_probe(directory, objectives=[FAST, UP]), lambda: 0.0)

    def set_objectives(self, *objectives: dict[str, str]) -> None:
        self.history.update_probe(make_probe(self.directory, objectives=list(objectives)))

    def snapshot(self) -> ProbeHistory:
        snapshot = self.history.snapshot("model")
        assert snapshot
        return snapshot

    def status(self, name: str = "fast") -> ObjectiveStatus:
        return next(
            status for status in self.snapshot().objectives if status.objective.name == name
        )

    def fail(self, number: int) -> None:
        """Record a failure whose response has `number` as its status and in a header."""
        excerpt = Excerpt(headers={"N": str(number)}, body="no")
        failure = make_result(reason=Reason.OVERLOADED, excerpt=excerpt)
        self.history.record(replace(failure, status=number))


@pytest.fixture
def harness(tmp_path: Path) -> HistoryHarness:
    return HistoryHarness(tmp_path)


def test_objective_by_window(harness: HistoryHarness) -> None:
    """Each window counts the good and bad events of its time."""
    for _ in range(8):
        harness.history.record(make_result(latency=0.1))
    harness.now += 600
    harness.history.record(make_result(latency=0.3))
    harness.now += 3400
    harness.history.record(make_result(latency=0.2))
    assert harness.status().counts == {
        StatusWindow.FIVE_MINUTES: GoodBad(good=1, bad=0),
        StatusWindow.HOUR: GoodBad(good=1, bad=1),
        StatusWindow.BUDGET_PERIOD: GoodBad(good=9, bad=1),
    }
    assert [harness.status().met(window) for window in StatusWindow] == [True, False, True]
    assert harness.status().covered_seconds == 4000


def test_budget(harness: HistoryHarness) -> None:
    """With a target of 90 %, one bad result of 10 spends the whole budget."""
    assert harness.status().budget_left is None
    for _ in range(9):
        harness.history.record(make_result(latency=0.1))
    assert harness.status().budget_left == 1
    harness.history.record(make_result(latency=0.3))
    assert harness.status().budget_left == pytest.approx(0)
    harness.history.record(make_result(reason=Reason.RESET))
    assert harness.status().budget_left == pytest.approx(1 - (2 / 11) / 0.1)
    assert harness.status("up").budget_left == pytest.approx(1 - (1 / 11) / 0.5)


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.counts_against_slo])
def test_failures_outside_the_slo_are_kept_and_not_counted(
    harness: HistoryHarness, reason: Reason
) -> None:
    """`internal` and `startup` are among the failures but spend no budget."""
    harness.history.record(make_result(reason=reason))
    assert harness.status().counts[StatusWindow.BUDGET_PERIOD] == GoodBad(0, 0)
    assert harness.status().met(StatusWindow.BUDGET_PERIOD) is None
    assert [
        result.failure and result.failure.reason for result in harness.snapshot().failures()
    ] == [reason]


def test_failures_outlive_successes(harness: HistoryHarness) -> None:
    """A failure is kept when all successes of its time have been dropped."""
    harness.history.record(make_result(reason=Reason.TLS))
    for _ in range(MAX_RESULTS):
        harness.history.record(make_result())
    assert {result.failure for result in harness.snapshot().recent()} == {None}
    assert len(harness.snapshot().recent()) == MAX_RESULTS
    assert len(harness.snapshot().failures()) == 1


def test_the_latest_failures_keep_their_responses(harness: HistoryHarness) -> None:
    """The number of failures is limited, and that of responses even more: those of the latest
    failures and of the first failure of the outage are kept.
    """
    for n in range(MAX_FAILURES + 5):
        harness.fail(n)
    failures = harness.snapshot().failures()
    assert len(failures) == MAX_FAILURES + 1
    numbers = [result.excerpt and result.excerpt.headers["N"] for result in failures]
    latest = [str(MAX_FAILURES + 4 - n) for n in range(MAX_EXCERPTS)]
    assert numbers == latest + [None] * (MAX_FAILURES - MAX_EXCERPTS) + ["0"]


def test_outages_keep_their_first_failure(harness: HistoryHarness) -> None:
    """The first failure of each of the latest outages is kept, however long the outages are."""
    for outage in range(MAX_OUTAGES + 2):
        harness.history.record(make_result())
        for n in range(2 * MAX_EXCERPTS):
            harness.fail(100 * outage + n)
    kept = {
        result.excerpt.headers["N"] for result in harness.snapshot().failures() if result.excerpt
    }
    assert {f"{100 * outage}" for outage in range(2, MAX_OUTAGES + 2)} < kept
    assert not {"0", "100"} & kept
    statuses = [result.status or 0 for result in harness.snapshot().failures()]
    assert statuses == sorted(set(statuses), reverse=True)


def test_no_failure_is_forgotten_before_an_older_success(harness: HistoryHarness) -> None:
    """The failures include all failures among the recent results, at any ratio of failures."""
    for n in range(2 * MAX_RESULTS):
        harness.history.record(make_result()) if n % 3 == 0 else harness.fail(n)
    failed = [result.status for result in harness.snapshot().recent() if result.failure]
    kept = [result.status for result in harness.snapshot().failures()]
    assert set(failed) <= set(kept)


def test_slowest_of_the_last_hour(harness: HistoryHarness) -> None:
    """The slowest success of each five minutes is kept for an hour."""
    for latency in (0.2, 0.9, 0.1):
        harness.history.record(make_result(latency=latency))
    harness.history.record(make_result(latency=5.0, reason=Reason.BODY_TIMEOUT))
    harness.now += 1800
    for _ in range(MAX_RESULTS):
        harness.history.record(make_result(latency=0.3))
    assert [result.latency for result in harness.snapshot().slowest()] == [0.9, 0.3]
    harness.now += 2100
    assert [result.latency for result in harness.snapshot().slowest()] == [0.3]
    harness.now += 3600
    assert harness.snapshot().slowest() == []


def test_a_probe_that_is_set_again_keeps_its_results(harness: HistoryHarness) -> None:
    """A reload resets only an objective whose threshold changed."""
    harness.history.record(make_result(latency=0.1))
    harness.now += 60
    harness.set_objectives(FAST | {"target": "80%"}, UP | {"latency": "1s"})
    assert harness.status("fast").counts[StatusWindow.BUDGET_PERIOD] == GoodBad(good=1, bad=0)
    assert harness.status("fast").objective.target == pytest.approx(0.8)
    assert harness.status("up").counts[StatusWindow.BUDGET_PERIOD] == GoodBad(0, 0)
    assert (harness.status("fast").covered_seconds, harness.status("up").covered_seconds) == (60, 0)
    assert len(harness.snapshot().recent()) == 1


def test_objectives_on_signals_of_streams(tmp_path: Path) -> None:
    """A failure is bad for each signal. A success without a value is no event, and not slow."""
    first = {"name": "first", "target": "90%", "time_to_first_token": "50ms"}
    each = {"name": "each", "target": "90%", "time_per_output_token": "3ms"}
    harness = HistoryHarness(tmp_path)
    stream = {"content": "$.text", "usage": {"output": "$.usage"}}
    objectives = [FAST, first, each]
    harness.history.update_probe(make_probe(tmp_path, stream=stream, objectives=objectives))
    for result in (
        make_result(stream=MEASURED_STREAM),
        make_result(stream=replace(MEASURED_STREAM, time_per_output_token=None)),
        make_result(reason=Reason.TRUNCATED, stream=MEASURED_STREAM),
    ):
        harness.history.record(result)
    kept = {
        name: harness.status(name).counts[StatusWindow.BUDGET_PERIOD]
        for name in ("fast", "first", "each")
    }
    assert kept == {"fast": (2, 1), "first": (2, 1), "each": (0, 2)}
    assert harness.history.half_hours("model")[-1][1:] == (1, 1, 1)
    thresholds = harness.snapshot().probe.strictest_thresholds
    kinds = [classify_result(item, thresholds) for item in harness.snapshot().summaries()]
    assert kinds == [ResultKind.SLOW, ResultKind.GOOD, ResultKind.FAILED]
    assert harness.snapshot().recent()[0].stream == MEASURED_STREAM
    harness.history.update_probe(
        make_probe(tmp_path, stream=stream, objectives=[{**first, "name": "each"}])
    )
    assert harness.status("each").counts[StatusWindow.BUDGET_PERIOD] == (0, 0)


def test_removed_probe(harness: HistoryHarness) -> None:
    """A late result of a removed probe is ignored."""
    harness.history.remove_probe("model")
    harness.history.record(make_result())
    assert harness.history.snapshot("model") is None


def test_snapshots_do_not_change(harness: HistoryHarness) -> None:
    """A later result is not in an earlier snapshot."""
    before = harness.snapshot()
    harness.history.record(make_result())
    assert (before.recent(), before.objectives[0].counts[StatusWindow.BUDGET_PERIOD]) == (
        [],
        GoodBad(0, 0),
    )


def test_memory_is_bounded(harness: HistoryHarness) -> None:
    """A probe takes at most 110 kB, even if all results are failures with a response."""
    excerpt = Excerpt(headers={"Header": "h" * 1000}, body="b" * 1024)

    def fill(results: int) -> None:
        for n in range(results):
            body = f"{n}{excerpt.body[4:]}"
            result = make_result(reason=Reason.OVERLOADED, excerpt=replace(excerpt, body=body))
            harness.history.record(result)

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
    # Threads left by other tests may allocate memory in between, but not each time.
    assert min(after - before for before, after in pairwise([full, *more])) < 5_000


def test_bytes_of_a_result() -> None:
    """Token times take 4 bytes each, and nothing in results that are no streams."""
    times = tuple(n / 7 for n in range(MAX_TOKEN_TIMES))
    without = len(pack(make_result(stream=MEASURED_STREAM)))
    assert len(pack(make_result(stream=replace(MEASURED_STREAM, token_times=times)))) <= (
        without + 4 * MAX_TOKEN_TIMES
    )
    assert len(pack(make_result())) < 120


seconds = st.floats(0, 1e4)
phases = st.dictionaries(st.sampled_from(Phase), seconds)
streams = st.builds(
    replace,
    st.just(MEASURED_STREAM),
    finish_reason=st.none() | st.text(),
    token_times=st.lists(st.floats(0, 1e4, width=32), max_size=MAX_TOKEN_TIMES).map(tuple),
)
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
    server_ignored=st.integers(0, 2**40),
    merged_reads=st.integers(0, 2**40),
    hops=st.lists(hops).map(tuple),
    final_hop=st.none() | hops,
    clock=st.sampled_from(["kernel", "user"]),
    correction=seconds,
    size=st.integers(0, 2**40),
    stream=st.none() | streams,
    certificate_not_after=st.none() | seconds,
    excerpt=st.none(),
)


@given(results)
def test_results_are_unpacked_unchanged(result: Result) -> None:
    """No field of a result is lost or rounded, except `excerpt` and the digits of token times."""
    assert unpack("model", pack(result)) == result
    summary = read_summary(pack(result))
    assert summary.latency == result.latency
    assert summary.reason == (result.failure.reason if result.failure else None)


@given(st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=60), st.integers(1, 40))
def test_counter_counts_like_a_list(steps: list[tuple[int, bool]], back: int) -> None:
    """The counter agrees with a list of all events, over gaps of any length."""
    counter, events, now = SlidingWindowCounter(slot_seconds=10, slot_count=40), [], 12345
    for step, good in steps:
        now += step
        counter.add(now, good=good)
        events.append((now // 10, good))
    recent = [good for slot, good in events if slot > now // 10 - back]
    expected = GoodBad(good=recent.count(True), bad=recent.count(False))
    assert counter.count(now, back * 10) == expected


def test_quantiles() -> None:
    """Quantiles are measured times; those of phases are of successes with the phase."""
    assert quantiles([]) == {}
    assert quantiles(n / 100 for n in range(100, 0, -1)) == {0.5: 0.5, 0.95: 0.95, 0.99: 0.99}
    by_phase = phase_quantiles(
        [
            make_result(latency=0.1),
            make_result(latency=0.1),
            make_result(latency=0.2, phases={Phase.TLS: 0.3}),
            make_result(latency=9.0, reason=Reason.RESET),
        ]
    )
    assert by_phase == {
        Phase.TLS: (1, {0.5: 0.3, 0.95: 0.3, 0.99: 0.3}),
        Phase.WAIT: (2, {0.5: 0.1, 0.95: 0.1, 0.99: 0.1}),
    }


def test_results_by_half_hour(harness: HistoryHarness) -> None:
    """Results are counted by kind and half hour of the wall clock for 24 hours.

    Failures that do not count are left out.
    """
    harness.now = 1800.0 * 100 + 1140
    harness.history.record(make_result(latency=0.1))
    harness.history.record(make_result(latency=0.3))
    harness.history.record(make_result(reason=Reason.REFUSED))
    harness.history.record(make_result(reason=Reason.STARTUP))
    harness.now += 60
    harness.history.record(make_result(latency=0.1))
    half_hours = harness.history.half_hours("model")
    assert len(half_hours) == 48
    first = 1800.0 * 1_000_100
    assert half_hours[-2:] == [(first, 1, 1, 1), (first + 1800, 1, 0, 0)]
    assert {half_hour.total for half_hour in half_hours[:-2]} == {0}
    harness.now += 1800 * 46
    half_hours = harness.history.half_hours("model")
    assert [half_hour.total for half_hour in half_hours[:2]] == [3, 1]
    harness.now += 1800
    half_hours = harness.history.half_hours("model")
    assert [half_hour.total for half_hour in half_hours[:2]] == [1, 0]
    harness.now += 1800 * 1000
    assert {half_hour.total for half_hour in harness.history.half_hours("model")} == {0}
    assert harness.history.half_hours("unknown") == []


def test_certificate_of_another_url(harness: HistoryHarness) -> None:
    """The expiry outlasts a failure without a connection, but not another URL or HTTP."""
    harness.history.record(replace(make_result(), certificate_not_after=2e9))
    harness.history.record(make_result(reason=Reason.REFUSED))
    assert harness.snapshot().certificate_not_after == 2e9
    harness.history.update_probe(make_probe(harness.directory, url="http://127.0.0.1:2/"))
    assert harness.snapshot().certificate_not_after is None
    started = datetime.fromtimestamp(harness.now + UNIX_OFFSET, UTC)
    harness.history.record(replace(make_result(), started=started, certificate_not_after=2e9))
    assert harness.snapshot().certificate_not_after == 2e9
    harness.history.record(replace(make_result(), started=started))
    assert harness.snapshot().certificate_not_after is None


def test_certificate_of_a_run_in_flight(harness: HistoryHarness) -> None:
    """A run that started before the URL changed does not set the expiry for the new URL."""
    started = datetime.fromtimestamp(harness.now + UNIX_OFFSET - 1, UTC)
    harness.history.update_probe(make_probe(harness.directory, url="http://127.0.0.1:2/"))
    harness.history.record(replace(make_result(), started=started, certificate_not_after=2e9))
    assert harness.snapshot().certificate_not_after is None


def test_recent_results_are_in_order(harness: HistoryHarness) -> None:
    """Recent results have the times of their start, in order."""
    start = datetime(2026, 1, 2, tzinfo=UTC)
    for n in range(3):
        harness.history.record(replace(make_result(), started=start + timedelta(seconds=n)))
    assert [result.started.second for result in harness.snapshot().recent()] == [0, 1, 2]


def test_the_slowest_is_kept_for_an_hour(harness: HistoryHarness) -> None:
    """The hour is the twelve periods of five minutes that end with the current one."""
    harness.now = 300.0 * 1000
    harness.history.record(make_result(latency=0.9))
    harness.now += 300 * 12 - 1
    assert [result.latency for result in harness.snapshot().slowest()] == [0.9]
    harness.now += 1
    assert harness.snapshot().slowest() == []


@pytest.mark.parametrize("gap", range(4, 13))
def test_counter_after_a_gap(gap: int) -> None:
    """Old events are gone after a gap of any length, also of a multiple of the ring."""
    counter = SlidingWindowCounter(slot_seconds=10, slot_count=4)
    counter.add(1000, good=False)
    assert counter.count(1000 + 10 * gap, 40) == GoodBad()


@given(st.lists(st.integers(-9, 9), max_size=12), st.integers(1, 9))
@example([65_535, 1, -1, 2], 2)
def test_slots_count_like_a_list(steps: list[int], wanted: int) -> None:
    """Counts of slots agree with a list, also above 65,535 events in one of them.

    A step is a number of events, or of slots that begin if it is negative.
    """
    slots, expected = SlotCounts(4), [0] * 10
    for step in steps:
        if step < 0:
            slots.begin(-step)
            expected += [0] * -step
        for _ in range(step):
            slots.increment()
        expected[-1] += max(step, 0)
    expected = [0] * 9 + expected[-4:]
    assert slots.last(wanted) == expected[-wanted:]
    assert slots.sum_of_last(wanted) == sum(expected[-wanted:])


def test_versions_are_limited(tmp_path: Path) -> None:
    """The one that was not seen for longest is dropped."""
    harness = HistoryHarness(tmp_path)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    names = [f"v{index}" for index in range(MAX_VERSIONS)]
    for index, version in enumerate([*names, "v0", "new"]):
        result = make_result(version=version)
        harness.history.record(replace(result, started=start + timedelta(minutes=index)))
    versions = [period.version for period in harness.snapshot().versions]
    assert versions == ["new", *reversed(names[2:]), "v0"]


def test_results_are_added_in_batches(harness: HistoryHarness) -> None:
    """Without reads, they do not pile up."""
    result = make_result()
    references = sys.getrefcount(result)
    for _ in range(BATCH_RESULTS - 1):
        harness.history.record(result)
    assert sys.getrefcount(result) == references + BATCH_RESULTS - 1
    harness.history.record(result)
    assert sys.getrefcount(result) == references
    assert len(harness.snapshot().recent()) == 16


def test_results_of_a_removed_probe_are_not_those_of_a_new_one(harness: HistoryHarness) -> None:
    harness.history.record(make_result())
    harness.history.remove_probe("model")
    harness.history.add_probe(make_probe(harness.directory), lambda: 0.0)
    assert harness.snapshot().recent() == []


def test_a_result_belongs_to_the_time_of_its_end(harness: HistoryHarness) -> None:
    """It is not that of the read. Half hours do not go back if threads read the clock in turn."""
    harness.now += 1800.0 - (harness.now + UNIX_OFFSET) % 1800.0
    harness.history.record(make_result())
    harness.now -= 0.1
    harness.history.record(make_result())
    harness.now += 0.1 + 1800.0
    half_hours = harness.history.half_hours("model")
    assert [half_hour.total for half_hour in half_hours[-3:]] == [0, 2, 0]


def test_a_bug_loses_no_other_result(
    harness: HistoryHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the exception."""

    def fail_for_dns(result: Result) -> bytes:
        if result.reason is Reason.DNS:
            raise RuntimeError("failed on purpose")
        return pack(result)

    monkeypatch.setattr("probe.history.history.pack", fail_for_dns)
    for reason in (None, Reason.DNS, None):
        harness.history.record(make_result(reason=reason))
    assert [result.reason for result in harness.snapshot().recent()] == [None, None]
    assert "keeping a result of the probe model failed" in caplog.text
    assert "failed on purpose" in caplog.text
