"""Text of PromQL selectors."""

from collections.abc import Mapping


def quote(text: str) -> str:
    """Return `text` as a string literal of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(name: str, labels: Mapping[str, str | None]) -> str:
    """Return the selector of the series `name` with these labels; None: any value."""
    return f"{name}{{{', '.join(matchers(labels))}}}"


def matchers(labels: Mapping[str, str | None]) -> list[str]:
    """Return the matchers of these labels; None: any value."""
    return [f"{label}={quote(value)}" for label, value in labels.items() if value is not None]
