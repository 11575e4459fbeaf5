"""Data files of the package: the default config, the alert rules, templates and styles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # needed only to write pages and scripts
    from jinja2 import Environment

_PACKAGE = Path(__file__).parent


def resource_path(name: str) -> Path:
    """Return the path of `config/...` or `rules/...` in the installed package or the checkout."""
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def page_style() -> str:
    """Return the style sheet of the web pages."""
    return (_PACKAGE / "server" / "static" / "page.css").read_text(encoding="utf-8")


def template_environment(directories: Sequence[Path], *, is_html: bool) -> "Environment":
    """Return the environment of the templates in `directories`, in which a missing value fails.

    HTML is escaped. Other texts are not, and end with the line end of their template.
    """
    # Imported here because it is slow, and few commands need it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=FileSystemLoader(directories),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not is_html,
        auto_reload=False,
    )
