"""Take screenshots of the web pages: `python -m tools.screenshots [DIRECTORY]`.

With `--docs`, take those in docs/images (needs Pillow: `pip install --group bench`).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, product
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser

from probe.clock import DAY_SECONDS
from probe.result import Excerpt, Phase, Reason, StreamResult, TokenCounts
from tests.server import chromium
from tests.server.page_fixtures import Site, site_of, success, typical_result
from tools.png import save_with_palette

DOCS_DIRECTORY = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
MODELS = ("sentiment", "translation", "ranking")
TEAMS = ("search", "ads", "support", "fraud")


@dataclass(frozen=True, slots=True)
class Scene:
    """Probes with `results` results each, of which `failing` fail, and the pages to show."""

    name: str
    probes: tuple[str, ...]
    paths: tuple[str, ...]
    failing: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()
    """Probes that have never succeeded."""
    results: int = 120
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Config keys of all probes; a value may be a function of the name."""
    full_page: bool = True
    whole_day: bool = False
    """Whether the probes have results of the day before."""
    streams: bool = False
    """Whether the responses are streams of tokens."""


@dataclass(frozen=True, slots=True)
class Screenshot:
    """One page in one window size and color scheme."""

    name: str
    url: str
    size: str
    scheme: Scheme
    full_page: bool


def _labels(name: str) -> dict[str, str]:
    return {"team": TEAMS[len(name) % 4], "version": f"v{len(name) % 3 + 1}"}


def _team_labels(name: str) -> dict[str, str]:
    return {"team": name.partition("-")[0]}


REFUSED = "connection refused, nothing listens on 10.0.0.7:8080"
FAILURES: tuple[Mapping[str, Any], ...] = (
    {
        "reason": Reason.FIRST_BYTE_TIMEOUT,
        "detail": "the deadline of 5 s passed while waiting for the first byte of the response",
        "latency": 5.0,
    },
    {
        "reason": Reason.HTTP_5XX,
        "detail": "the response has the status 500",
        "status": 500,
        "latency": 0.02,
        "excerpt": Excerpt(
            headers={"content-type": "application/json", "server": "uvicorn"},
            body='{"error": "CUDA out of memory"}',
        ),
    },
    {"reason": Reason.REFUSED, "detail": REFUSED, "latency": 0.001},
)
FLEET = tuple(f"{TEAMS[n % 4]}-{MODELS[n % 3]}-{n:03}" for n in range(200))
LIST_AND_PROBE = ("/", "/probes/sentiment")
SCENES = (
    Scene("one", MODELS[:1], LIST_AND_PROBE, keys={"labels": _labels}, whole_day=True, results=128),
    Scene("three", MODELS, ("/",), failing=MODELS[2:], keys={"labels": _labels}),
    Scene(
        "200",
        FLEET,
        ("/", "/?group_by=team"),
        failing=FLEET[3:200:29],
        slow=FLEET[7:100:41],
        starting=FLEET[20:22],
        keys={"labels": _team_labels},
        full_page=False,
    ),
    Scene(
        "stream",
        ("chat",),
        ("/probes/chat",),
        keys={
            "stream": {"content": "$.text", "usage": {"output": "$.tokens"}},
            "objectives": [
                {"name": "first-token", "target": "99%", "time_to_first_token": "500ms"},
                {"name": "speed", "target": "99%", "time_per_output_token": "40ms"},
            ],
        },
        streams=True,
    ),
    Scene("empty", MODELS[:1], LIST_AND_PROBE, results=0),
    Scene("failing", MODELS[:1], LIST_AND_PROBE, failing=MODELS[:1]),
)
# Screenshots in docs/images.
DOCS_SCREENSHOTS = (
    "one-probe-desktop-dark",
    "stream-probe-desktop-light",
    "three-list-desktop-light",
    "200-list-desktop-light",
    "200-list-phone-light",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m tools.screenshots", description="Take screenshots of the web pages."
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("build/screenshots"))
    parser.add_argument("--docs", action="store_true", help="take those in docs/images")
    args = parser.parse_args()
    if chromium.CHROMIUM is None:
        print(chromium.MISSING, file=sys.stderr)
        return 2
    directory = DOCS_DIRECTORY if args.docs else args.directory
    directory.mkdir(parents=True, exist_ok=True)
    with chromium.run_chromium() as browser:
        for scene in SCENES:
            with tempfile.TemporaryDirectory() as home, _serve(scene, Path(home)) as site:
                for screenshot in _screenshots(scene, site):
                    if not args.docs or screenshot.name in DOCS_SCREENSHOTS:
                        _take(browser, screenshot, directory, palette=args.docs)
    return 0


