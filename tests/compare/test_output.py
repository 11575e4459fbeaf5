"""The text of a comparison. tests/cli/test_compare.py has the JSON."""

import random

from probe.compare.comparison import Comparison, Margins, compare_results
from probe.compare.output import render_json, render_text
from probe.compare.side_results import SideResults
from probe.result import Reason, Signal
from tests.builders import make_result

MARGINS = Margins(latency=0.05, bad_share=0.01)


def sample(name: str, count: int, *, factor: float = 1.0, failures: int = 0) -> SideResults:
    """Return a sample with a log-normal latency, and with `failures` in equal distances."""
    rng = random.Random(name)
    result = SideResults(name=name, thresholds={})
    for number in range(count):
        reason = Reason.HTTP_5XX if number * failures % count < failures else None
        result.add(make_result(latency=factor * rng.lognormvariate(-2, 0.3), reason=reason))
    return result


def comparison(count: int, *, factor: float = 1.0, failures: int = 0) -> Comparison:
    b = sample("canary", count, factor=factor, failures=failures)
    return compare_results(sample("model", count), b, margins=MARGINS)


def test_worse() -> None:
    """The table has all measures, and the sentences name those that are worse."""
    text = render_text(comparison(2000, factor=1.3, failures=100))
    lines = text.splitlines()
    assert lines[0].split() == ["A", "model", "2000", "requests,", "0", "bad"]
    assert lines[1] == "B  canary  2000 requests, 100 bad (100 http_5xx)"
    assert lines[2] == "bad: failed"
    assert [line.split()[0] for line in lines[5:9]] == ["bad", "p50", "p95", "p99"]
    assert lines[5].split()[:5] == ["bad", "0%", "5%", "+5.00", "pp"]
    assert lines[5].split()[-3:] == ["<", "0.0001", "worse"]
    assert lines[10] == "Verdict: B is worse."
    assert lines[11].startswith("bad is worse: +5.00 pp (95 % interval +4.")
    assert lines[11].endswith(", and the margin is 1 pp.")
    assert any(line.startswith("p50 is worse: +") and "margin is 5%" in line for line in lines)


def test_better() -> None:
    assert "Verdict: B is better." in render_text(comparison(2000, factor=0.8))


def test_no_difference() -> None:
    """The verdict names the margins, without which it would mean nothing."""
    text = render_text(comparison(5000))
    assert text.endswith(
        "Verdict: no difference is larger than its margin (bad 1 pp, p50 5%, p95 10%, p99 20%)."
    )


def test_not_enough_data() -> None:
    """The text says how many requests would be enough, if there is no difference."""
    text = render_text(comparison(200))
    assert "unknown" in text
    assert "Verdict: not enough data." in text
    assert "the intervals are too wide (bad, p50, p95, p99)." in text
    advice = text.splitlines()[-1]
    assert advice.startswith("If there is no difference, about ")
    requests = int(advice.split()[6])
    assert 400 < requests < 3000
    assert "no difference is larger" in render_text(comparison(3 * requests))


def test_faster_with_too_few_requests() -> None:
    """The line about a faster median says so, and few requests are not extrapolated."""
    text = render_text(comparison(13, factor=0.3))
    assert "Verdict: not enough data." in text
    assert "p50 is better: -" in text
    assert "requests per side show it" not in text


def test_bad_requests() -> None:
    """The text and the JSON have the limits above which successes are bad."""
    a, b = sample("model", 200), sample("canary", 200)
    a.thresholds = {Signal.LATENCY: 0.1, Signal.TIME_TO_FIRST_TOKEN: 0.05}
    compared = compare_results(a, b, margins=MARGINS)
    text = render_text(compared)
    assert text.splitlines()[2] == "bad: failed or slower than 100ms or TTFT slower than 50ms"
    thresholds = render_json(compared)["thresholds"]
    assert thresholds == {"latency": 0.1, "time_to_first_token": 0.05}


def test_side_without_requests() -> None:
    """The text does not ask for more requests of both sides."""
    missing = SideResults(name="chat@version=9", thresholds={})
    text = render_text(compare_results(sample("model", 200), missing, margins=MARGINS))
    assert text.endswith("Verdict: not enough data.\nThere are no requests of chat@version=9.")
