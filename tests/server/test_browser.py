"""The pages in a browser: what they show, how they update, and use with the keyboard."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FloatRect,
    Locator,
    Page,
    expect,
)

from probe.history.snapshots import MAX_FAILURES
from probe.result import Excerpt, Reason
from tests.server import chromium
from tests.server.page_fixtures import FAST, Site, overloaded, site_of, success, wait_until

pytestmark = [
    pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.MISSING),
    pytest.mark.timing,
]

DESKTOP, PHONE = (1280, 900), (360, 740)

Open = Callable[..., Page]


def update(page: Page) -> None:
    """Let a page whose clock is stopped fetch its next version."""
    page.clock.fast_forward(6000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.run_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a page.

    Afterwards no page must have logged an error, or have sent a request to another host.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []
    hosts: set[str] = set()

    def open_page(
        url: str,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        scripts: bool = True,
        stop_clock: bool = False,
    ) -> Page:
        """With `stop_clock` timers run only when the test advances the clock."""
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        if stop_clock:
            page.clock.install()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The server of a test may stop before its page does, which fetches updates.
    stopped = re.compile("ERR_CONNECTION_(REFUSED|RESET)")
    assert [error for error in errors if not stopped.search(error)] == []
    assert len(hosts) == 1, hosts


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_of(tmp_path) as site:
        yield site


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def box(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box, "the element is not visible"
    return box


def drawn(page: Page, kind: str) -> int:
    """Return the number of dots or marks of a kind in the chart."""
    path = page.locator(f".plot path.{kind}")
    return drawn_in(path) if path.count() else 0


def drawn_in(path: Locator) -> int:
    return (path.get_attribute("d") or "").count("M")


def test_without_results(site: Site, open_page: Open) -> None:
    """The pages of a daemon that has just started say when the first result is due."""
    page = open_page(site.url)
    expect(page.get_by_role("article")).to_contain_text("no results yet")
    expect(page.get_by_role("article")).to_contain_text("every 10 s")
    page = open_page(site.url + "/probes/model")
    expect(page.locator(".state")).to_contain_text("no results yet")
    expect(page.get_by_text("No results yet: the probe runs every 10 s.")).to_be_visible()
    assert page.locator(".plot, .bars").count() == 0


def test_objectives_that_are_met(site: Site, open_page: Open) -> None:
    """The pages show the verdict, the quantiles and the error budget left."""
    site.add_history()
    page = open_page(site.url)
    expect(page.get_by_role("heading", name="1 probe")).to_be_visible()
    expect(page.get_by_text("Every objective with results")).to_be_visible()
    expect(page.get_by_role("article")).to_contain_text("fast 98.33 % budget 83 %")
    expect(page.get_by_role("article")).to_contain_text("p95")
    page = open_page(site.url + "/probes/model")
    fast = page.get_by_role("row", name="fast")
    expect(fast).to_contain_text("90 % under 500 ms")
    expect(fast.get_by_text("✓ met")).to_have_count(3)
    expect(fast).to_contain_text("98.33 %")
    expect(fast).to_contain_text("83 %")


def test_status_bars(site: Site, open_page: Open) -> None:
    """Each of the last 60 results is a bar, the newest at the right end; a text describes them."""
    site.add_history()
    site.add(reason=Reason.STARTUP, phases={})
    page = open_page(site.url)
    bars = page.locator(".bars path")
    assert {path.get_attribute("class"): drawn_in(path) for path in bars.all()} == {
        "good": 58,
        "failed": 1,
        "not_counted": 1,
    }
    description = "Last 60 results, over 9 min 50 s: 58 ok, 1 failed, 1 failed, not counted"
    chart = page.get_by_role("img", name=description)
    newest, all_bars = box(page.locator(".bars path.not_counted")), box(chart)
    assert newest["x"] + newest["width"] == pytest.approx(
        all_bars["x"] + all_bars["width"], abs=all_bars["width"] / 60
    )


def test_latency_chart(site: Site, open_page: Open) -> None:
    """Results are dots, the objective is a line between fast and slow, failures are marks."""
    site.add_history()
    page = open_page(site.url + "/probes/model")
    assert {kind: drawn(page, kind) for kind in ("good", "slow", "failed", "not_counted")} == {
        "good": 118,
        "slow": 1,
        "failed": 1,
        "not_counted": 0,
    }
    expect(
        page.get_by_role("img", name="last 120 results of model, 1 of them failed")
    ).to_be_visible()
    boxes = {
        kind: box(page.locator(f".plot path.{kind}"))
        for kind in ("good", "slow", "failed", "objective")
    }
    assert boxes["slow"]["y"] < boxes["objective"]["y"] < boxes["good"]["y"]
    assert boxes["failed"]["height"] > 10
    expect(page.locator(".plot text.objective")).to_have_text("500 ms")


def test_all_results_failing(site: Site, open_page: Open) -> None:
    """The page shows the missed objectives, the budget spent, and the reason."""
    site.add_history(failing=True)
    page = open_page(site.url)
    expect(
        page.get_by_text("1 probe misses an objective over the last 5 minutes: model")
    ).to_be_visible()
    article = page.get_by_role("article")
    expect(article).to_contain_text("✗ failed")
    expect(article).to_contain_text("overloaded: the response has the status 503")
    page.get_by_role("heading").get_by_role("link", name="model").click()
    row = page.get_by_role("row", name="up 99 %")
    expect(row.get_by_text("✗ missed")).to_have_count(3)
    expect(row).to_contain_text("spent 100×")
    expect(page.get_by_text("No success among the last 120 results.")).to_be_visible()
    expect(page.locator(".plot")).to_have_count(0)
    expect(page.locator("details[id^=failure]")).to_have_count(120)
    expect(page.get_by_text("No success in the last hour.")).to_be_visible()


def test_states_are_counted(tmp_path: Path, open_page: Open) -> None:
    """The headline counts each state, with or without objectives, and a count is a filter."""
    names = ("model", "other", "starting", "third")
    with site_of(tmp_path, *names, objectives=[]) as site:
        site.add_history("model", failing=True)
        site.add_history("other", failing=True)
        site.add_history("third")
        site.add("starting", reason=Reason.STARTUP, phases={})
        page = open_page(site.url)
        counts = page.get_by_role("list", name="Probes by state")
        expect(counts.get_by_role("listitem")).to_contain_text(
            ["✗ 2 failed", "? 1 never answered (failures count from now on)", "✓ 1 ok"]
        )
        counts.get_by_role("link", name="2 failed").click()
        expect(page.get_by_role("article")).to_contain_text(["model", "other"])
        expect(page.get_by_text("2 of 4 probes.")).to_be_visible()
        page.get_by_role("link", name="Show all").click()
        expect(page.get_by_role("article")).to_have_count(4)


def test_a_failing_probe_whose_objectives_are_met(tmp_path: Path, open_page: Open) -> None:
    """The headline reports the failure, even if all objectives are still met."""
    with site_of(tmp_path, objectives=[FAST]) as site:
        site.add_history()
        site.add(**overloaded())
        page = open_page(site.url)
        expect(page.get_by_text("1 failed")).to_be_visible()
        expect(page.get_by_role("article")).to_contain_text("fast 97.52 %")
        expect(page.locator(".verdict")).to_have_count(0)


def test_waterfall(site: Site, open_page: Open) -> None:
    """Each phase starts where the previous one ends; times of the server are within `wait`."""
    site.add(**success(0.1))
    page = open_page(site.url + "/probes/model")
    rows = page.get_by_role("region", name="Last result").locator(".waterfall tr")
    names = [text.split()[0] for text in rows.locator("th").all_text_contents()]
    assert names == ["dns", "connect", "send", "wait", "queue", "compute", "receive"]
    expect(rows.nth(3)).to_contain_text("100 ms")
    boxes = [box(rows.nth(n).locator("rect")) for n in range(7)]
    wait, queue, compute, receive = boxes[3:]
    assert receive["x"] == pytest.approx(wait["x"] + wait["width"], abs=2)
    assert queue["width"] == pytest.approx(wait["width"] / 5, rel=0.05)
    assert compute["x"] == pytest.approx(queue["x"] + queue["width"], abs=2)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("path", ["/?group_by=team", "/probes/model"])
def test_no_horizontal_scrolling(
    tmp_path: Path, open_page: Open, path: str, size: tuple[int, int]
) -> None:
    """The page fits the screen, also with all details open and a long name."""
    long = "h" * 60 + "/" + "p" * 130
    labels = {"team": "t" * 80, "version": "1"}
    with site_of(tmp_path, "model", long, authenticated=True, labels=labels) as site:
        site.add_history()
        site.add_history(long, failing=True)
        page = open_page(site.url + path, size=size)
        page.evaluate(
            "document.querySelectorAll('details').forEach((details) => (details.open = true))"
        )
        assert fits(page)


CLIPPED_CELLS = """() => {
  const end = (cell) => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return text.getBoundingClientRect().right;
  };
  document.querySelectorAll(".hidden").forEach((hidden) => hidden.remove());
  return [...document.querySelectorAll(".row")].flatMap((row) => {
    row.scrollIntoView();
    return [...row.children].filter((cell) => end(cell) > cell.getBoundingClientRect().right + 1);
  }).map((cell) => cell.innerText);
}"""


def test_no_text_in_a_row_is_clipped(tmp_path: Path, open_page: Open) -> None:
    """No text is wider than its cell, at any window width."""
    objectives = [FAST, {"name": "answered_within_the_time_promised", "target": "99.95%"}]
    with site_of(tmp_path, "model", "failing", "new", objectives=objectives) as site:
        site.add_history()
        site.add_history("failing", failing=True)
        page = open_page(site.url)
        expect(page.get_by_text("spent 2,000×")).to_be_visible()
        for width in (320, 360, 384, 390, 768, 1024, 1280, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(CLIPPED_CELLS) == [], width


def test_two_hundred_probes(tmp_path: Path, open_page: Open) -> None:
    """The failing probe is the first row, which links to its page; the filter finds another."""
    names = [f"team-{n % 7}/model-{n}" for n in range(200)]
    with site_of(tmp_path, *names) as site:
        for name in names:
            site.add_history(name, failing=name.endswith("-150"), results=100)
        page = open_page(site.url, size=PHONE)
        expect(page.get_by_role("article")).to_have_count(200)
        assert fits(page)
        first = page.get_by_role("article").first
        expect(first).to_contain_text("✗ failed")
        expect(first).to_contain_text("overloaded")
        page.get_by_label("Text").fill("Model-151")
        expect(page.get_by_role("article")).to_contain_text(["team-4/model-151"])
        page.get_by_label("Text").fill("")
        expect(page.get_by_role("article")).to_have_count(200)
        first.get_by_role("link").click()
        expect(page.get_by_role("heading", name="team-3/model-150")).to_be_visible()


CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratios = {};
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!hasText || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const front = light(parse(element.closest("svg") ? style.fill : style.color));
    const back = light(behind(element));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    ratios[`${element.tagName}.${element.getAttribute("class")}`] = ratio;
  }
  return ratios;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast(tmp_path: Path, open_page: Open, dark: bool) -> None:
    """All text has a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both color schemes."""
    with site_of(tmp_path, "model", "new", "starting", authenticated=True) as site:
        site.add_history()
        site.add(**overloaded())
        site.add("new", **success(0.9))  # slow, and its statistics are of few results
        site.add("starting", reason=Reason.STARTUP, phases={})
        for path in ("/?q=e", "/probes/model", "/probes/new"):
            page = open_page(site.url + path, dark=dark)
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 10
            assert {element: ratio for element, ratio in contrasts.items() if ratio < 4.5} == {}
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(16, 19, 23)") is dark


FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {
    text: element.textContent.trim(),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    visible: box.width > 0 && box.left >= 0 && box.left < innerWidth,
  };
}"""


