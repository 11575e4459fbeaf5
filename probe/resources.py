"""Data files of the package: the default config, the alert rules and the style of the pages."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource_path(name: str) -> Path:
    """Return the path of `config/...` or `rules/...` in the installed package or the checkout."""
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def page_style() -> str:
    """Return the style sheet of the web pages."""
    return (_PACKAGE / "server" / "static" / "page.css").read_text(encoding="utf-8")
