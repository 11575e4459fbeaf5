"""Checks of HTML files with charts in a browser."""

from itertools import combinations
from pathlib import Path

from playwright.sync_api import Browser, Page

from probe.charts.canvas import HEIGHT, WIDTH

# Boxes of the texts in each chart, in the units of the chart.
_TEXT_BOXES = """
  [...document.querySelectorAll("svg.chart")].map(chart =>
    [...chart.querySelectorAll("text")].map(text => {
      const box = text.getBBox();
      return [text.textContent, box.x, box.y, box.x + box.width, box.y + box.height];
    }))
"""


def _overlaps(page: Page) -> list[str]:
    """Return the texts that overlap another one in their chart, or are outside of it."""
    found = []
    for boxes in page.evaluate(_TEXT_BOXES):
        found += [
            text
            for text, left, top, right, bottom in boxes
            if left < 0 or top < 0 or right > WIDTH or bottom > HEIGHT
        ]
        found += [
            f"{a[0]} and {b[0]}"
            for a, b in combinations(boxes, 2)
            if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]
        ]
    return found


def check_page(browser: Browser, file: Path) -> None:
    """Check that the style is applied, that labels do not overlap, and that nothing is loaded.

    On a narrow screen, the page does not scroll to the side.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    errors: list[str] = []
    urls: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("request", lambda request: urls.append(request.url))
    page.goto(file.as_uri())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 23)"
    assert _overlaps(page) == []
    assert errors == []
    assert urls == [file.as_uri()]
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.close()
