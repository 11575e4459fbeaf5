"""The request of a probe with `protocol`, as text without secrets."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from probe.config.schema import Probe
from probe.config.secrets import Template
from probe.metrics.recorder import shown_url
from probe.redaction import redact_json

# Headers whose literal value is no secret. Of others, only references are shown.
_PUBLIC_HEADERS = frozenset({"accept", "anthropic-version", "content-type"})
SHOWN_BODY_CHARS = 1000


def request_lines(probe: Probe) -> Iterator[str]:
    """Yield method and URL, headers, body, and the format of the response."""
    yield f"{probe.method} {shown_url(probe)}"
    for name, value in probe.headers.items():
        is_public = name.lower() in _PUBLIC_HEADERS
        yield f"{name}: {value.source if is_public else _references_only(value)}"
    if body := _body(probe):
        yield body if len(body) <= SHOWN_BODY_CHARS else f"{body[:SHOWN_BODY_CHARS]}..."
    yield f"response: {f'stream, {probe.stream.format}' if probe.stream else 'one document'}"


def _body(probe: Probe) -> str:
    """Return the body with references instead of their values."""
    if probe.body_file is not None:
        return f"the content of {probe.body_file}"
    if probe.body is not None:
        return probe.body.source
    if probe.json_body is None:
        return ""
    return json.dumps(_sources(probe.json_body), ensure_ascii=False)


def _sources(value: Any) -> Any:
    """Return the JSON `value` with references, and without text that may be a secret."""
    if isinstance(value, Template):
        return value.source
    if isinstance(value, Mapping):
        return {
            key: redact_json({key: item})[key] if isinstance(item, str) else _sources(item)
            for key, item in value.items()
        }
    return list(map(_sources, value)) if isinstance(value, (list, tuple)) else value


def _references_only(value: Template) -> str:
    """Return the text with its references, and without literal text, which may be a secret."""
    return "".join(
        str(part) if not isinstance(part, str) or part == "Bearer " else "***"
        for part in value.parts
    )