def test_keyboard_navigation(site: Site, open_page: Open) -> None:
    """Tab moves the focus down the page in order, and the focus is always visible."""
    site.add_history()
    page = open_page(site.url + "/probes/model")
    texts = []
    for _ in range(8):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        texts.append(focused["text"].split(",")[0][:15])
        assert focused["outlined"], focused
        assert focused["visible"], focused
    assert texts[:5] == ["Skip to content", "inference-probe", "metrics", "JSON", "Probe now"]
    assert texts[5] == "Half hours with"
    assert texts[7].startswith("✗ overloaded")
    failure = page.locator("details[id^=failure]")
    expect(failure.locator(".waterfall")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(failure.locator(".waterfall")).to_be_visible()


def test_local_time(site: Site, browser: Browser) -> None:
    """A browser elsewhere shows its local time next to UTC, also after an update."""
    with browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB") as context:
        page = context.new_page()
        page.clock.install()
        page.goto(site.url)
        pattern = re.compile(
            r"^\d{4}-\d\d-\d\d (\d\d):(\d\d):(\d\d) UTC \(.*?(\d\d):(\d\d):\3 local\)$"
        )
        expect(page.locator("time")).to_have_text(pattern)
        text = page.locator("time").inner_text()
        match = pattern.match(text)
        assert match
        hour, minute, _, local_hour, local_minute = map(int, match.groups())
        assert (hour * 60 + minute + 330 - local_hour * 60 - local_minute) % 1440 == 0
        site.add()
        update(page)
        expect(page.get_by_text("✓ ok")).to_be_visible()
        expect(page.locator("time")).to_have_text(pattern)


def test_page_updates_in_place(site: Site, open_page: Open) -> None:
    """New results appear; open details stay open, and the focus stays where it was."""
    site.add_history()
    page = open_page(site.url + "/probes/model", stop_clock=True)
    page.evaluate("window.loaded = 'once'")
    failure = page.locator("details[id^=failure]").first
    failure.locator("summary").focus()
    page.keyboard.press("Enter")
    site.add(seconds_ago=-1, **overloaded())
    update(page)
    expect(page.get_by_text("✗ failed")).to_be_visible()
    expect(page.locator("details[id^=failure]")).to_have_count(2)
    older = page.locator("details[id^=failure]").nth(1)
    expect(older.locator(".waterfall")).to_be_visible()
    expect(older.locator("summary")).to_be_focused()
    assert page.evaluate("window.loaded") == "once"


def top(locator: Locator) -> float:
    return float(locator.evaluate("(element) => element.getBoundingClientRect().top"))


def test_an_open_failure_is_kept(tmp_path: Path, open_page: Open) -> None:
    """An open failure keeps its place on the screen and its response, until it is closed."""
    with site_of(tmp_path, authenticated=True) as site:
        long = Excerpt(headers={"Server": "toy"}, body="no capacity\n" * 200)
        site.add(seconds_ago=70, **overloaded())  # with which it all began: it would not go
        site.add(seconds_ago=60, **{**overloaded(), "excerpt": long})
        page = open_page(site.url + "/probes/model", stop_clock=True)
        known = page.locator("details[id^=failure]").first.get_attribute("id")
        failure = page.locator(f"[id='{known}']")
        failure.locator("summary").click()
        body = failure.get_by_label("Beginning of the response body")
        body.focus()
        body.evaluate("(element) => element.scrollTo(0, 120)")
        before = top(failure)
        for newer, shown in ((20, 22), (MAX_FAILURES, MAX_FAILURES + 2)):
            for step in range(newer):
                site.add(seconds_ago=30 - step / 10, **overloaded())
            update(page)
            expect(page.locator("details[id^=failure]")).to_have_count(shown)
            assert top(failure) == pytest.approx(before, abs=1)
            expect(body).to_be_focused()
            assert body.evaluate("(element) => element.scrollTop") == 120
        failure.locator("summary").click()
        update(page)
        expect(failure).to_have_count(0)


def test_visible_rows_do_not_move(tmp_path: Path, open_page: Open) -> None:
    """A visible row far down the page does not move when the rows above it grow."""
    names = [f"model-{n}" for n in range(40)]
    with site_of(tmp_path, *names) as site:
        page = open_page(site.url, size=PHONE, stop_clock=True)
        for _ in range(8):
            page.mouse.wheel(0, 700)
            page.wait_for_timeout(100)
        topmost = page.evaluate("findAnchor().id")
        row = page.locator(f"#{topmost}")
        before = top(row)
        for name in names:
            site.add_history(name, results=20)
        update(page)
        expect(row).to_contain_text("✓ ok")
        assert topmost != "probe-model-0"
        page.wait_for_timeout(300)  # the browser itself may scroll with the next frame
        assert top(row) == pytest.approx(before, abs=1)


def test_a_row_that_moves_keeps_the_focus(tmp_path: Path, open_page: Open) -> None:
    """When the last probe fails, its row becomes the first, and its link stays focused."""
    with site_of(tmp_path, "one", "two", "three") as site:
        for name in ("one", "two", "three"):
            site.add_history(name, results=20)
        page = open_page(site.url, stop_clock=True)
        page.get_by_role("link", name="three").focus()
        site.add("three", **overloaded())
        update(page)
        expect(page.get_by_role("article").locator("h3")).to_have_text(["three", "one", "two"])
        expect(page.get_by_role("article").first.get_by_role("link")).to_be_focused()


def test_filter(tmp_path: Path, open_page: Open) -> None:
    """Typing filters at once and stays focused; updates, reloads and groups keep the filter."""
    names = [f"{team}-{n}" for team in ("ads", "search") for n in range(10)]
    with site_of(tmp_path, *names, labels=lambda name: {"team": name[:-2]}) as site:
        page = open_page(site.url, stop_clock=True)
        text = page.get_by_label("Text")
        text.press_sequentially("search")
        expect(page.get_by_role("article")).to_have_count(10)
        expect(text).to_be_focused()
        assert page.url.endswith("/?q=search")
        site.add("search-3", **overloaded())
        update(page)
        expect(page.get_by_role("article").first).to_contain_text("search-3")
        expect(page.get_by_role("article")).to_have_count(10)
        expect(text).to_have_value("search")
        page.reload()
        page.get_by_label("Group by").select_option("team")
        expect(page.get_by_role("heading", name="team = search")).to_be_visible()
        page.get_by_role("combobox", name="State").select_option("failed")
        expect(page.get_by_role("article")).to_have_count(1)
        assert page.url.endswith("/?q=search&state=failed&group_by=team")


def test_pages_of_a_long_list(tmp_path: Path, open_page: Open) -> None:
    """Links lead from page to page, an update keeps the page, and a filter selects from all."""
    with site_of(tmp_path, *(f"model-{n:03}" for n in range(450))) as site:
        site.add("model-449", **overloaded())
        page = open_page(site.url, stop_clock=True)
        expect(page.get_by_role("article")).to_have_count(200)
        expect(page.get_by_role("article").first).to_contain_text("model-449")
        pages = page.get_by_role("navigation", name="Pages", exact=True)
        expect(pages).to_contain_text("1 to 200 of 450, page 1 of 3")
        pages.get_by_role("link", name="Next").press("Enter")
        page.get_by_role("navigation", name="Pages, end of the list").get_by_text("Next").click()
        expect(page.get_by_role("article")).to_have_count(50)
        expect(page.get_by_role("heading", level=1)).to_have_text("450 probes")
        site.add("model-000", **overloaded())
        update(page)
        expect(page.get_by_role("list", name="Probes by state")).to_contain_text("2 failed")
        expect(pages).to_contain_text("401 to 450 of 450, page 3 of 3")
        page.get_by_label("Text").fill("model-00")
        expect(page.get_by_role("article")).to_have_count(10)
        expect(pages).to_have_count(0)
        assert page.url == f"{site.url}/?q=model-00"


def test_an_update_keeps_the_keyboard_position(site: Site, open_page: Open) -> None:
    """After `Skip to content` and an update, Tab continues from there, not from the top."""
    page = open_page(site.url + "/probes/model", stop_clock=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    site.add_history()
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Probe now")).to_be_focused()


IS_EQUAL_AFTER_UPDATE = """(html) => {
  const page = new DOMParser().parseFromString(html, "text/html").getElementById("content");
  updateNode(content, page.cloneNode(true));
  return content.isEqualNode(page);
}"""


@pytest.mark.parametrize("path", ["/", "/probes/model"])
def test_an_updated_page_equals_a_loaded_one(tmp_path: Path, open_page: Open, path: str) -> None:
    """After an update nothing of the old page is left, and nothing new is missing."""
    with site_of(tmp_path, "other", "model") as site:
        pages = [site.get(path).text]
        for change in ({}, {"failing": True}, {"results": 3}):
            site.add_history(**change)
            wait_until(lambda: site.get(path).text not in pages)
            pages.append(site.get(path).text)
        pages.append(
            pages[0].replace('tabindex="-1">', 'tabindex="-1"><p class="verdict">✗ stopped</p>')
        )
        page = open_page(site.url + path, stop_clock=True)
        for html in [*pages, *reversed(pages), pages[2], pages[0]]:
            assert page.evaluate(IS_EQUAL_AFTER_UPDATE, html)


def test_a_hidden_page_sends_no_requests(site: Site, open_page: Open) -> None:
    """A hidden page fetches nothing; when it becomes visible, it updates at once."""
    page = open_page(site.url + "/probes/model", stop_clock=True)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(urlsplit(request.url).path))
    hide = "(hidden) => Object.defineProperty(document, 'hidden', {value: hidden, writable: true})"
    page.evaluate(hide, True)
    for _ in range(5):
        update(page)
    assert "/probes/model" not in requested
    site.add_history()
    page.evaluate("document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("✓ ok")).to_be_visible()


def test_selected_text_is_left_alone(site: Site, open_page: Open) -> None:
    """While text is selected the page is not updated, and says so; afterwards it is."""
    page = open_page(site.url + "/probes/model", stop_clock=True)
    page.get_by_role("heading", name="model").select_text()
    site.add_history()
    update(page)
    page.wait_for_timeout(500)
    assert page.evaluate("String(document.getSelection())").strip() == "model"
    status = page.get_by_role("status")
    expect(status).to_have_text("Not updated while text is selected.")
    page.evaluate("document.getSelection().empty()")
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()
    expect(status).to_be_empty()


def test_a_stopped_daemon_is_reported(tmp_path: Path, browser: Browser) -> None:
    """The page says that its numbers are old, and since when."""
    with browser.new_context() as context:
        page = context.new_page()
        page.clock.install(time="2026-05-06T07:08:09+02:00")
        with site_of(tmp_path) as site:
            page.goto(site.url)
        page.get_by_role("heading").first.select_text()  # a selection does not hide the message
        update(page)
        expect(page.get_by_role("status")).to_contain_text(
            "No response from the daemon since 2026-05-06 05:08:"
        )


def test_an_error_of_the_daemon_is_shown(site: Site, browser: Browser) -> None:
    """The page of a probe that has been removed from the config shows the daemon's error."""
    with browser.new_context() as context:
        page = context.new_page()
        page.clock.install()
        page.goto(site.url + "/probes/model")
        site.history.remove_probe("model")
        update(page)
        status = page.get_by_role("status")
        expect(status).to_contain_text("Not updated since")
        expect(status).to_contain_text("no probe 'model'; there are:")


# The page waits for seconds, and the clock of a test does not affect `AbortSignal.timeout`.
SHORT_TIMEOUTS = """() => {
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  AbortSignal.timeout = (milliseconds) => timeout(milliseconds / 20);
}"""


def test_a_hanging_daemon_is_reported(tmp_path: Path, open_page: Open) -> None:
    """The message is visible wherever the page is scrolled to; later the page updates again."""
    with site_of(tmp_path, *(f"model-{n}" for n in range(30))) as site:
        page = open_page(site.url, stop_clock=True)
        page.mouse.wheel(0, 2000)
        page.evaluate(SHORT_TIMEOUTS)
        page.route("**/*", lambda _: None)
        update(page)
        status = page.get_by_role("status")
        expect(status).to_contain_text("No response from the daemon since")
        expect(status).to_be_in_viewport(ratio=1)
        page.unroute("**/*")
        site.add_history("model-0")
        update(page)
        expect(page.get_by_text("✓ ok")).to_have_count(1)
        expect(status).to_be_empty()


def test_the_page_of_a_proxy_is_not_shown(site: Site, open_page: Open) -> None:
    """The login page of a proxy does not replace the last results; later the page updates."""
    page = open_page(site.url + "/probes/model", stop_clock=True)
    page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="Log in"))
    update(page)
    status = page.get_by_role("status")
    expect(status).to_contain_text(re.compile("Not updated since .*: the response is another page"))
    expect(page.get_by_role("heading", name="model")).to_be_visible()
    page.unroute("**/*")
    site.add_history()
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()


