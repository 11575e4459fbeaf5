"""The queries of the dashboard and of autoscalers and rollouts, in a Prometheus with data."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from probe.demo import files, http
from probe.demo.fault import Fault, ModelType
from probe.demo.files import divide_expression
from probe.demo.stack import Binaries, ModelProcess, Stack
from tests import queries
from tests.e2e.observer import FACTOR, WINDOW_SECONDS
from tests.e2e.vllm_metrics import running_vllm_metrics
from tests.queries import Query

pytestmark = pytest.mark.timing

CANARY = "sentiment-canary"  # the name in the manifests of the probe of the canary's Service
# The recordings over 30 days are evaluated at every full hour.
TIMEOUT_SECONDS = (3600 + 300) / FACTOR


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusQueries:
    """Queries a Prometheus whose model was healthy, failed and recovered."""

    url: str
    started: float
    """The time of the first scrape (Unix seconds)."""

    def query(self, expression: str, *, at: float | None = None) -> list[float]:
        """Return the values of the series at the time `at` (Unix seconds, default now)."""
        instant = str(time.time() if at is None else at)
        divided = divide_expression(expression, FACTOR)
        response = http.get_json(f"{self.url}/api/v1/query", query=divided, time=instant)
        return [float(series["value"][1]) for series in response["data"]["result"]]

    def without_data(self, pending: list[Query]) -> list[str]:
        """Return the queries that have no finite value within TIMEOUT_SECONDS."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while pending and time.monotonic() < deadline:
            pending = [
                query
                for query in pending
                if not any(map(math.isfinite, self.query(query.expression)))
            ]
            time.sleep(1)
        return [f"{query.where}: {query.expression}" for query in pending]


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, newest_binaries: Binaries
) -> Iterator[PrometheusQueries]:
    directory = tmp_path_factory.mktemp("queries")
    with (
        Stack(directory, factor=FACTOR, stop=threading.Event()) as stack,
        running_vllm_metrics() as vllm,
    ):
        model = stack.start_model()
        language_model = stack.start_model(ModelType.LLM)
        daemon = stack.start_daemon(_config(model, language_model))
        alerting = stack.start_alerting(newest_binaries, daemon=daemon)
        _scrape(stack, "vllm", vllm)
        started = time.time()
        _run_short_outage(model, language_model)
        yield PrometheusQueries(url=alerting.prometheus, started=started)


def _config(model: ModelProcess, language_model: ModelProcess) -> str:
    """Return the config of a model, of its canary, and of a language model."""
    (probe,) = yaml.safe_load(files.probe(FACTOR, url=model.url))["probes"]
    # For the panels about cost and budgets.
    probe |= {"price": {"input": 1, "currency": "EUR"}, "budget": {"tokens_per_day": "1G"}}
    config = files.probe(FACTOR, url=language_model.url, model=ModelType.LLM)
    (streams,) = yaml.safe_load(config)["probes"]
    return yaml.safe_dump({"probes": [probe, probe | {"name": CANARY}, streams]})


def _scrape(stack: Stack, job: str, target: str) -> None:
    """Let the Prometheus of a stack also scrape `target` (HOST:PORT)."""
    path = stack.directory / "prometheus.yml"
    config = yaml.safe_load(path.read_text())
    config["scrape_configs"].append({"job_name": job, "static_configs": [{"targets": [target]}]})
    path.write_text(yaml.safe_dump(config))
    (child,) = (child for child in stack.children if child.name == "prometheus")
    child.process.send_signal(signal.SIGHUP)


def _run_short_outage(model: ModelProcess, language_model: ModelProcess) -> None:
    """Let the models fail for a shorter time than a page needs."""
    time.sleep(WINDOW_SECONDS)
    model.set_fault(Fault.ERRORS)
    language_model.set_fault(Fault.STREAM_ERROR)
    time.sleep(WINDOW_SECONDS / 3)
    model.set_fault(None)
    language_model.set_fault(None)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_dashboard(prometheus: PrometheusQueries) -> None:
    """Every panel of the dashboard has data."""
    missing = prometheus.without_data(queries.dashboard_queries())
    assert not missing, "\n".join(missing)


@pytest.mark.full
def test_streams(prometheus: PrometheusQueries) -> None:
    """The row of streams draws the thresholds of objectives, and the histogram of vLLM."""
    panels = {query.where: query.expression for query in queries.dashboard_queries()}
    assert prometheus.query(panels["panel 'Time to first token', C"]) == [0.5]
    assert prometheus.query(panels["panel 'Time per output token', C"]) == [0.1]
    assert prometheus.query(panels["panel 'Time to first token in vLLM', A"]) == [
        pytest.approx(0.075)
    ]
    (tokens_per_second,) = prometheus.query(panels["panel 'Output tokens per second', A"])
    assert 20 < tokens_per_second < 60


@pytest.mark.full
def test_annotations(prometheus: PrometheusQueries) -> None:
    """Prometheus accepts the queries of the annotations."""
    for query in queries.annotation_queries():
        prometheus.query(query.expression)


CONSUMERS = pytest.mark.parametrize(
    "query", queries.manifest_queries(), ids=lambda query: str(query.where).replace(" ", "-")
)


@pytest.mark.full
@CONSUMERS
def test_consumer_has_data(prometheus: PrometheusQueries, query: Query) -> None:
    """A query of a consumer returns one series, a percentage or a count, and no NaN."""
    missing = prometheus.without_data([query])
    assert not missing, missing
    (value,) = prometheus.query(query.expression)
    assert 0 <= value <= 100


@pytest.mark.full
@CONSUMERS
def test_consumer_without_prober(prometheus: PrometheusQueries, query: Query) -> None:
    """Without a prober a query returns no series: a 0 would look like a healthy model."""
    unknown = query.expression.replace('probe="sentiment', 'probe="unknown')
    assert unknown != query.expression
    assert prometheus.query(unknown) == []
    assert prometheus.query(query.expression, at=time.time() + 3600) == []


@pytest.mark.full
def test_consumer_with_few_probes(prometheus: PrometheusQueries) -> None:
    """A query about percentages returns no series with fewer than 20 requests in the window."""
    early = prometheus.started + WINDOW_SECONDS / 3
    requests = "inference_probe:slo_good:increase5m + inference_probe:slo_bad:increase5m"
    assert all(0 < count < 20 for count in prometheus.query(requests, at=early))
    assert prometheus.query(requests, at=early)
    percentages = [query for query in queries.manifest_queries() if "percent" in query.where]
    for query in percentages:
        assert prometheus.query(query.expression, at=early) == []


@pytest.mark.full
def test_errors_are_visible(prometheus: PrometheusQueries) -> None:
    """Every query about percentages shows the errors of the outage."""
    worst = prometheus.started + WINDOW_SECONDS * 4 / 3
    for query in queries.manifest_queries():
        if "percent" in query.where:
            (value,) = prometheus.query(query.expression, at=worst)
            assert 10 < value <= 60, query
