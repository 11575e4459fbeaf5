"""HTML files with charts that need no other file and no script."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import __version__
from probe.charts.canvas import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from probe.resources import page_style, template_environment

if TYPE_CHECKING:  # needed only to write a file
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    template: Path, filters: Mapping[str, Callable[..., object]], values: Mapping[str, object]
) -> str:
    """Return the page of a template, whose style sheet is `report.css` in the same directory."""
    styles = (TEMPLATES / "charts.css", template.parent / "report.css")
    style = page_style() + "".join(path.read_text(encoding="utf-8") for path in styles)
    environment = _environment(template.parent)
    environment.filters |= filters
    policy = _content_security_policy(style)
    return environment.get_template(template.name).render(values, style=style, policy=policy)


def _content_security_policy(style: str) -> str:
    """Return a policy that allows `style` and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _environment(directory: Path) -> "Environment":
    from markupsafe import Markup  # noqa: PLC0415  (slow, and few commands need it)

    environment = template_environment([directory, TEMPLATES], is_html=True)
    # For style sheets of this package.
    environment.filters["trusted"] = Markup
    geometry: dict[str, Any] = {
        "version": __version__,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "top": TOP,
        "bottom": BOTTOM,
    }
    environment.globals |= geometry
    return environment
