"""The pages in a real browser: what a person sees, and can do without a mouse."""

import re
import time
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

from probe.history.history import MAX_FAILURES
from probe.result import Excerpt, Reason
from probe.server.routes import MAX_PAGE_AGE_SECONDS
from tests.server import chromium
from tests.server.page_fixtures import FAST, Site, answer, refusal, site_of, wait_until

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.MISSING)

DESKTOP, PHONE = (1280, 900), (360, 740)

Open = Callable[..., Page]


def update(page: Page) -> None:
    """Let a held page ask for its next version, once there may be one."""
    time.sleep(MAX_PAGE_AGE_SECONDS)
    page.clock.fast_forward(6000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a page; at the end no page must have complained or have asked another host."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    hosts: set[str] = set()

    def open_page(
        url: str,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        scripts: bool = True,
        held: bool = False,
    ) -> Page:
        """With `held` the clock stands still until the test moves it."""
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        if held:
            page.clock.install()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The site of a test may be gone before its page is, which asks for news every few seconds.
    assert [it for it in complaints if "ERR_CONNECTION_REFUSED" not in it] == []
    assert len(hosts) == 1, hosts


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_of(tmp_path) as site:
        yield site


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def box(locator: Locator) -> FloatRect:
    found = locator.bounding_box()
    assert found, "it cannot be seen"
    return found


def drawn(page: Page, kind: str) -> int:
    """How many points or marks of a kind the plot has."""
    path = page.locator(f".plot path.{kind}")
    return (path.get_attribute("d") or "").count("M") if path.count() else 0


def test_no_data_yet(site: Site, open_page: Open) -> None:
    """A daemon that has just started says so, and when there will be something."""
    for path in ("/", "/probes/model"):
        page = open_page(site.url + path)
        expect(page.get_by_text("no data yet")).to_be_visible()
        expect(page.get_by_text("No results yet: the probe runs every 10 s.")).to_be_visible()
        assert page.locator(".plot").count() == 0


def test_a_probe_that_keeps_its_promises(site: Site, open_page: Open) -> None:
    """One sees that objectives are met, the quantiles, and what is left of the budget."""
    site.live()
    page = open_page(site.url)
    expect(page.get_by_role("heading", name="1 probe")).to_be_visible()
    expect(page.get_by_text("Every objective with results")).to_be_visible()
    fast = page.get_by_role("row", name="fast")
    expect(fast).to_contain_text("90 % under 500 ms")
    expect(fast.get_by_text("✓ met")).to_have_count(3)
    expect(fast).to_contain_text("98.33 %")
    expect(fast).to_contain_text("83 %")
    expect(page.locator(".quantiles")).to_contain_text("p95")


def test_the_plot(site: Site, open_page: Open) -> None:
    """Results are dots, the objective is a line between fast and slow, failures are marks."""
    site.live()
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


def test_everything_failing(site: Site, open_page: Open) -> None:
    """One sees at once what is wrong, for how much of the budget, and why."""
    site.live(failing=True)
    page = open_page(site.url)
    expect(
        page.get_by_text("1 probe misses an objective over the last 5 minutes: model")
    ).to_be_visible()
    expect(page.get_by_text("✗ failed: overloaded")).to_be_visible()
    expect(page.get_by_role("row", name="up").get_by_text("✗ missed")).to_have_count(3)
    expect(page.get_by_role("row", name="up")).to_contain_text("spent 100×")
    assert (drawn(page, "failed"), drawn(page, "good")) == (120, 0)
    page.get_by_role("heading").get_by_role("link", name="model").click()
    expect(page.locator("details[id^=failure]")).to_have_count(120)
    expect(page.get_by_text("No success in the last hour.")).to_be_visible()


def test_probes_without_objectives_fail_too(tmp_path: Path, open_page: Open) -> None:
    """How many probes fail is said first, whatever was promised; what starts up does not fail."""
    names = ("model", "other", "starting", "third")
    with site_of(tmp_path, *names, objectives=[]) as site:
        site.live("model", failing=True)
        site.live("other", failing=True)
        site.live("third")
        site.add("starting", reason=Reason.STARTUP, phases={})
        page = open_page(site.url)
        expect(page.locator(".verdict")).to_have_text("✗ 2 of 4 probes fail: model, other")


def test_one_failure_does_not_pass_for_well(tmp_path: Path, open_page: Open) -> None:
    """Where objectives are met a probe may fail at present: then not all is said to be well."""
    with site_of(tmp_path, objectives=[FAST]) as site:
        site.live()
        site.add(**refusal())
        page = open_page(site.url)
        expect(page.get_by_text("✗ missed")).to_have_count(0)
        expect(page.locator(".verdict")).to_have_text("✗ 1 of 1 probe fails: model")


def test_the_waterfall(site: Site, open_page: Open) -> None:
    """Each phase begins where the last one ended, and the server's own times lie in `wait`."""
    site.add(**answer(0.1))
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
@pytest.mark.parametrize("path", ["/", "/probes/model"])
def test_nothing_is_wider_than_the_screen(
    tmp_path: Path, open_page: Open, path: str, size: tuple[int, int]
) -> None:
    """There is no scrolling to the side, also where everything is open and a name is long."""
    long = "h" * 60 + "/" + "p" * 130
    with site_of(tmp_path, "model", long, logged_in=True) as site:
        site.live()
        site.live(long, failing=True)
        page = open_page(site.url + path, size=size)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert fits(page)


CUT_OFF = """() => {
  const end = (cell) => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return text.getBoundingClientRect().right;
  };
  return [...document.querySelectorAll(".card")].flatMap((card) => {
    card.scrollIntoView();
    const edge = card.getBoundingClientRect().right - parseInt(getComputedStyle(card).paddingRight);
    return [...card.querySelectorAll("th, td, dd")].filter((cell) => end(cell) > edge + 1);
  }).map((cell) => cell.innerText);
}"""


def test_nothing_in_a_card_is_cut_off(tmp_path: Path, open_page: Open) -> None:
    """However narrow cards are, one reads how often a budget has been spent (cards hide what is
    wider than they are, so that the page seems to fit).
    """
    objectives = [FAST, {"name": "answered_within_the_time_promised", "target": "99.95%"}]
    with site_of(tmp_path, "model", "failing", "new", objectives=objectives) as site:
        site.live()
        site.live("failing", failing=True)
        page = open_page(site.url)
        expect(page.get_by_text("spent 2,000×")).to_be_visible()
        for width in (320, 360, 384, 390, 768, 1024, 1280, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(CUT_OFF) == [], width


def test_two_hundred_probes(tmp_path: Path, open_page: Open) -> None:
    """One finds the one that fails among 200, and gets to it."""
    names = [f"team-{n % 7}/model-{n}" for n in range(200)]
    with site_of(tmp_path, *names) as site:
        for name in names:
            site.live(name, failing=name.endswith("-150"), results=100)
        page = open_page(site.url, size=PHONE)
        expect(page.get_by_role("article")).to_have_count(200)
        assert fits(page)
        page.get_by_role("link", name="team-3/model-150").first.click()
        card = page.get_by_role("article").filter(has_text="team-3/model-150")
        expect(card).to_be_in_viewport()
        expect(card).to_contain_text("✗ failed: overloaded")
        card.get_by_role("link", name="team-3/model-150").click()
        expect(page.get_by_role("heading", name="team-3/model-150")).to_be_visible()


CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !one.checkVisibility()) continue;
    const style = getComputedStyle(one);
    const front = light(parse(one.closest("svg") ? style.fill : style.color));
    const back = light(behind(one));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    found[`${one.tagName}.${one.getAttribute("class")}`] = ratio;
  }
  return found;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_is_readable(tmp_path: Path, open_page: Open, dark: bool) -> None:
    """All text has a contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), by day and by night."""
    with site_of(tmp_path, logged_in=True) as site:
        site.live()
        site.add(**refusal())
        for path in ("/", "/probes/model"):
            page = open_page(site.url + path, dark=dark)
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 10
            assert {what: ratio for what, ratio in contrasts.items() if ratio < 4.5} == {}
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(16, 19, 23)") is dark


FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  return {
    text: one.textContent.trim(),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    shown: box.width > 0 && box.left >= 0 && box.left < innerWidth,
  };
}"""


def test_everything_can_be_reached_with_the_keyboard(site: Site, open_page: Open) -> None:
    """The focus goes down the page in order, and one always sees where it is."""
    site.live()
    page = open_page(site.url + "/probes/model")
    texts = []
    for _ in range(7):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        texts.append(focused["text"].split(",")[0][:15])
        assert focused["outlined"], focused
        assert focused["shown"], focused
    assert texts[:5] == ["Skip to content", "inference-probe", "metrics", "JSON", "Probe now"]
    assert texts[6].startswith("✗ overloaded")
    failure = page.locator("details[id^=failure]")
    expect(failure.locator(".waterfall")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(failure.locator(".waterfall")).to_be_visible()


def test_the_page_updates_itself(site: Site, open_page: Open) -> None:
    """New results appear; what was open stays open, and the focus stays where it was."""
    site.live()
    page = open_page(site.url + "/probes/model", held=True)
    page.evaluate("window.loaded = 'once'")
    failure = page.locator("details[id^=failure]").first
    failure.locator("summary").focus()
    page.keyboard.press("Enter")
    site.add(ago=-1, **refusal())
    update(page)
    expect(page.get_by_text("✗ failed: overloaded")).to_be_visible()
    expect(page.locator("details[id^=failure]")).to_have_count(2)
    older = page.locator("details[id^=failure]").nth(1)
    expect(older.locator(".waterfall")).to_be_visible()
    expect(older.locator("summary")).to_be_focused()
    assert page.evaluate("window.loaded") == "once"


def top(locator: Locator) -> float:
    return float(locator.evaluate("(one) => one.getBoundingClientRect().top"))


def test_what_one_reads_is_not_taken_away(tmp_path: Path, open_page: Open) -> None:
    """An open failure stays, where it is on the screen and with what its answer says, however many
    come after it; once closed it goes.
    """
    with site_of(tmp_path, logged_in=True) as site:
        long = Excerpt(headers={"Server": "toy"}, body="no capacity\n" * 200)
        site.add(ago=70, **refusal())  # with which it all began: it would not go
        site.add(ago=60, **{**refusal(), "excerpt": long})
        page = open_page(site.url + "/probes/model", held=True)
        known = page.locator("details[id^=failure]").first.get_attribute("id")
        failure = page.locator(f"[id='{known}']")
        failure.locator("summary").click()
        body = failure.get_by_label("Beginning of the response body")
        body.focus()
        body.evaluate("(one) => one.scrollTo(0, 120)")
        before = top(failure)
        for newer, shown in ((20, 22), (MAX_FAILURES, MAX_FAILURES + 2)):
            for step in range(newer):
                site.add(ago=30 - step / 10, **refusal())
            update(page)
            expect(page.locator("details[id^=failure]")).to_have_count(shown)
            assert top(failure) == pytest.approx(before, abs=1)
            expect(body).to_be_focused()
            assert body.evaluate("(one) => one.scrollTop") == 120
        failure.locator("summary").click()
        update(page)
        expect(failure).to_have_count(0)


def test_cards_stay_where_they_are(tmp_path: Path, open_page: Open) -> None:
    """What one looks at far down the page does not move when the cards above it grow."""
    names = [f"model-{n}" for n in range(40)]
    with site_of(tmp_path, *names) as site:
        page = open_page(site.url, size=PHONE, held=True)
        for _ in range(8):
            page.mouse.wheel(0, 700)
            page.wait_for_timeout(100)
        topmost = page.evaluate("findAnchor().id")
        card = page.locator(f"#{topmost}")
        before = top(card)
        for name in names:
            site.live(name, results=20)
        update(page)
        expect(card).to_contain_text("✓ ok")
        assert topmost != "probe-model-0"
        page.wait_for_timeout(300)  # the browser itself may scroll with the next frame
        assert top(card) == pytest.approx(before, abs=1)


def test_who_skipped_to_the_content_stays_there(site: Site, open_page: Open) -> None:
    """The next step with the keyboard leads on from where one was, not to the top again."""
    page = open_page(site.url + "/probes/model", held=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    site.live()
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Probe now")).to_be_focused()


RENEWED = """(html) => {
  const page = new DOMParser().parseFromString(html, "text/html").getElementById("content");
  updateNode(content, page.cloneNode(true));
  return content.isEqualNode(page);
}"""


@pytest.mark.parametrize("path", ["/", "/probes/model"])
def test_a_page_that_was_updated_is_as_one_that_was_loaded(
    tmp_path: Path, open_page: Open, path: str
) -> None:
    """Whatever happened meanwhile, nothing of the old page is left and nothing new is missing."""
    with site_of(tmp_path, "other", "model") as site:
        pages = [site.get(path).text]
        for change in ({}, {"failing": True}, {"results": 3}):
            site.live(**change)
            wait_until(lambda: site.get(path).text not in pages)
            pages.append(site.get(path).text)
        pages.append(
            pages[0].replace('tabindex="-1">', 'tabindex="-1"><p class="verdict">✗ stopped</p>')
        )
        page = open_page(site.url + path, held=True)
        for one in [*pages, *reversed(pages), pages[2], pages[0]]:
            assert page.evaluate(RENEWED, one)


def test_a_page_that_nobody_sees_asks_for_nothing(site: Site, open_page: Open) -> None:
    """Hidden it is quiet; shown again it is up to date at once."""
    page = open_page(site.url + "/probes/model", held=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    hide = "(hidden) => Object.defineProperty(document, 'hidden', {value: hidden, writable: true})"
    page.evaluate(hide, True)
    for _ in range(5):
        update(page)
    assert "/probes/model" not in asked
    site.live()
    page.evaluate("document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("✓ ok")).to_be_visible()


def test_selected_text_is_left_alone(site: Site, open_page: Open) -> None:
    """Who is about to copy something can do so; then the page goes on."""
    page = open_page(site.url + "/probes/model", held=True)
    page.get_by_role("heading", name="model").select_text()
    site.live()
    update(page)
    page.wait_for_timeout(500)
    assert page.evaluate("String(document.getSelection())").strip() == "model"
    status = page.get_by_role("status")
    expect(status).to_have_text("Not updated while text is selected.")
    page.evaluate("document.getSelection().empty()")
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()
    expect(status).to_be_empty()


def test_a_daemon_that_is_gone_is_noticed(tmp_path: Path, browser: Browser) -> None:
    """Old numbers do not pass for new ones."""
    with browser.new_context() as context:
        page = context.new_page()
        page.clock.install(time="2026-05-06T07:08:09+02:00")
        with site_of(tmp_path) as site:
            page.goto(site.url)
        page.get_by_role("heading").first.select_text()  # nor does that hide it
        update(page)
        expect(page.get_by_role("status")).to_contain_text(
            "No response from the daemon since 2026-05-06 05:08:"
        )


def test_why_there_is_no_news_is_told(site: Site, browser: Browser) -> None:
    """A probe that is not in the config any more is not a daemon that is gone."""
    with browser.new_context() as context:
        page = context.new_page()
        page.clock.install()
        page.goto(site.url + "/probes/model")
        site.history.remove_probe("model")
        update(page)
        status = page.get_by_role("status")
        expect(status).to_contain_text("Not updated since")
        expect(status).to_contain_text("no probe 'model'; there are:")


def test_a_daemon_that_hangs_is_noticed(tmp_path: Path, open_page: Open) -> None:
    """What never answers does not pass for well, wherever on the page one is; later it goes on."""
    with site_of(tmp_path, *(f"model-{n}" for n in range(30))) as site:
        page = open_page(site.url, held=True)
        page.mouse.wheel(0, 2000)
        page.route("**/*", lambda _: None)
        update(page)
        status = page.get_by_role("status")
        expect(status).to_contain_text("No response from the daemon since", timeout=20_000)
        expect(status).to_be_in_viewport(ratio=1)
        page.unroute("**/*")
        site.live("model-0")
        update(page)
        expect(page.get_by_text("✓ ok")).to_have_count(1)
        expect(status).to_be_empty()


def test_the_page_of_somebody_else_is_not_shown(site: Site, open_page: Open) -> None:
    """A proxy that wants a login does not take the place of the last results; later it goes on."""
    page = open_page(site.url + "/probes/model", held=True)
    page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="Log in"))
    update(page)
    status = page.get_by_role("status")
    expect(status).to_contain_text(re.compile("Not updated since .*: the response is another page"))
    expect(page.get_by_role("heading", name="model")).to_be_visible()
    page.unroute("**/*")
    site.live()
    update(page)
    expect(page.get_by_text("✓ ok")).to_be_visible()


def test_it_works_without_scripts(site: Site, open_page: Open) -> None:
    """The page is whole as it comes, and has the browser ask for it again."""
    site.live()
    page = open_page(site.url, scripts=False)
    expect(page.get_by_text("✓ met").first).to_be_visible()
    assert page.locator('meta[http-equiv="refresh"]').get_attribute("content") == "15"


def test_what_a_model_says_does_nothing(tmp_path: Path, open_page: Open) -> None:
    """Markup in an answer is text, for users, and others do not even see that."""
    with site_of(tmp_path, logged_in=True) as site:
        site.add(**refusal())
        page = open_page(site.url + "/probes/model")
        page.locator("details[id^=failure] summary").click()
        expect(page.get_by_text("<script>document.title = 'hacked'</script>")).to_be_visible()
        expect(page.get_by_text("Server: <i>toy</i>")).to_be_visible()
        assert "hacked" not in page.title()


def test_a_script_that_got_in_would_not_run(site: Site, browser: Browser) -> None:
    """The policy of the page stops what escaping has missed."""
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
