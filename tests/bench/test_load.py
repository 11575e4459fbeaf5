"""The benchmark of load tests: its limits, searches, servers and bounds."""

import ast
import math
import time
from urllib.request import urlopen

import pytest

from bench.load_peers import locustfile, percentile_95
from bench.load_queues import BATCHES, QUEUES, Limit
from bench.load_real_time import Endpoint, served
from bench.load_results import Searches, evaluate
from bench.load_searches import Answer, search_usually, search_virtually


@pytest.mark.parametrize(
    ("name", "rate"), [("M/M/4", 29.41), ("M/D/1", 61.69), ("64 slots", 626.5)]
)
def test_limits_of_formulas(name: str, rate: float) -> None:
    assert QUEUES[name].find_limit().rate == pytest.approx(rate, abs=0.05)


def test_usual_search() -> None:
    """It returns the highest met rate, which is at most 5 % below a missed one."""
    rates = []

    def is_met(rate: float) -> bool:
        rates.append(rate)
        return rate <= 30

    for first_rate in (5, 500):
        assert 30 / 1.05 <= search_usually(is_met, first_rate) <= 30
    assert len(rates) < 30


def test_searches_in_virtual_time() -> None:
    """Both methods have an answer near the limit, and the same seed has the same answers."""
    answers = search_virtually("M/D/1", seed=1)
    for method, answer in answers.items():
        assert answer.rate is not None
        if "uniform" in method:
            # Requests at equal distances never wait for each other.
            assert 90 < answer.rate < 101
        else:
            assert 0.8 < answer.rate / 61.69 < 1.1
        assert 100 < answer.seconds < 1200
        assert answer.requests > 1000
    assert search_virtually("M/D/1", seed=1) == answers


def test_bounds() -> None:
    """Ten answers, two of which are above the limit, one of them by more than 5 %."""
    rates = [80.0, 85.0, 88.0, 90.0, 92.0, 93.0, 94.0, 95.0, 104.0, 106.0, None]
    searches = Searches(
        queue="M/M/4",
        limit=Limit(rate=100.0),
        method="inference-probe",
        answers=[Answer(rate=rate, seconds=60.0, requests=1) for rate in rates],
    )
    assert [(verdict.value, verdict.met) for verdict in evaluate(searches)] == [
        (20.0, False),
        (10.0, False),
        (pytest.approx(8.0), True),
    ]
    assert searches.unconfirmed == 1


@pytest.mark.timing
def test_queue_in_real_time() -> None:
    """A request alone takes 10 ms in the queue with one server and constant times."""
    with served("M/D/1") as endpoint:
        urlopen(endpoint.url, timeout=10).close()
        started = time.monotonic()
        with urlopen(endpoint.url, timeout=10) as response:
            assert b"chat.completion" in response.read()
        assert 0.010 <= time.monotonic() - started < 0.030


def test_percentile_of_locust() -> None:
    """Locust reports its response times as counts of rounded values."""
    times = {"5": 90, "100": 4, "1000": 2, "70": 4}
    assert percentile_95({"response_times": times}) == 100
    assert percentile_95({"response_times": {}}) == math.inf


def test_script_for_locust() -> None:
    for name, method in (("M/D/1", "'GET'"), (BATCHES, "'POST'")):
        body = None if name == "M/D/1" else '{"data": "x"}'
        endpoint = Endpoint(queue=QUEUES[name], url="http://127.0.0.1:5000/", body=body)
        assert method in ast.unparse(ast.parse(locustfile(endpoint)))


def test_model_with_batches_in_real_time() -> None:
    with served(BATCHES) as endpoint:
        assert endpoint.url.endswith("/predict")
        assert endpoint.body
