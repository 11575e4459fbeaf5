"""Scripts of k6: their requests, results and options. Chromium runs them without k6."""

import json
import re
import statistics
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme
from playwright.sync_api import Error, Page

from probe.config.secrets import Secrets
from probe.http.request import RequestBuilder
from probe.http.request_variables import RequestVariables
from probe.load.k6_script import render_k6
from tests.load.export_cases import make_plan, objective
from tests.load.k6_runtime import K6Response, run_k6_script

# Fields that https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/ documents.
OPTIONS = {
    *("scenarios", "thresholds", "dns", "noConnectionReuse"),
    *("insecureSkipTLSVerify", "tlsAuth", "tlsVersion"),
}

# And https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/constant-arrival-rate/.
SCENARIO_FIELDS = {
    *("executor", "startTime", "gracefulStop"),
    *("duration", "rate", "timeUnit", "preAllocatedVUs", "maxVUs"),
}

TOKEN = 'se"cret'


REQUESTS: Mapping[str, dict[str, Any]] = {
    "json": {
        "headers": {"Authorization": "Bearer ${env:TOKEN}"},
        "json": {"text": 'é "😀" ${env:TOKEN}', "__proto__": {"x": [None, True, 0.5]}},
    },
    "numbers": {"json": {"a": 1.0, "b": 2**60, "c": "${env:TOKEN}"}},
    "text": {"body": "a `b` $${c} ${env:TOKEN}", "headers": {"accept": "text/plain"}},
    "file": {"body_file": "body.bin", "connection": "reuse"},
    "get": {"headers": {"X-Key": "${file:secret}"}, "url": "http://127.0.0.1:1/?k=${env:TOKEN}"},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_that_of_the_probe(name: str, page: Page, tmp_path: Path) -> None:
    """Method, URL, headers and body are those that the probe sends."""
    environ = {"TOKEN": TOKEN}
    (tmp_path / "secret").write_text("from a file\r\n")
    content = bytes(range(256))
    (tmp_path / "body.bin").write_bytes(content)
    plan = make_plan(tmp_path, environ=environ, arrivals="uniform", **REQUESTS[name])
    files = {"secret": b"from a file\r\n", "./body.bin": content}
    run = run_k6_script(page, render_k6(plan), environ=environ, files=files)

    secrets = Secrets(environ, tmp_path)
    builder = RequestBuilder(plan.probe, secrets, Path.read_bytes, RequestVariables())
    expected = builder.build(lambda: 5).request
    (request,) = run.requests
    headers = {key: value for key, value in expected.headers.items() if key != "Content-Length"}
    assert request["method"] == expected.method
    assert request["params"]["headers"] == headers
    assert request["url"].replace('"', "%22") == expected.url
    body, expected_body = request["body"], expected.body
    if plan.probe.body_file:
        assert bytes(body) == expected_body
    elif plan.probe.json_body:
        assert isinstance(expected_body, bytes)
        assert repr(json.loads(body)) == repr(json.loads(expected_body))
    else:
        assert body == expected_body


def test_variables_differ_from_request_to_request(page: Page, tmp_path: Path) -> None:
    """{{nonce}}, {{now}} and {{sequence}} have the forms of the probe's."""
    plan = make_plan(tmp_path, json={"v": "{{nonce}} {{now}} {{sequence}}"}, arrivals="uniform")
    run = run_k6_script(page, render_k6(plan), [K6Response()] * 20)
    values = [json.loads(request["body"])["v"] for request in run.requests]
    assert all(
        re.fullmatch(r"\d{12} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \d+", value) for value in values
    )
    assert len({value.split()[0] for value in values}) == 20
    assert [int(value.split()[2]) for value in values] == list(range(1, 21))


GOOD_HEADERS = {"X-Version": "2"}


@pytest.mark.parametrize(
    ("response", "good", "failed"),
    [
        ({"blocked": 60, "duration": 60}, True, False),
        ({"blocked": 61, "duration": 60}, False, False),
        ({"status": 204}, True, False),
        ({"status": 429}, True, False),
        ({"status": 500}, False, True),
        ({"status": 0, "headers": {}, "body": None, "blocked": 0, "duration": 0}, False, True),
        ({"body": "none"}, False, True),
        ({"headers": {}}, False, True),
        ({"headers": {"X-Version": "3"}}, False, True),
    ],
)
def test_response_is_good(
    response: dict[str, Any], good: bool, failed: bool, page: Page, tmp_path: Path
) -> None:
    """A good request succeeds within the threshold, with the time to open its connection.

    Status, headers and the text in the body decide about success, as for the probe.
    """
    expect = {
        "status": ["2xx", 429],
        "body_matches": '"ok"',
        "headers": {"x-version": {"in": ["1", "2"]}},
    }
    plan = make_plan(tmp_path, expect=expect, arrivals="uniform")
    received = K6Response(**{"headers": GOOD_HEADERS, "body": '{"ok": 1}', **response})
    run = run_k6_script(page, render_k6(plan), [received])
    assert run.samples == {"good_within_120ms": [good], "failed": [failed]}


def test_success_is_good_without_a_threshold(page: Page, tmp_path: Path) -> None:
    """An objective on availability counts each success, whatever its time."""
    plan = make_plan(tmp_path, objectives=[objective(0.99, threshold_seconds=None)])
    script = render_k6(plan).replace("Math.random()", "0")
    run = run_k6_script(page, script, [K6Response(duration=1e6), K6Response(status=500)])
    assert run.samples == {"good": [True, False], "failed": [False, True]}


def test_requests_of_the_warm_up_do_not_count(page: Page, tmp_path: Path) -> None:
    """Requests that start in the warm-up of a step are sent, and have no result."""
    script = render_k6(make_plan(tmp_path, warm_up_seconds=10, arrivals="uniform"))
    for elapsed, count in ((9, 0), (11, 3)):
        run = run_k6_script(page, script, [K6Response()] * 3, elapsed_seconds=elapsed)
        assert len(run.requests) == 3
        assert [len(values) for values in run.samples.values()] == [count, count]


def test_missing_variable_stops_the_script(page: Page, tmp_path: Path) -> None:
    """A script without a secret sends no request, and says which variable is missing."""
    plan = make_plan(tmp_path, environ={"TOKEN": "x"}, headers={"X-Key": "${env:TOKEN}"})
    with pytest.raises(Error, match="the environment variable TOKEN is not set"):
        run_k6_script(page, render_k6(plan))


def test_requests_are_a_random_part_of_the_iterations(page: Page, tmp_path: Path) -> None:
    """The number of iterations from request to request is geometric with the mean 10."""
    script = render_k6(make_plan(tmp_path, body="{{sequence}}"))
    run = run_k6_script(page, script, [K6Response()] * 5000)
    numbers = [int(request["body"]) for request in run.requests]
    assert len(numbers) == pytest.approx(500, rel=0.22)
    gaps = [after - before for before, after in pairwise(numbers)]
    assert statistics.pstdev(gaps) / statistics.mean(gaps) == pytest.approx(0.95, abs=0.21)


@pytest.mark.parametrize("arrivals", ["poisson", "uniform"])
def test_scenarios_are_the_steps(arrivals: str, page: Page, tmp_path: Path) -> None:
    """k6 starts the iterations of each rate in a scenario, after all requests of the one before."""
    rates = (0.25, 33.3, 1000)
    plan = make_plan(tmp_path, rates=rates, timeout="2500ms", arrivals=arrivals)
    scenarios = run_k6_script(page, render_k6(plan)).options["scenarios"]
    iterations = 10 if arrivals == "poisson" else 1
    end = 0.0
    for rate, (name, scenario) in zip(rates, scenarios.items(), strict=True):
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", name)
        assert scenario.keys() == SCENARIO_FIELDS
        assert scenario["executor"] == "constant-arrival-rate"
        assert scenario["rate"] == 1000 * rate * iterations
        assert scenario["timeUnit"] == "1000s"
        assert scenario["preAllocatedVUs"] == scenario["maxVUs"] == 200
        assert _seconds(scenario["startTime"]) >= end
        assert _seconds(scenario["gracefulStop"]) > 2.5
        end = sum(_seconds(scenario[key]) for key in ("startTime", "duration", "gracefulStop"))


def _seconds(duration: str) -> float:
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?s", duration)
    return float(duration[:-1])


def test_each_step_has_all_thresholds(page: Page, tmp_path: Path) -> None:
    """The share of good requests of each step is limited, and so is that of failures."""
    plan = make_plan(tmp_path, objectives=[objective(), objective(0.999, threshold_seconds=1.5)])
    run = run_k6_script(page, render_k6(plan))
    thresholds = run.options["thresholds"]
    assert thresholds == {
        "dropped_iterations": ["count==0"],
        **{
            f"{metric}{{scenario:{scenario}}}": [threshold]
            for scenario in run.options["scenarios"]
            for metric, threshold in (
                ("good_within_120ms", "rate>=0.95"),
                ("good_within_1_5s", "rate>=0.999"),
                ("failed", "rate<=0.001"),
            )
        },
    }
    metrics = {name.partition("{")[0] for name in thresholds} - {"dropped_iterations"}
    assert metrics == run.samples.keys()
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{1,127}", name) for name in metrics)


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({}, {"noConnectionReuse": True, "dns": {"policy": "any"}}),
        ({"connection": "reuse", "ip_family": "6"}, {"dns": {"policy": "onlyIPv6"}}),
        (
            {
                "url": "https://model/",
                "tls": {
                    "cert_file": "client.pem",
                    "insecure_skip_verify": True,
                    "min_version": "TLS13",
                },
            },
            {
                "noConnectionReuse": True,
                "dns": {"policy": "any"},
                "tlsVersion": "tls1.3",
                "insecureSkipTLSVerify": True,
                "tlsAuth": [{"cert": "PEM", "key": "PEM"}],
            },
        ),
    ],
)
def test_options_of_connections(
    keys: Any, options: dict[str, Any], page: Page, tmp_path: Path
) -> None:
    """Options of connections have the names and values that k6 documents."""
    certificate = trustme.CA().issue_cert("client").private_key_and_cert_chain_pem
    certificate.write_to_path(tmp_path / "client.pem")
    plan = make_plan(tmp_path, **keys)
    run = run_k6_script(page, render_k6(plan), files={"./client.pem": b"PEM"})
    assert run.options.keys() <= OPTIONS
    found = {key: run.options[key] for key in run.options if key not in ("scenarios", "thresholds")}
    options["dns"] |= {"ttl": "0", "select": "first"}
    assert found == options


