"""Responses of which only the status code and Server-Timing count need no evaluator."""

from typing import Any

import pytest

from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.result import Result
from tests.http.conftest import Serve
from tests.probing import EVALUATOR, make_prober
from tests.raw_servers import always, http_response

PRICE = {"price": {"input": 1, "output": 1, "currency": "USD"}}

# Keys that let the general path evaluate each response, and change nothing.
UNUSED_MAPPING: dict[str, Any] = {
    "server_timing": [{"from": "header", "key": "X-Absent", "unit": "ms", "component": "compute"}]
}


@pytest.mark.parametrize(
    ("keys", "headers", "is_evaluated"),
    [
        ({}, (), False),
        ({"expect": {"status": ["200", "404"]}}, (), False),
        ({"version": {"from": "header", "key": "X-Version"}}, ("X-Version: 1",), False),
        ({}, ("server-timing: total;dur=0",), False),
        (UNUSED_MAPPING, (), True),
        ({"expect": {"headers": {"X-A": {"exists": False}}}}, (), True),
        ({"expect": {"body_matches": "ok"}}, (), True),
        ({"expect": {"json": {"$": {"exists": True}}}}, (), True),
        ({"version": {"from": "json", "key": "$.a"}}, (), True),
        (PRICE, (), True),
    ],
    ids=str,
)
def test_what_is_evaluated(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, Any],
    headers: tuple[str, ...],
    is_evaluated: bool,
) -> None:
    """A response is evaluated if the config has anything to evaluate."""
    tasks: list[EvaluationTask] = []

    def evaluate(task: EvaluationTask) -> Evaluation:
        tasks.append(task)
        return Evaluation(failure=None)

    monkeypatch.setattr(EVALUATOR, "evaluate", evaluate)
    result = make_prober(serve(always(http_response(b"ok", *headers))).url(), **keys).run()
    assert result.failure is None
    assert bool(tasks) is is_evaluated


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK", ()),
        ("201 Created", ("Content-Encoding: gzip",)),  # the body is not gzip
        ("204 No Content", ()),
        ("302 Found", ("Location: /elsewhere",)),
        ("404 Not Found", ()),
        ("503 Busy", ("Server-Timing: total;dur=0",)),
        ("200 OK", ("Server-Timing: total;dur=0, queue;dur=x",)),
        ("200 OK", ("Server-Timing: total;dur=0.001, queue;dur=0;desc=a, load;desc=b;dur=0",)),
        ("200 OK", ("Server-Timing: total;dur=99999, queue;dur=-1, load; dur=0, compute;dur=0e0",)),
        ("200 OK", ("Server-Timing:",)),
    ],
)
def test_both_paths_agree(serve: Serve, status: str, headers: tuple[str, ...]) -> None:
    """Without the evaluator, the result is the same."""
    url = serve(
        always(http_response(b"" if "204" in status else b"ok", *headers, status=status))
    ).url()

    def values(result: Result) -> tuple[Any, ...]:
        measured = (result.status, result.server, result.server_ignored, result.size)
        return *measured, result.failure, result.usage, result.hops, result.excerpt

    assert values(make_prober(url).run()) == values(make_prober(url, **UNUSED_MAPPING).run())
