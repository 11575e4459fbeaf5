"""The documents: two of them are written from the code, and all are tried out."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs import config_reference, metrics_reference

ROOT = Path(__file__).parents[2]

REFERENCES: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs/config.md": config_reference.text,
    ROOT / "docs/metrics.md": metrics_reference.text,
}
"""What `python -m tests.docs` writes."""
