"""The pages and the API, without a browser."""

import cProfile
import json
import pstats
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from probe.result import Component, Phase, Reason, RedirectHop, Spending
from probe.server.api import all_probes_json
from probe.server.page_templates import PACKAGE_DIR
from probe.server.pages import Pages
from probe.server.probe_list import MAX_PROBES_PER_PAGE, ListQuery
from probe.server.stream_charts import MAX_TIMELINES
from tests.builders import MEASURED_STREAM
from tests.server.page_fixtures import UP, Site, lifecycle_of, overloaded, site_of, success

NAME = "127.0.0.1:5000/predict/results"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_of(tmp_path, "model", NAME) as site:
        yield site


def test_all_probes_as_json(site: Site) -> None:
    """`/api/v1/probes` has the last result, the objectives and quantiles of each probe."""
    site.add(seconds_ago=5, **success(0.3))
    site.add(**success(0.9))
    probes = site.get("/api/v1/probes").json()["probes"]
    assert [probe["probe"] for probe in probes] == ["model", NAME]
    model = probes[0]
    assert model["url"] == "http://model:5000/predict"
    assert model["last"]["latency_seconds"] == pytest.approx(0.9062)
    assert (model["last"]["status"], model["last"]["detail"]) == (200, None)
    assert (model["state"], probes[1]["state"]) == ("slow", "pending")
    assert model["latency_seconds"]["p50"] == pytest.approx(0.3062)
    counted = {"good": 1, "bad": 1, "met": False}
    fast = model["objectives"][0]
    assert fast["windows"] == {"5m": counted, "1h": counted, "kept": counted}
    assert fast["budget_left"] == pytest.approx(-4)
    assert probes[1]["last"] is None
    assert probes[1]["objectives"][1]["windows"]["5m"] == {"good": 0, "bad": 0, "met": None}


def test_one_probe_as_json(site: Site) -> None:
    """`/results` has results as `once` prints them, the newest first; names may contain slashes."""
    site.add(NAME, seconds_ago=5, **success(0.3))
    site.add(NAME, **overloaded())
    path = "/api/v1/probes/127.0.0.1:5000%2Fpredict%2Fresults/results"
    probe = site.get(path, headers={"Host": "probe.example"}).json()
    assert [result["reason"] for result in probe["recent"]] == ["overloaded", None]
    assert probe["slowest"] == probe["recent"][1:]
    assert probe["failures"] == probe["recent"][:1]
    assert probe["failures"][0]["status"] == 503
    assert probe["phases"]["connect"] == {"p50": 0.0011, "p95": 0.0011, "p99": 0.0011}


def test_redirects_as_json(site: Site) -> None:
    """Each request of a redirect chain is listed; the last one is `landing`."""
    redirect = RedirectHop(url="http://model/old", status=301, phases={Phase.WAIT: 0.1})
    final_hop = RedirectHop(url="http://model/new", status=200, phases={Phase.WAIT: 0.2})
    site.add(hops=(redirect,), final_hop=final_hop)
    site.add()
    single, chain = site.get("/api/v1/probes/model/results").json()["recent"]
    assert [hop["url"] for hop in chain["hops"]] == ["http://model/old"]
    assert chain["landing"] == {"url": final_hop.url, "status": 200, "phases": {"wait": 0.2}}
    assert (single["hops"], single["landing"]) == ([], None)


def test_responses_need_authentication(site: Site, tmp_path: Path) -> None:
    """Remote clients without a user see no response headers and bodies, in the page and in JSON."""
    paths = ("/probes/model", "/api/v1/probes/model/results", "/", "/api/v1/probes")
    site.add(**overloaded())
    for path in paths:
        page = site.get(path, headers={"Host": "probe.example"}).text
        assert "capacity" not in page
        assert "Retry-After" not in page
    directory = tmp_path / "users"
    directory.mkdir()
    with site_of(directory, authenticated=True) as users:
        users.add(**overloaded())
        remote = {"headers": {"Host": "probe.example"}}
        failure = users.get(paths[1], **remote).json()["failures"][0]
        assert failure["headers"] == {"Server": "<i>toy</i>", "Retry-After": "3"}
        assert failure["body_excerpt"].endswith("no capacity")
        assert "no capacity" in users.get(paths[0], **remote).text


