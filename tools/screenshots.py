"""Take screenshots of the web pages: `python -m tools.screenshots [DIRECTORY]`.

With `--docs`, take those in docs/images (needs Pillow: `pip install --group bench`).
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
from tools.png import save_with_palette

DOCS_DIRECTORY = Path(__file__).parents[1] / "docs" / "images"
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
class Screenshot:
    """One page in one window size and color scheme."""

    name: str
    url: str
    size: str
    scheme: Scheme


LIST_AND_PROBE = ("/", "/probes/sentiment")
SCENES = (
    Scene("one", MODELS[:1], LIST_AND_PROBE),
    Scene("three", MODELS, ("/",), failing=MODELS[2:]),
    Scene("200", tuple(f"model-{n}" for n in range(200)), ("/",)),
    Scene("empty", MODELS[:1], LIST_AND_PROBE, results=0),
    Scene("failing", MODELS[:1], LIST_AND_PROBE, failing=MODELS[:1]),
)
# Screenshots in docs/images.
DOCS_SCREENSHOTS = ("one-probe-desktop-dark", "three-list-desktop-light")


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
    with site_of(directory, *scene.probes) as site:
        for probe in scene.probes:
            site.add_history(probe, failing=probe in scene.failing, results=scene.results)
        yield site


def _screenshots(scene: Scene, site: Site) -> Iterator[Screenshot]:
    for path, size, scheme in product(scene.paths, SIZES, SCHEMES):
        page = "list" if path == "/" else "probe"
        yield Screenshot(f"{scene.name}-{page}-{size}-{scheme}", site.url + path, size, scheme)


def _take(browser: Browser, screenshot: Screenshot, directory: Path, *, palette: bool) -> None:
    width, height = SIZES[screenshot.size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=screenshot.scheme
    )
    page.goto(screenshot.url)
    # A list of 200 probes is too long to be of use.
    full_page = not screenshot.name.startswith("200")
    path = directory / f"{screenshot.name}.png"
    png = page.screenshot(path=None if palette else path, full_page=full_page)
    if palette:
        save_with_palette(png, path)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
