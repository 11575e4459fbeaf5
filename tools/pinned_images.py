"""Copies the references to public images from .github/images/Dockerfile to their users."""

import re
from collections.abc import Iterator
from pathlib import Path

IMAGES = Path(__file__).parents[1] / ".github/images/Dockerfile"

# A reference such as `python:3.13-slim@sha256:...`, and its name.
_REFERENCE = re.compile(r"\b([a-z][a-z/-]*):[\w.-]+@sha256:[0-9a-f]{64}")


def pinned_images() -> Iterator[tuple[str, str]]:
    """Yield name and reference of each image in the file that Dependabot updates."""
    for match in _REFERENCE.finditer(IMAGES.read_text()):
        yield match[1], match[0]


def with_pinned_images(text: str) -> str:
    """Return `text` with the current reference of each image in it; KeyError for an unknown one."""
    references = dict(pinned_images())
    return _REFERENCE.sub(lambda match: references[match[1]], text)
