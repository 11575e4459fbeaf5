"""Screenshots of the pages: `python -m tests.server.screenshots DIRECTORY`.

With `--docs` the command writes those in docs/images.
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
    """Probes with `results` results each, of which `failing` fail, and the pages to show."""

    name: str
    probes: tuple[str, ...]
    paths: tuple[str, ...]
    failing: tuple[str, ...] = ()
    results: int = 120


@dataclass(frozen=True, slots=True)
class Picture:
    """One page in one window size and color scheme."""

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
    parser.add_argument("--docs", action="store_true", help="write the screenshots of docs/images")
    args = parser.parse_args()
    if chromium.CHROMIUM is None:
        print(chromium.MISSING, file=sys.stderr)
        return 2
    directory = DOCS if args.docs else args.directory
    directory.mkdir(parents=True, exist_ok=True)
    with chromium.run_chromium() as browser:
        for scene in SCENES:
            with tempfile.TemporaryDirectory() as home, _serve(scene, Path(home)) as site:
                for picture in _pictures(scene, site):
                    if not args.docs or picture.name in PUBLISHED:
                        _take(browser, picture, directory)
    return 0


@contextmanager
def _serve(scene: Scene, home: Path) -> Iterator[Site]:
    with site_of(home, *scene.probes) as site:
        for probe in scene.probes:
            site.add_history(probe, failing=probe in scene.failing, results=scene.results)
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
    full_page = not picture.name.startswith("200")  # that page is too long
    page.screenshot(path=directory / f"{picture.name}.png", full_page=full_page)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