def test_unknown_probes(site: Site) -> None:
    """An unknown probe gives 404 and the known names, as JSON in the API."""
    page = site.get("/probes/<b>")
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "there are: 127.0.0.1" in page.text
    api = site.get("/api/v1/probes/nobody/results")
    assert api.status_code == 404
    assert api.json()["error"].startswith("no probe 'nobody'; there are:")
    assert "error" in site.get("/api/v2").json()
    assert site.get("/static/../app.py").status_code == 404
    assert site.get("/static/..%2fapp.py").status_code == 404


def test_times_are_machine_readable(site: Site) -> None:
    """Each time on a page also has the format of the API."""
    site.add(**overloaded())
    page = site.get("/probes/model").text
    started = site.get("/api/v1/probes/model/results").json()["last"]["started"]
    assert f'<time datetime="{started}">' in page
    assert "<time>" not in page


def test_seconds_are_rounded_to_nanoseconds(site: Site) -> None:
    """Sums of floats do not add digits."""
    site.add(phases={Phase.CONNECT: 0.1, Phase.WAIT: 0.2}, server={Component.QUEUE: 0.1 + 0.2})
    probe = site.get("/api/v1/probes/model/results").json()
    assert probe["last"]["latency_seconds"] == probe["latency_seconds"]["p50"] == 0.3
    result = probe["recent"][0]
    assert result["latency_seconds"] == result["server"]["queue"] == 0.3


@pytest.mark.parametrize(
    ("path", "cache_control"),
    [
        ("/", "no-store"),
        ("/probes/model", "no-store"),
        ("/api/v1/probes", "no-store"),
        ("/api/v1/probes/model/results", "no-store"),
        ("/static/page.css", "no-cache"),
        ("/static/update.js", "no-cache"),
        ("/nothing", "no-cache"),
    ],
)
def test_headers_for_browsers(site: Site, path: str, cache_control: str) -> None:
    """Each response forbids what pages do not need, and pages are not cached."""
    headers = site.get(path).headers
    assert headers["Cache-Control"] == cache_control
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