def test_without_scripts(site: Site, open_page: Open) -> None:
    """The page is complete without scripts, can be filtered, and lets the browser reload it."""
    site.add_history()
    page = open_page(site.url + "/?group_by=team", scripts=False)
    expect(page.get_by_text("✓ ok")).to_be_visible()
    assert page.locator('meta[http-equiv="refresh"]').get_attribute("content") == "15"
    page.get_by_label("Text").fill("other")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No probe matches the filter.")).to_be_visible()


def test_markup_in_a_response_is_text(tmp_path: Path, open_page: Open) -> None:
    """Markup in headers and body of a response is shown as text."""
    with site_of(tmp_path, authenticated=True) as site:
        site.add(**overloaded())
        page = open_page(site.url + "/probes/model")
        page.locator("details[id^=failure] summary").click()
        expect(page.get_by_text("<script>document.title = 'hacked'</script>")).to_be_visible()
        expect(page.get_by_text("Server: <i>toy</i>")).to_be_visible()
        assert "hacked" not in page.title()


def test_an_injected_script_does_not_run(site: Site, browser: Browser) -> None:
    """The Content-Security-Policy blocks inline scripts, in case escaping fails."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.url)
        page.evaluate("""() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'hacked'";
          document.body.append(script);
        }""")
        wait_until(lambda: page.locator("script").count() == 2)
        assert page.title() == "inference-probe"
