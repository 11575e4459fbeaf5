"""The page of all probes: states, order, filter and groups, without a browser."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from probe.history.snapshots import ProbeOverview
from probe.result import BudgetKind, BudgetStatus, BudgetUse, Failure, Reason
from probe.server.probe_list import MAX_WORDS, ListQuery
from tests.builders import make_result
from tests.server.page_fixtures import Site, overloaded, site_of, success

NAMES = ("ads-ok", "ads-new", "search-slow", "search-starting", "search-failed", "alone-internal")


def labels(name: str) -> dict[str, str]:
    """Return the label `team` by the first word of the name; the probe `alone` has none."""
    team = name.partition("-")[0]
    return {} if team == "alone" else {"team": team}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve one probe in each state but `paused`."""
    with site_of(tmp_path, *NAMES, labels=labels) as site:
        site.startup_seconds_left = 200.0
        site.add("ads-ok", **success(0.1))
        site.add("search-slow", **success(0.9))
        site.add("search-starting", reason=Reason.STARTUP, phases={})
        site.add("search-failed", **overloaded())
        site.add("alone-internal", reason=Reason.INTERNAL, phases={})
        yield site


def rows(site: Site, path: str = "/") -> list[str]:
    """Return the names of the probes on the page, in its order."""
    return re.findall(r'<article .*? id="probe-(.+?)">', site.get(path).text)


def headline(site: Site) -> str:
    """Return the text of the counts by state."""
    html = re.search(r'(?s)<ul class="counts".*?</ul>', site.get("/").text)
    assert html
    return " ".join(re.sub("<[^>]+>|\N{EN DASH}", " ", html[0]).split())


def test_rows_are_sorted_by_severity(site: Site) -> None:
    """The order is failed, never answered, not measured, slow, no results, ok."""
    assert rows(site) == [
        "search-failed",
        "search-starting",
        "alone-internal",
        "search-slow",
        "ads-new",
        "ads-ok",
    ]


def test_a_missed_objective_comes_first_in_its_state(site: Site) -> None:
    """Of two probes whose last result is ok, the one that misses an objective is first."""
    site.add("ads-new", **overloaded())
    site.add("ads-new", **success(0.1))
    assert rows(site)[-2:] == ["ads-new", "ads-ok"]
    site.add("ads-ok", **overloaded())
    site.add("ads-ok", **overloaded())
    assert rows(site)[:2] == ["ads-ok", "search-failed"]


def test_headline_counts_each_state(site: Site) -> None:
    """Every probe is in one count, and a probe that never answered says when failures count."""
    assert headline(site) == (
        "✗ 1 failed ? 1 never answered (failures count in 3 min) 1 not measured ! 1 slow "
        "1 no results yet ✓ 1 ok"
    )


def test_states_in_the_api(site: Site) -> None:
    """The API has the same states, in the order of the config."""
    probes = site.get("/api/v1/probes").json()["probes"]
    states = ["ok", "pending", "slow", "never_answered", "failed", "not_measured"]
    assert [probe["state"] for probe in probes] == states
    assert probes[0]["startup_seconds_left"] == 200


def test_a_failure_after_the_grace_counts(site: Site) -> None:
    """Once the grace is over, the page says that failures count."""
    site.startup_seconds_left = 0.0
    assert "(failures count from now on)" in headline(site)


def test_paused_probes(tmp_path: Path) -> None:
    """While the daemon is paused, all probes are `paused`, and the last failure is still shown."""
    with site_of(tmp_path, "model", lifecycle={"paused": lambda: True}) as site:
        site.add(reason=Reason.REFUSED)
        assert headline(site) == "‖ 1 paused"
        assert "refused" in site.get("/").text
        assert site.get("/api/v1/probes").json()["probes"][0]["state"] == "paused"


def test_probes_over_their_budget(tmp_path: Path) -> None:
    """The state is `over budget` while the budget is exhausted, and the page has its use."""
    use = BudgetUse(kind=BudgetKind.TOKENS_PER_DAY, used=Decimal(95_000), limit=Decimal(100_000))
    cost = BudgetUse(kind=BudgetKind.COST_PER_DAY, used=Decimal("0.000122"), limit=Decimal(5))
    with site_of(tmp_path, "model", price={"input": 1, "currency": "EUR"}) as site:
        site.add(**success(0.3))
        site.budget = BudgetStatus(is_exhausted=False, uses=(use, cost))
        page = site.get("/probes/model").text
        assert '<span class="warn">95,000 of 100,000 tokens per day</span>' in page
        assert '<span class="quiet">0.000122 of 5.00 EUR per day</span>' in page
        assert site.get("/api/v1/probes").json()["probes"][0]["state"] == "ok"
    with site_of(tmp_path, "model") as site:
        site.add(reason=Reason.REFUSED)
        site.budget = BudgetStatus(is_exhausted=True, uses=(use,))
        assert headline(site) == "‖ 1 over budget"
        assert site.get("/api/v1/probes").json()["probes"][0]["state"] == "over_budget"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=SLOW", ["search-slow"]),
        ("q=team%3Dsearch+failed", ["search-failed"]),
        ("q=overloaded", ["search-failed"]),
        ("q=as+the+test", ["search-starting", "alone-internal"]),
        ("q=model:5000", [*NAMES]),
        ("q=nothing", []),
        ("state=slow", ["search-slow"]),
        ("state=slow&q=ads", []),
        ("state=&q=&group_by=", [*NAMES]),
        ("q=%3Cb%3E", []),
    ],
)
def test_filter(site: Site, query: str, expected: list[str]) -> None:
    """Each word of `q` occurs in a text of the probe, in any case; `state` selects one state."""
    found = rows(site, f"/?{query}")
    assert sorted(found) == sorted(expected)
    assert ("No probe matches the filter." in site.get(f"/?{query}").text) is not bool(expected)