def test_static_files_are_cached(site: Site) -> None:
    """An unchanged file is not sent again."""
    first = site.get("/static/page.css")
    tag = first.headers["ETag"]
    for known in (tag, f'"another", W/{tag}'):
        again = site.get("/static/page.css", headers={"If-None-Match": known})
        assert (first.status_code, again.status_code, again.text) == (200, 304, "")
    assert site.get("/static/page.css", headers={"If-None-Match": '"another"'}).text == first.text


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("page.css", "text/css; charset=utf-8"),
        ("update.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_types_of_static_files(site: Site, name: str, content_type: str) -> None:
    """Browsers do not guess them."""
    response = site.get(f"/static/{name}")
    assert response.headers["Content-Type"] == content_type
    assert response.content == (PACKAGE_DIR / "static" / name).read_bytes()


def test_a_stream_is_summarised(site: Site) -> None:
    """The tokens are below the phases."""
    site.add(stream=MEASURED_STREAM)
    page = site.get("/probes/model").text
    assert "Stream: 4 tokens in 5 chunks, 250.0 tokens/s, 3 of 7 prompt tokens cached" in page
    assert ">30.0 ms<" in page


def test_timelines_of_streams(site: Site) -> None:
    """The latest streams are on one scale, and the longest gap between their tokens is marked."""
    stream = replace(MEASURED_STREAM, token_times=(0.03, 0.05, 0.1))
    site.add(stream=stream)
    site.add(stream=stream, latency=0.2, reason=Reason.STALL_TIMEOUT)
    page = site.get("/probes/model").text
    failed, succeeded = re.findall(r'<td class="drawing">(.*?)</td>', page, re.DOTALL)
    assert 'class="gap" d="M250.0 5H500.0"' in failed
    assert 'class="tokens" d="M150.0 1v8M250.0 1v8M500.0 1v8"' in failed
    assert 'class="failed" d="M1000.0 0v10"' in failed
    assert 'class="generating" d="M150.0 5H500.0"' in succeeded
    assert "failed" not in succeeded
    assert "Time to first token of the last 2 results of model, 1 of them failed" in page


def test_number_of_timelines(site: Site) -> None:
    """The page has the latest MAX_TIMELINES streams; without streams it has no such section."""
    site.add()
    assert 'id="timelines"' not in site.get("/probes/model").text
    for _ in range(MAX_TIMELINES + 2):
        site.add(stream=MEASURED_STREAM)
    assert site.get("/probes/model").text.count('<td class="drawing">') == MAX_TIMELINES


def test_tokens_and_cost_of_a_request(site: Site) -> None:
    """Estimated numbers are marked."""
    spending = Spending(
        input=1007, output=4, cached=0, estimated=True, cost=0.0000035, currency="USD"
    )
    site.add(spending=spending)
    page = site.get("/probes/model").text
    assert "Spending: 1,007 + 4 tokens (estimated), 0.0000035 USD." in page
    site.add(spending=replace(spending, cached=1000, estimated=False))
    page = site.get("/probes/model").text
    assert "Spending: 1,007 (1,000 cached) + 4 tokens, 0.0000035 USD." in page


def test_traces_of_results(tmp_path: Path) -> None:
    """The page has the trace id of each result with details, with a link if the config has one."""
    first, second = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7d75f3b2a1c4e5968"
    with site_of(tmp_path) as site:
        site.add(**success(0.1))
        assert "Trace:" not in site.get("/probes/model").text
        site.add(**overloaded(), trace_id=first)
        site.add(**success(0.3), trace_id=second)
        page = site.get("/probes/model").text
        assert page.count(f"Trace: <code>{first}</code>") == 1
        assert page.count(f"Trace: <code>{second}</code>") == 2  # the last one, and the slowest
        document = site.get("/api/v1/probes/model/results").json()
        assert [result["trace_id"] for result in document["recent"]] == [second, first, None]
    with site_of(tmp_path, trace_url=lambda trace_id: f"http://t/?a=1&id={trace_id}") as site:
        site.add(**success(0.1), trace_id=first)
        page = site.get("/probes/model").text
        assert f'<a href="http://t/?a=1&amp;id={first}"><code>{first}</code></a>' in page


def test_responses_and_urls_are_escaped(tmp_path: Path) -> None:
    """Neither a response nor a URL of the config can become markup."""
    with site_of(tmp_path, authenticated=True, url="http://model/<img>/'x'", method="GET") as site:
        site.add(**overloaded())
        for path in ("/", "/probes/model"):
            page = site.get(path).text
            assert page.count("<script") == 1
            assert "<img" not in page
            assert "<i>" not in page
        assert "&lt;script&gt;" in site.get("/probes/model").text


def test_results_that_are_not_counted(tmp_path: Path) -> None:
    """Failures while a model starts do not miss an objective."""
    with site_of(tmp_path, objectives=[UP]) as site:
        site.add(reason=Reason.STARTUP, phases={})
        page = site.get("/").text
        assert "never answered" in page
        assert "missed" not in page
        assert site.get("/probes/model").status_code == 200


def test_a_long_interval_is_in_hours(tmp_path: Path) -> None:
    """An interval of 6 hours is not shown in seconds."""
    with site_of(tmp_path, interval="6h") as site:
        assert "every 6 h<" in site.get("/").text
        assert ", every 6 h, timeout " in site.get("/probes/model").text


FEW = '<span class="few number" title="only {}">{}<'


def test_statistics_of_few_results_are_grey(site: Site) -> None:
    """Their title has the number of results; 10 are enough for a ratio, 20 for p95."""
    for _ in range(9):
        site.add(**success(0.1))
    # Two objectives: each has its ratio over 5 min, on its page also over 1 h and since the start,
    # and its budget.
    for path, percentages in (("/", 4), ("/probes/model", 8)):
        page = site.get(path).text
        assert page.count(FEW.format("9 results", "100 %")) == percentages
        assert FEW.format("9 results", "106 ms") in page
    site.add(**success(0.1))
    page = site.get("/probes/model").text
    assert page.count(FEW.format("10 results", "100 %")) == 1  # the budget of 99 % needs 100
    assert page.count(FEW.format("10 results", "106 ms")) == 2  # p95 and p99
    for _ in range(90):
        site.add(**success(0.1))
    assert "few" not in site.get("/probes/model").text


def test_phases_of_few_results_are_grey(site: Site) -> None:
    """A phase that happened once, such as the TLS handshake of a reused connection, is grey."""
    for step in range(100):
        site.add(phases={Phase.WAIT: 0.1} | ({} if step else {Phase.TLS: 0.05}))
    page = site.get("/probes/model").text
    assert page.count(FEW.format("1 result", "50.0 ms")) == 3
    assert page.count("few") == 3


def test_phases_are_compared_with_earlier_days(site: Site) -> None:
    """From the second day on, the page shows each phase next to its usual mean."""
    for _ in range(10):
        site.add(**success(0.1))
    assert "Compared with earlier" not in site.get("/probes/model").text
    site.now += 24 * 3600
    for _ in range(10):
        site.add(**success(0.3))
    page = site.get("/probes/model").text
    assert "Compared with earlier" in page
    row = re.search(r'<th scope="row" class="part">wait</th><td>300 ms</td>(.*)', page)
    assert row
    assert row[1].startswith("<td>100 ms</td><td>\N{EN DASH}</td>")
    assert "<p>wait is slower: 300 ms is 3.0 times the usual 100 ms.</p>" in page


def test_one_result_is_not_plural(site: Site) -> None:
    """A statistic of one result says `1 result`."""
    site.add(**success(0.1))
    assert FEW.format("1 result", "100 %") in site.get("/").text


def test_counts_since_the_start(site: Site) -> None:
    """The page says how long it has counted, and that a restart resets the counts."""
    site.now += 1200
    page = site.get("/probes/model").text
    assert '<th scope="col">since start</th>' in page
    assert "<em>since start</em> covers 20 min, at most 30 d. It begins again at 0 if" in page


def test_objectives_without_data(site: Site) -> None:
    """The list says in words that an objective has no data, instead of a mark before its name."""
    row = site.get("/").text
    assert "up: no data yet" in row
    site.add(**success(0.1))
    site.now += 600
    assert "up: no data in 5 min" in site.get("/").text


def test_history_of_a_day(site: Site) -> None:
    """The page has a bar for each half hour, and lists those with failures, the latest first."""
    for half_hour in range(3):
        site.now += 1800
        for _ in range(9):
            site.add(**success(0.1))
        site.add(**(overloaded() if half_hour < 2 else success(0.9)))
    page = site.get("/probes/model").text
    assert 'aria-label="Results by half hour: 2 of 30 failed"' in page
    assert "In 24 h, 2 of 30 results failed, and 1 was slower than an objective." in page
    assert '<path class="failed" d="M45.5 0v20M46.5 0v20"/>' in page
    assert '<path class="slow" d="M47.5 0v20"/>' in page
    assert '<path class="good" d="M45.5 20v80M46.5 20v80M47.5 20v80"/>' in page
    assert "Half hours with failures (2)" in page
    assert page.count(": 1 of 10 results failed</li>") == 2


def test_half_hours_begin_at_half_hours_of_the_wall_clock(site: Site) -> None:
    """A half hour with failures begins at minute 0 or 30, wherever the monotonic clock is."""
    site.add(**overloaded())
    page = site.get("/probes/model").text
    assert re.search(r'<li>from <time datetime="[\dT-]+:[03]0:00\.000Z">', page)


def test_half_hours_as_json(site: Site) -> None:
    """`/results` has the half hours with counted results, the latest first."""
    site.add(reason=Reason.STARTUP, phases={})
    path = "/api/v1/probes/model/results"
    assert site.get(path).json()["half_hours"] == []
    site.add(**overloaded())
    site.now += 3600
    for wait in (0.1, 0.1, 0.9):
        site.add(**success(wait))
    latest, earlier = site.get(path).json()["half_hours"]
    assert re.fullmatch(r"[\dT-]+:[03]0:00\.000Z", latest.pop("started"))
    assert latest == {"good": 2, "slow": 1, "failed": 0}
    assert (earlier["good"], earlier["slow"], earlier["failed"]) == (0, 0, 1)


def test_a_day_without_counted_results(site: Site) -> None:
    """If all results are failures of the startup, there is no share of failures."""
    site.add(reason=Reason.STARTUP, phases={})
    page = site.get("/probes/model").text
    assert "No counted results in the last 24 hours." in page
    assert "0 of 0" not in page


def test_the_work_per_probe_is_limited(tmp_path: Path) -> None:
    """A row with a full history takes 3,000 function calls at most, and the JSON is small.

    The number of calls does not depend on the speed of the machine.
    """
    names = [f"model-{n}" for n in range(20)]
    site = Site(tmp_path, names, {})
    for name in names:
        site.add_history(name, results=130)
    histories = [history for name in names if (history := site.history.snapshot(name))]
    overviews = [item for name in names if (item := site.history.overview(name))]
    pages = Pages(time.time, lifecycle_of(), ())

    def calls(number: int) -> int:
        listing = pages.listing(overviews[:number], site.history.snapshot)
        return count_calls(lambda: pages.all_probes(listing, ListQuery()))

    calls(1)  # loads the templates
    assert (calls(20) - calls(10)) / 10 < 3000
    document = json.dumps(list(all_probes_json(histories, lifecycle_of())["probes"]))
    assert len(document) < 1500 * len(names)


def test_the_work_grows_with_the_number_of_probes(tmp_path: Path) -> None:
    """A probe on another page of the list takes 100 function calls at most, and in JSON 2,000.

    With 10,000 probes these are a fraction of a second, and some seconds.
    """
    names = [f"model-{n}" for n in range(MAX_PROBES_PER_PAGE + 200)]
    site = Site(tmp_path, names, {})
    for name in names:
        site.add_history(name, results=3)
    pages = Pages(time.time, lifecycle_of(), ())

    def list_calls(number: int) -> int:
        overviews = [item for name in names[:number] if (item := site.history.overview(name))]
        return count_calls(
            lambda: pages.all_probes(pages.listing(overviews, site.history.snapshot), ListQuery())
        )

    def json_calls(number: int) -> int:
        histories = [item for name in names[:number] if (item := site.history.snapshot(name))]
        return count_calls(lambda: list(all_probes_json(histories, lifecycle_of())["probes"]))

    list_calls(1)  # loads the templates
    first = MAX_PROBES_PER_PAGE
    assert (list_calls(first + 200) - list_calls(first)) / 200 < 100
    assert (json_calls(400) - json_calls(200)) / 200 < 2000
    assert json_calls(400) < 2.2 * json_calls(200)


def count_calls(function: Callable[[], object]) -> int:
    """Return the number of function calls in `function`, of Python and of C."""
    profile = cProfile.Profile()
    profile.runcall(function)
    calls: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # not in typeshed
    return calls


def test_a_cached_page_has_unmodified_headers(tmp_path: Path) -> None:
    """Responses that share a page do not share the headers that middleware adds."""
    with site_of(tmp_path, max_page_age_seconds=60) as site:
        headers = {"Accept-Encoding": "identity"}
        responses = [requests.get(site.url, headers=headers, timeout=5) for _ in range(3)]
    assert [response.headers["Vary"] for response in responses] == ["Accept-Encoding"] * 3
    assert len({len(response.headers) for response in responses}) == 1
    assert len({response.text for response in responses}) == 1


def add_versions(site: Site, *versions: str | None) -> None:
    """Record a success each 10 s with each of `versions`."""
    for index, version in enumerate(versions):
        site.add(seconds_ago=10.0 * (len(versions) - index), version=version, **success(0.3))


def marks(page: str) -> int:
    """Return the number of marks of versions in the latency chart."""
    match = re.search(r'<path class="version" d="([^"]*)"', page)
    return match[1].count("M") if match else 0


def test_versions(site: Site) -> None:
    """The page has a table of versions, and a mark where the version changed."""
    add_versions(site, "1", "1", None, "1", "<2>", "<2>")
    page = site.get("/probes/model").text
    assert marks(page) == 1
    assert page.index("<code>&lt;2&gt;</code>") < page.index("<code>1</code>")
    assert "Variant: version &lt;2&gt;." in page
    versions = site.get("/api/v1/probes/model/results").json()["versions"]
    assert [(item["version"], item["results"]) for item in versions] == [("<2>", 2), ("1", 3)]
    assert versions[1]["first"] < versions[1]["last"] < versions[0]["first"]


def test_versions_that_respond_in_turn(site: Site) -> None:
    """Only the first result of each has a mark."""
    add_versions(site, *["1", "2"] * 10, "3")
    assert marks(site.get("/probes/model").text) == 2


def test_no_versions(site: Site) -> None:
    """There is neither a table nor a mark."""
    add_versions(site, None, None)
    page = site.get("/probes/model").text
    assert (marks(page), 'id="versions"' in page) == (0, False)


def test_cold_starts(site: Site) -> None:
    """A cold start that does not count is in no statistic, and is named where it is shown."""
    site.add(seconds_ago=20, **success(0.3))
    site.add(seconds_ago=10, cold=True, is_excluded=True, **success(9.0))
    (model, _) = site.get("/api/v1/probes").json()["probes"]
    assert (model["state"], model["successes"]) == ("cold", 1)
    assert model["latency_seconds"]["p99"] == pytest.approx(0.3062)
    assert model["objectives"][0]["windows"]["5m"] == {"good": 1, "bad": 0, "met": True}
    page = site.get("/probes/model").text
    assert "A cold start, which does not count." in page
    results = site.get("/api/v1/probes/model/results").json()
    assert [result["cold"] for result in results["recent"]] == [True, None]
    assert [result["cold"] for result in results["slowest"]] == [None]
    assert results["phases"]["wait"]["p99"] == pytest.approx(0.3)
    assert results["half_hours"][0]["good"] == 1