@contextmanager
def _serve(scene: Scene, directory: Path) -> Iterator[Site]:
    with site_of(directory, *scene.probes, **scene.keys) as site:
        site.startup_seconds_left = 180.0
        site.now += DAY_SECONDS
        for index, probe in enumerate(scene.probes):
            if probe in scene.starting:
                detail = f"not up yet (refused: {REFUSED})"
                site.add(probe, seconds_ago=4, reason=Reason.STARTUP, detail=detail, latency=0.001)
            else:
                _add_results(site, scene, probe, index)
        site.now += 10 * scene.results
        yield site


def _add_results(site: Site, scene: Scene, probe: str, index: int) -> None:
    """Record a result each 10 s, the last one 2 s ago. Each failing probe has another failure."""
    start = site.now
    if scene.whole_day:
        _add_earlier_results(site, probe)
    first_failure = scene.results - 10 - index % 50
    for step in range(scene.results):
        site.now = start + 10 * step
        fields = _stream(step, scene.results) if scene.streams else typical_result(step)
        if probe in scene.failing and step >= first_failure:
            fields = dict(FAILURES[index % len(FAILURES)])
        elif probe in scene.slow and step == scene.results - 1:
            fields = success(0.9)
        site.add(probe, seconds_ago=2 + 10 * (scene.results - 1 - step), **fields)
    site.now = start


def _add_earlier_results(site: Site, probe: str) -> None:
    """Record a result each 5 minutes of the day before, two failures and four slow ones."""
    site.now -= DAY_SECONDS
    for step in range(280):
        fields = success(0.07)
        if step in {101, 102}:
            fields = dict(FAILURES[0])
        elif step in {99, 100, 103, 105}:
            fields = success(0.8)
        site.add(probe, seconds_ago=DAY_SECONDS - step * 300, **fields)
        site.now += 300


def _stream(step: int, count: int) -> dict[str, Any]:
    """Return the fields of stream `step` of `count`: two late first tokens, a stall, a failure."""
    first = 0.18 + step * 37 % 50 / 1000
    if step in {count - 9, count - 40}:
        first = 0.62
    gaps = [0.022 + n * 7 % 5 / 1000 for n in range(23)]
    fields: dict[str, Any] = {"status": 200, "clock": "kernel"}
    if step == count - 5:
        gaps[11] = 0.19
    if step == count - 3:
        gaps = gaps[:8]
        fields |= {
            "reason": Reason.TRUNCATED,
            "detail": "the stream ended without its last event",
        }
    times = tuple(accumulate(gaps, initial=first))
    stream = StreamResult(
        time_to_first_byte=0.012,
        time_to_first_chunk=0.015,
        time_to_first_token=first,
        time_to_first_output_token=first,
        time_per_output_token=None if "reason" in fields else (times[-1] - first) / len(gaps),
        longest_gap=max(gaps),
        chunks=len(times),
        merged_events=0,
        tokens=TokenCounts(input=31, output=None if "reason" in fields else len(times)),
        finish_reason=None if "reason" in fields else "length",
        token_times=times,
    )
    phases = {
        Phase.CONNECT: 0.0011,
        Phase.SEND: 0.0001,
        Phase.WAIT: 0.0108,
        Phase.FIRST_TOKEN: first - 0.012,
        Phase.GENERATE: times[-1] - first,
    }
    return {**fields, "phases": phases, "latency": times[-1], "stream": stream}


def _screenshots(scene: Scene, site: Site) -> Iterator[Screenshot]:
    for path, size, scheme in product(scene.paths, SIZES, SCHEMES):
        page = {"/": "list", "/?group_by=team": "groups"}.get(path, "probe")
        name = f"{scene.name}-{page}-{size}-{scheme}"
        yield Screenshot(name, site.url + path, size, scheme, full_page=scene.full_page)


def _take(browser: Browser, screenshot: Screenshot, directory: Path, *, palette: bool) -> None:
    width, height = SIZES[screenshot.size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=screenshot.scheme
    )
    page.goto(screenshot.url)
    path = directory / f"{screenshot.name}.png"
    png = page.screenshot(path=None if palette else path, full_page=screenshot.full_page)
    if palette:
        save_with_palette(png, path)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