def test_an_unknown_state_is_an_error(site: Site) -> None:
    """The response names the valid states."""
    response = site.get("/?state=broken")
    assert response.status_code == 400
    assert response.text.startswith("no state 'broken'; there are: failed, never_answered, ")


def test_groups(site: Site) -> None:
    """Groups are sorted by their worst probe, and probes without the label are last."""
    page = site.get("/?group_by=team").text
    headings = re.findall(r"<h2>(.+?) <span", page)
    assert headings == ["team = search", "team = ads", "no label team"]
    assert "1 failed, 1 never answered, 1 slow" in page
    assert rows(site, "/?group_by=team")[-1] == "alone-internal"


def test_an_empty_label_is_a_missing_label(tmp_path: Path) -> None:
    """As in Prometheus. Two groups would have the same id, and an update would mix them up."""
    teams = {"one": {"team": ""}, "two": {}, "three": {"team": "ads"}}
    with site_of(tmp_path, *teams, labels=teams.__getitem__) as site:
        page = site.get("/?group_by=team").text
    assert re.findall(r"<h2>(.+?) <span", page) == ["team = ads", "no label team"]
    assert page.count('id="group-"') == 1


def test_words_of_a_filter_are_limited(site: Site) -> None:
    """Each probe is compared with each word, so their number is limited; equal ones are one."""
    assert rows(site, f"/?q={'slow+' * 1000}") == ["search-slow"]
    response = site.get("/?q=" + "+".join(map(str, range(MAX_WORDS + 1))))
    assert response.status_code == 400
    assert response.text == "q has 33 different words; write 32 at most\n"


def test_a_cached_page_is_not_that_of_another_query(tmp_path: Path) -> None:
    """Pages with different queries are cached separately."""
    with site_of(tmp_path, "one", "two", max_page_age_seconds=60) as site:
        assert rows(site) == ["one", "two"]
        assert rows(site, "/?q=two") == ["two"]
        assert rows(site, "/?q=one") == ["one"]
        assert rows(site, "/?q=two") == ["two"]


def test_pages_with_different_queries_share_rows(tmp_path: Path) -> None:
    """A client that invents queries causes each row to be rendered once, not once per query."""
    with site_of(tmp_path, "one", "two", max_page_age_seconds=60) as site:
        assert "2 no results yet" in headline(site)
        site.add("one", **overloaded())
        assert rows(site, "/?state=failed") == []
        assert rows(site, "/?state=pending") == ["one", "two"]


def test_the_filter_is_shown_for_many_probes(tmp_path: Path, site: Site) -> None:
    """A few probes need no filter, unless the URL has one. Its values are escaped."""
    assert "<form" not in site.get("/").text
    assert '<form id="filter"' in site.get("/?q=ads").text
    assert "&#34;&gt;&lt;b&gt;" in site.get('/?q="><b>').text
    directory = tmp_path / "many"
    directory.mkdir()
    with site_of(directory, *(f"model-{n}" for n in range(30))) as many:
        assert '<form id="filter"' in many.get("/").text


def test_links_keep_the_other_parameters() -> None:
    """A link to a state keeps text and grouping."""
    query = ListQuery.parse({"q": " a  b ", "group_by": "team"})
    assert query.link(state="slow") == "/?q=a+b&state=slow&group_by=team"
    assert query.link(text="", group_by="") == "/"


def certificate(site: Site, days: float | None, **fields: Any) -> str:
    """Record a result whose certificate expires in `days`, and return what the page says."""
    expiry = None if days is None else time.time() + days * 86400
    site.history.record(make_result(probe="ads-ok", certificate_not_after=expiry, **fields))
    found = re.search(r"certificate ([\w ]+)<", site.get("/").text)
    return found[1] if found else ""


def test_certificate_expiry(site: Site) -> None:
    """The row says when the certificate expires, also after a failure without a connection."""
    assert certificate(site, 63.5) == "expires in 63 d"
    assert certificate(site, None, reason=Reason.REFUSED) == "expires in 63 d"
    assert certificate(site, -1) == "has expired"
    assert certificate(site, None) == ""


