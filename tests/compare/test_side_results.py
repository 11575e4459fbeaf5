"""What counts as bad, and which latencies are compared."""

from dataclasses import replace

import pytest

from probe.compare.comparison import PERCENTILES, Margins, compare_results, result_differences
from probe.compare.difference import Verdict, evaluate
from probe.compare.side_results import SideResults
from probe.result import Reason, Result, Signal
from tests.builders import MEASURED_STREAM, make_result

MARGINS = Margins(latency=0.05, bad_share=0.01)
PERCENTILE_NAMES = [name for name, _, _ in PERCENTILES]


def test_results() -> None:
    """Failures and slow successes are bad, and only successes have a latency."""
    side = SideResults(name="model", thresholds={Signal.LATENCY: 0.5})
    for result in (
        make_result(latency=0.1),
        make_result(latency=0.6),
        make_result(latency=5.0, reason=Reason.FIRST_BYTE_TIMEOUT),
        make_result(reason=Reason.INTERNAL),
    ):
        side.add(result)
    assert (side.requests, side.bad, side.not_counted) == (3, 2, 1)
    assert side.bad_by_reason == {"first_byte_timeout": 1, "slow": 1}
    assert side.times[Signal.LATENCY] == [0.1, 0.6]
    assert side.is_bad == [False, True, True]


@pytest.mark.parametrize("requests", [40, 60, 500])
def test_failures_that_come_together(requests: int) -> None:
    """A side that fails once for a while is no evidence, and one that fails now and then is."""
    verdicts = {}
    for distance in (1, 4):
        a, b = (SideResults(name=name, thresholds={}) for name in "ab")
        for number in range(requests):
            is_bad = number % distance == 0 and number < distance * requests // 4
            a.add(make_result())
            b.add(make_result(reason=Reason.HTTP_5XX if is_bad else None))
        bad, *_ = evaluate(result_differences(a, b, MARGINS))
        assert bad.difference.value == pytest.approx(0.25)
        verdicts[distance] = bad.verdict
    assert verdicts == {1: Verdict.NOT_ENOUGH_DATA, 4: Verdict.WORSE}


def test_cold_starts() -> None:
    """They are counted separately, whether they fail, succeed or count in objectives."""
    side = SideResults(name="model", thresholds={Signal.LATENCY: 0.5})
    side.add(make_result(latency=9.0, cold=True))
    side.add(make_result(latency=9.0, cold=True, is_excluded=True))
    side.add(make_result(reason=Reason.HTTP_5XX, cold=True))
    side.add(make_result(cold=False))
    assert (side.requests, side.bad, side.not_counted, side.cold) == (1, 0, 0, 3)
    assert side.times[Signal.LATENCY] == [0.1]


def test_thresholds_of_streams() -> None:
    side = SideResults(name="model", thresholds={Signal.TIME_TO_FIRST_TOKEN: 0.02})
    side.add(make_result(stream=MEASURED_STREAM))
    assert side.bad_by_reason == {"slow": 1}


def stream(first: float, per_token: float | None) -> Result:
    measured = replace(MEASURED_STREAM, time_to_first_token=first, time_per_output_token=per_token)
    return make_result(stream=measured)


def test_times_of_streams() -> None:
    """TTFT and TPOT are compared with the same margins, and Holm's method corrects all tests."""
    a, b = (SideResults(name=name, thresholds={}) for name in "ab")
    for number in range(400):
        a.add(stream(0.1 + number / 1e4, 0.02 + number / 1e5))
        b.add(stream(0.2 + number / 1e4, 0.02 + number / 1e5))
    comparison = compare_results(a, b, margins=MARGINS)
    labels = [finding.difference.label for finding in comparison.findings]
    times = [f"{signal}{name}" for signal in ("", "TTFT ", "TPOT ") for name in PERCENTILE_NAMES]
    assert labels == ["bad", *times]
    ttft = comparison.findings[4]
    assert (ttft.difference.margin, ttft.verdict) == (MARGINS.latency, Verdict.WORSE)
    assert ttft.p_value == pytest.approx(10 * ttft.difference.p_value)
    assert comparison.findings[7].verdict is Verdict.NO_DIFFERENCE
    assert comparison.notes == ()


def test_a_signal_of_one_side() -> None:
    """It is not compared, and the output says so. Failures have no times."""
    a, b = (SideResults(name=name, thresholds={}) for name in "ab")
    for _ in range(20):
        a.add(stream(0.1, 0.02))
        b.add(stream(0.1, None))
    b.add(make_result(stream=MEASURED_STREAM, reason=Reason.STALL_TIMEOUT))
    comparison = compare_results(a, b, margins=MARGINS)
    signals = {finding.difference.signal for finding in comparison.findings}
    assert signals == {None, Signal.LATENCY, Signal.TIME_TO_FIRST_TOKEN}
    assert comparison.notes == ("b has no time per output token, so it is not compared.",)
    assert len(b.times[Signal.TIME_TO_FIRST_TOKEN]) == 20
