"""The request of a probe with `protocol`, without secrets, as JSON and as text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from probe.config.secrets import Template
from probe.config.settings import Probe
from probe.redaction import redact_config_url, redact_json

# Headers whose literal value is no secret. Of others, only references are shown.
_PUBLIC_HEADERS = frozenset({"accept", "anthropic-version", "content-type"})
MAX_SHOWN_BODY_CHARS = 1000


def request_json(probe: Probe) -> dict[str, Any]:
    """Return method and URL, headers, body, and the format of a stream, None for a document.

    `body` is JSON or text. It is None if `body_file` names its file, and without a body. With
    `payloads`, it has the body of each one by its name.
    """
    return {
        "method": probe.method,
        "url": redact_config_url(probe.url.source),
        "headers": {name: _shown_header(name, value) for name, value in probe.headers.items()},
        "body": {
            payload.name: _shown_body(request)
            for payload, request in zip(probe.payloads, probe.payload_probes(), strict=True)
        }
        if probe.payloads
        else _shown_body(probe),
        "body_file": str(probe.body_file) if probe.body_file is not None else None,
        "stream": str(probe.stream.format) if probe.stream else None,
    }


def request_lines(probe: Probe) -> Iterator[str]:
    """Yield the same as `request_json` in lines of text."""
    request = request_json(probe)
    yield f"{request['method']} {request['url']}"
    yield from (f"{name}: {value}" for name, value in request["headers"].items())
    body = request["body"]
    if probe.body_file is not None:
        yield f"the content of {probe.body_file}"
    elif probe.payloads:
        yield from (f"{name}: {_body_text(body[name])}" for name in body)
    elif body is not None:
        yield _body_text(body)
    yield f"response: {f'stream, {probe.stream.format}' if probe.stream else 'one document'}"


def _shown_body(probe: Probe) -> Any:
    return probe.body.source if probe.body is not None else _sources(probe.json_body)


def _body_text(body: Any) -> str:
    """Return the beginning of a body: text, or JSON in one line."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_BODY_CHARS else f"{text[:MAX_SHOWN_BODY_CHARS]}..."


def _shown_header(name: str, value: Template) -> str:
    return value.source if name.lower() in _PUBLIC_HEADERS else _references_only(value)


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