def test_failure_detail_and_labels_are_on_the_list(site: Site) -> None:
    """A row has the reason with its detail, which is escaped, and the labels."""
    failure = Failure(reason=Reason.REFUSED, detail="nothing listens on <model>")
    site.history.record(replace(make_result(probe="ads-ok"), failure=failure))
    page = site.get("/").text
    assert ">refused</span>: nothing listens on &lt;model&gt;" in page
    assert '<span class="label">team=search</span>' in page


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.server.probe_list.MAX_PROBES_PER_PAGE", 4)


@pytest.mark.usefixtures("small_pages")
def test_a_long_list_has_pages(site: Site) -> None:
    """The pages have the rows in one order, links to each other, and counts of all probes."""
    first, second = rows(site), rows(site, "/?page=2")
    assert first == ["search-failed", "search-starting", "alone-internal", "search-slow"]
    assert second == ["ads-new", "ads-ok"]
    page, last = site.get("/").text, site.get("/?page=2").text
    assert "1 to 4 of 6, page 1 of 2" in page
    assert "5 to 6 of 6, page 2 of 2" in last
    assert re.findall('<a href="([^"]*)" rel="(.*?)">', page) == [("/?page=2", "next")] * 2
    assert re.findall('<a href="([^"]*)" rel="(.*?)">', last) == [("/", "prev")] * 2
    counts = '(?s)<ul class="counts".*?</ul>'
    assert re.findall(counts, page) == re.findall(counts, last) != []


@pytest.mark.usefixtures("small_pages")
def test_filter_and_groups_work_across_pages(site: Site) -> None:
    """The filter selects from all probes. A group continues on the next page, with all its counts.

    A link to a state leads to its first page.
    """
    assert rows(site, "/?q=ads") == ["ads-new", "ads-ok"]
    assert 'class="pages"' not in site.get("/?q=ads").text
    first, second = (site.get(f"/?group_by=team&page={page}").text for page in (1, 2))
    assert rows(site, "/?group_by=team") == [
        "search-failed",
        "search-starting",
        "search-slow",
        "ads-new",
    ]
    assert rows(site, "/?group_by=team&page=2") == ["ads-ok", "alone-internal"]
    heading = 'team = ads <span class="quiet">1 no results yet, 1 ok</span>'
    assert heading in first
    assert heading in second
    assert 'href="/?group_by=team&amp;page=2" rel="next"' in first
    assert 'href="/?state=ok&amp;group_by=team"' in second


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "9999999", "\u0663"])
def test_an_invalid_page(site: Site, page: str) -> None:
    """It is an error that says what to write. A page after the last one is the last one."""
    response = site.get(f"/?page={page}")
    assert (response.status_code, "write a number from 1 on" in response.text) == (400, True)
    assert rows(site, "/?page=999999") == ["ads-new", "ads-ok"]


def test_the_message_about_an_unknown_probe_is_short(tmp_path: Path) -> None:
    """It has the first 100 names, and the number of the others."""
    with site_of(tmp_path, *(f"m{n:03}" for n in range(120))) as site:
        for path in ("/probes/x", "/api/v1/probes/x/results", "/probe?name=x"):
            response = site.get(path)
            assert response.status_code == 404
            assert "m000, m001, " in response.text
            assert "m099 and 20 more" in response.text


def test_a_probe_that_a_reload_removes_has_no_row(site: Site) -> None:
    """The page that is rendered at this moment is complete otherwise."""
    site.history.remove_probe("ads-ok")
    assert len(rows(site)) == len(NAMES) - 1


def test_counts_and_rows_agree_after_a_result(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result between the listing and a row changes the headline, the row and the order."""
    overview = site.history.overview

    def overview_before_a_result(name: str) -> ProbeOverview | None:
        before = overview(name)
        if name == "ads-new":
            site.add("ads-new", **overloaded())
        return before

    monkeypatch.setattr(site.history, "overview", overview_before_a_result)
    page = site.get("/").text
    assert "2 failed" in page
    assert "no results yet" not in re.sub("(?s)<form.*?</form>", "", page)
    assert re.findall(r'<article .*? id="probe-(.+?)">', page)[:2] == ["ads-new", "search-failed"]


def test_a_page_that_does_not_exist_says_so(site: Site) -> None:
    """The list shows the last page instead, with a note."""
    assert "There is no page 99. This is the last one, page 1." in site.get("/?page=99").text
    assert "There is no page" not in site.get("/?page=1").text


def test_a_pause_changes_shared_pages_at_once(tmp_path: Path) -> None:
    """A page that is shared for a minute is rendered again after `pause` and `resume`."""
    paused = False
    with site_of(tmp_path, max_page_age_seconds=60.0, lifecycle={"paused": lambda: paused}) as site:
        states = []
        for paused in (False, True, False):
            states.append(site.get("/api/v1/probes").json()["probes"][0]["state"])
            assert ("‖ 1 paused" in site.get("/").text) == paused
    assert states == ["pending", "paused", "pending"]
