"""The queries of the dashboard and of the consumers, put to a Prometheus that has seen things."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from probe.demo import files, http
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, ModelProcess, Stack
from probe.demo.time_scale import divide_expression
from tests import queries
from tests.e2e.observer import FACTOR, WINDOW
from tests.queries import Query

CANARY = "sentiment-canary"  # what the manifests call the probe of the canary's Service
PATIENCE = (3600 + 300) / FACTOR
"""Seconds, for the recordings over 30 days to be there: they look at every full hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A Prometheus that has seen a model well, out of order, and well again."""

    prometheus: str
    begun: float
    """When its daemon had been scraped for the first time, in Unix seconds."""

    def ask(self, expression: str, *, at: float | None = None) -> list[float]:
        """The values of the series. Unix seconds; now, without."""
        when = str(time.time() if at is None else at)
        query = divide_expression(expression, FACTOR)
        answer = http.get_json(f"{self.prometheus}/api/v1/query", query=query, time=when)
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    def silent(self, asked: list[Query]) -> list[str]:
        """Those that still give no number when patience is over."""
        deadline = time.monotonic() + PATIENCE
        while asked and time.monotonic() < deadline:
            asked = [one for one in asked if not any(map(math.isfinite, self.ask(one.expression)))]
            time.sleep(1)
        return [f"{query.where}: {query.expression}" for query in asked]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, newest_binaries: Binaries) -> Iterator[Memory]:
    directory = tmp_path_factory.mktemp("queries")
    with Stack(directory, factor=FACTOR, stop=threading.Event()) as stack:
        model = stack.start_model()
        daemon = stack.start_daemon(_with_canary(files.probe(FACTOR, url=model.url)))
        alerting = stack.start_alerting(newest_binaries, daemon=daemon)
        begun = time.time()
        _live_through_errors(model)
        yield Memory(prometheus=alerting.prometheus, begun=begun)


def _with_canary(config: str) -> str:
    document = yaml.safe_load(config)
    (probe,) = document["probes"]
    document["probes"].append(probe | {"name": CANARY})
    return yaml.safe_dump(document)


def _live_through_errors(model: ModelProcess) -> None:
    """Shorter than what ends in a page."""
    time.sleep(WINDOW)
    model.set_fault(Fault.ERRORS)
    time.sleep(WINDOW / 3)
    model.set_fault(None)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_dashboard(memory: Memory) -> None:
    """Every panel shows something."""
    silent = memory.silent(queries.of_the_dashboard())
    assert not silent, "\n".join(silent)


@pytest.mark.full
def test_annotations(memory: Memory) -> None:
    """Prometheus understands them; whether an alert fires is not for the dashboard to say."""
    for query in queries.of_the_annotations():
        memory.ask(query.expression)


CONSUMERS = pytest.mark.parametrize(
    "query", queries.of_the_consumers(), ids=lambda query: str(query.where).replace(" ", "-")
)


@pytest.mark.full
@CONSUMERS
def test_consumer_has_data(memory: Memory, query: Query) -> None:
    """One series, a percentage or a count, and no NaN."""
    silent = memory.silent([query])
    assert not silent, silent
    (value,) = memory.ask(query.expression)
    assert 0 <= value <= 100


@pytest.mark.full
@CONSUMERS
def test_consumer_without_a_prober(memory: Memory, query: Query) -> None:
    """Of a prober that was never there, or has been dead for long, there is nothing: no 0, which
    would look like a healthy model, and no NaN.
    """
    nobody = query.expression.replace('probe="sentiment', 'probe="nobody')
    assert nobody != query.expression
    assert memory.ask(nobody) == []
    assert memory.ask(query.expression, at=time.time() + 3600) == []


@pytest.mark.full
def test_consumer_with_few_probes(memory: Memory) -> None:
    """Fewer than 20 requests in the window are too few to judge by, though there are some."""
    early = memory.begun + WINDOW / 3
    some = "inference_probe:slo_good:increase5m + inference_probe:slo_bad:increase5m"
    assert all(0 < count < 20 for count in memory.ask(some, at=early))
    assert memory.ask(some, at=early)
    judges = [one for one in queries.of_the_consumers() if "percent" in one.where]
    assert [memory.ask(one.expression, at=early) for one in judges] == [[]] * len(judges)


@pytest.mark.full
def test_errors_show(memory: Memory) -> None:
    """While the model was out of order, every consumer was told so, in percent."""
    worst = memory.begun + WINDOW * 4 / 3
    for query in queries.of_the_consumers():
        if "percent" in query.where:
            (value,) = memory.ask(query.expression, at=worst)
            assert 10 < value <= 60, query