def test_parameters_of_requests(page: Page, tmp_path: Path) -> None:
    """Timeout, redirects and expected status codes are those of the config."""
    expect = {"status": [200, "4xx"]}
    plan = make_plan(tmp_path, timeout="90s", redirects=3, expect=expect, arrivals="uniform")
    params = run_k6_script(page, render_k6(plan)).requests[0]["params"]
    del params["headers"]
    assert params == {
        "timeout": "1m30s",
        "redirects": 3,
        "responseType": "none",
        "responseCallback": {"statuses": [{"min": 200, "max": 200}, {"min": 400, "max": 499}]},
        "tags": {"name": "model"},
    }


@pytest.mark.parametrize(
    ("keys", "notes"),
    [
        ({"url": "https://h/"}, ["GODEBUG=http2client=0"]),
        ({"url": "https://h/", "tls": {"server_name": "m"}}, ["`tls.server_name` has no effect"]),
        ({"proxy": "http://me:hidden@proxy:1"}, ["Set HTTP_PROXY and HTTPS_PROXY to `proxy`"]),
        ({"expect": {"body_matches": "a.c"}}, ["`expect.body_matches` is not checked"]),
        ({"connection": "reuse"}, ["Each virtual user has its own connection"]),
        ({}, ["k6 has no Poisson arrivals", "each pod evaluates the thresholds"]),
    ],
)
def test_what_k6_cannot_do_is_at_the_top(keys: Any, notes: list[str], tmp_path: Path) -> None:
    """The comments list what k6 does not preserve of this probe, and name no password."""
    script = render_k6(make_plan(tmp_path, **keys))
    head = " ".join(line.lstrip("/ ") for line in script[: script.index("\nimport")].splitlines())
    assert all(note in head for note in notes)
    assert "hidden" not in script
