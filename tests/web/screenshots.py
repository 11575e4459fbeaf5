"""Pictures of the pages, for people to look at: `python -m tests.web.screenshots DIRECTORY`.

Those in docs/images are made by the same command with `--docs`.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from tests.web.sites import Site, site_of

DOCS = Path(__file__).parents[2] / "docs" / "images"
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
MODELS = ("sentiment", "translation", "ranking")


@dataclass(frozen=True, slots=True)
class Scene:
    """A past, and the pages that are looked at."""

    name: str
    probes: tuple[str, ...]
    paths: tuple[str, ...]
    past: Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One page on one screen in one scheme of colours."""

    name: str
    url: str
    size: str
    scheme: Scheme


def _well(site: Site) -> None:
    for probe in site.probes:
        site.live(probe.name)


def _failing(site: Site) -> None:
    for probe in site.probes:
        site.live(probe.name, failing=True)


def _mixed(site: Site) -> None:
    for probe in site.probes:
        site.live(probe.name, failing=probe.name == MODELS[-1])


def _nothing(_: Site) -> None:
    pass


SCENES = (
    Scene("one", MODELS[:1], ("/", "/probes/sentiment"), _well),
    Scene("three", MODELS, ("/",), _mixed),
    Scene("200", tuple(f"model-{n}" for n in range(200)), ("/",), _well),
    Scene("empty", MODELS[:1], ("/", "/probes/sentiment"), _nothing),
    Scene("failing", MODELS[:1], ("/", "/probes/sentiment"), _failing),
)
PUBLISHED = ("one-probe-desktop-dark", "three-list-desktop-light")


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.web.screenshots", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("build/screenshots"))
    parser.add_argument("--docs", action="store_true", help="make those of docs/images")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("no chromium on the PATH (Debian: apt-get install chromium)", file=sys.stderr)
        return 2
    directory = DOCS if args.docs else args.directory
    directory.mkdir(parents=True, exist_ok=True)
    with _browser(chromium) as browser:
        for scene in SCENES:
            with tempfile.TemporaryDirectory() as home, _staged(scene, Path(home)) as site:
                for picture in _pictures(scene, site):
                    if not args.docs or picture.name in PUBLISHED:
                        _take(browser, picture, directory)
    return 0


@contextmanager
def _browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # a container's root has no sandbox; the pages are our own
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def _staged(scene: Scene, home: Path) -> Iterator[Site]:
    with site_of(home, *scene.probes) as site:
        scene.past(site)
        yield site


def _pictures(scene: Scene, site: Site) -> Iterator[Picture]:
    for path, size, scheme in product(scene.paths, SIZES, SCHEMES):
        page = "list" if path == "/" else "probe"
        yield Picture(f"{scene.name}-{page}-{size}-{scheme}", site.url + path, size, scheme)


def _take(browser: Browser, picture: Picture, directory: Path) -> None:
    width, height = SIZES[picture.size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=picture.scheme
    )
    page.goto(picture.url)
    whole = not picture.name.startswith("200")  # which would be metres long
    page.screenshot(path=directory / f"{picture.name}.png", full_page=whole)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
