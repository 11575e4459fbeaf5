"""Pictures of the pages, for people to look at: `python -m tests.server.screenshots DIRECTORY`.

Those in docs/images are made by the same command with `--docs`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser

from tests.server import chromium
from tests.server.page_fixtures import Site, site_of

DOCS = Path(__file__).parents[2] / "docs" / "images"
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
MODELS = ("sentiment", "translation", "ranking")


@dataclass(frozen=True, slots=True)
class Scene:
    """Probes with so many results, some of which fail, and the pages that are looked at."""

    name: str
    probes: tuple[str, ...]
    paths: tuple[str, ...]
    failing: tuple[str, ...] = ()
    results: int = 120


@dataclass(frozen=True, slots=True)
class Picture:
    """One page on one screen in one scheme of colours."""

    name: str
    url: str
    size: str
    scheme: Scheme


BOTH = ("/", "/probes/sentiment")
SCENES = (
    Scene("one", MODELS[:1], BOTH),
    Scene("three", MODELS, ("/",), failing=MODELS[2:]),
    Scene("200", tuple(f"model-{n}" for n in range(200)), ("/",)),
    Scene("empty", MODELS[:1], BOTH, results=0),
    Scene("failing", MODELS[:1], BOTH, failing=MODELS[:1]),
)
PUBLISHED = ("one-probe-desktop-dark", "three-list-desktop-light")


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.server.screenshots", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("build/screenshots"))
    parser.add_argument("--docs", action="store_true", help="make those of docs/images")
    args = parser.parse_args()
    if chromium.CHROMIUM is None:
        print(chromium.MISSING, file=sys.stderr)
        return 2
    directory = DOCS if args.docs else args.directory
    directory.mkdir(parents=True, exist_ok=True)
    with chromium.started() as browser:
        for scene in SCENES:
            with tempfile.TemporaryDirectory() as home, _staged(scene, Path(home)) as site:
                for picture in _pictures(scene, site):
                    if not args.docs or picture.name in PUBLISHED:
                        _take(browser, picture, directory)
    return 0


@contextmanager
def _staged(scene: Scene, home: Path) -> Iterator[Site]:
    with site_of(home, *scene.probes) as site:
        for probe in scene.probes:
            site.live(probe, failing=probe in scene.failing, results=scene.results)
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
