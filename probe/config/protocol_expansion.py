"""Expansion of `protocol`: the keys of a probe that its protocol provides.

It works on the values of a config before they are validated. Explicit keys have precedence.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from probe.config.secrets import ResolvedText, Template
from probe.protocols.protocol import ProtocolKeys
from probe.protocols.registry import PROTOCOLS

BODY_KEYS = ("json", "body", "body_file", "payloads")
DEFAULT_MAX_TOKENS = 16

# A prompt cache holds whole blocks of tokens, so it does not matter for shorter prompts.
MIN_NONCE_TOKENS = 64

# A common rule of thumb for English text.
CHARS_PER_TOKEN = 4

NONCE = "{{nonce}}"

# Keys of a body with the texts that a model reads, in this order.
_PROMPT_KEYS = (
    "system",
    "systemInstruction",
    "system_instruction",
    "instructions",
    "prompt",
    "messages",
    "contents",
    "input",
    "inputs",
    "text_input",
)

# Keys of messages and of their parts with text.
_TEXT_KEYS = ("content", "parts", "text")


def expand_protocol(probe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `probe` with those that its protocol provides.

    If `protocol` is invalid, its keys are incomplete; validation reports it.
    """
    protocol = probe.get("protocol")
    if not isinstance(protocol, dict) or len(protocol) != 1:
        return dict(probe)
    ((name, written),) = protocol.items()
    if name not in PROTOCOLS:
        return dict(probe)
    fields = {"max_tokens": DEFAULT_MAX_TOKENS, **(written if isinstance(written, dict) else {})}
    if _needs_nonce(fields):
        fields = _with_nonce(fields)
    keys = PROTOCOLS[name](fields)
    expanded = {**_defaults(probe, keys, fields.get("extra")), **probe}
    expanded["url"] = _complete_url(probe.get("url"), keys.path)
    if isinstance(probe.get("payloads"), list):
        expanded["payloads"] = [_complete_payload(item, keys.body) for item in probe["payloads"]]
    if "cold" not in probe:
        expanded["cold"] = dict(keys.cold)
    elif isinstance(probe["cold"], dict):
        expanded["cold"] = {**keys.cold, **probe["cold"]}
    for key, values in (("headers", keys.headers), ("expect", keys.expect)):
        explicit = probe.get(key)
        if isinstance(explicit, dict):
            present = {item.lower() for item in explicit if isinstance(item, str)}
            missing = {item: values[item] for item in values if item.lower() not in present}
            expanded[key] = {**missing, **explicit}
    return expanded


def _defaults(probe: Mapping[str, Any], keys: ProtocolKeys, extra: Any) -> dict[str, Any]:
    """Return the keys that the protocol provides, without those that must not be in the probe."""
    defaults: dict[str, Any] = {}
    if keys.stream:
        defaults["stream"] = dict(keys.stream)
    if keys.headers:
        defaults["headers"] = dict(keys.headers)
    if keys.expect:
        defaults["expect"] = dict(keys.expect)
    if keys.server_timing:
        defaults["server_timing"] = [dict(timing) for timing in keys.server_timing]
    defaults |= {
        key: dict(value)
        for key, value in (("version", keys.version), ("segment", keys.segment))
        if value
    }
    if not any(probe.get(key) is not None for key in BODY_KEYS):
        is_text = isinstance(keys.body, (str, ResolvedText))
        defaults["body" if is_text else "json"] = _merge(keys.body, extra)
    return defaults


def _complete_payload(payload: Any, body: Any) -> Any:
    """Return a payload whose `json` has the other keys of the protocol's body, too."""
    if not isinstance(payload, dict) or not isinstance(payload.get("json"), dict):
        return payload
    return {**payload, "json": _merge(body, payload["json"])}


def _merge(body: Any, extra: Any) -> Any:
    """Return `body` with the keys of `extra`, also in inner mappings. A null removes a key."""
    if not isinstance(body, dict) or not isinstance(extra, dict):
        return body
    merged = {**body, **{key: _merge_value(body.get(key), extra[key]) for key in extra}}
    return {key: value for key, value in merged.items() if key not in extra or value is not None}


def _merge_value(value: Any, extra: Any) -> Any:
    if isinstance(value, dict) and isinstance(extra, dict):
        return _merge(value, extra)
    return extra


def _complete_url(url: Any, path: tuple[Any, ...]) -> Any:
    """Return `url` with the path of the protocol, if it has none or one that ends with /v1."""
    text = _text(url)
    if text is None:
        return url
    try:
        parts = urlsplit(text)
    except ValueError:
        return url
    if not parts.netloc or parts.query or parts.fragment:
        return url
    first, *rest = path
    if parts.path.rstrip("/").endswith("/v1") and first.startswith("/v1/"):
        first = first.removeprefix("/v1")
    elif parts.path.rstrip("/"):
        return url
    return join_texts(url, first.removeprefix("/") if text.endswith("/") else first, *rest)


def _needs_nonce(fields: Mapping[str, Any]) -> bool:
    """Return whether the prompt gets a nonce."""
    nonce = fields.get("nonce")
    text = prompt_text(fields)
    if NONCE in text or nonce is False:
        return False
    return nonce is True or estimate_text_tokens(len(text)) >= MIN_NONCE_TOKENS


def _with_nonce(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` with a nonce at the beginning of the prompt or of the first message."""
    for key in ("prompt", "messages"):
        begun = _begin_with_nonce(fields.get(key))
        if begun is not None:
            return {**fields, key: begun}
    return dict(fields)


def _begin_with_nonce(value: Any) -> Any:
    """Return `value` with a nonce at the beginning of its first text; None if it has no text."""
    if _text(value) is not None:
        return join_texts(f"{NONCE} ", value)
    for key, item in _parts(value):
        begun = _begin_with_nonce(item)
        if begun is not None:
            copy = value.copy()
            copy[key] = begun
            return copy
    return None


def prompt_text(body: Mapping[str, Any]) -> str:
    """Return the text of the prompt in the body of a request, or in the fields of a protocol."""
    return " ".join(text for key in _PROMPT_KEYS for text in _texts(body.get(key)))


def _texts(value: Any) -> Iterator[str]:
    """Yield text, and that of messages and their parts, but not of other keys such as `role`."""
    text = _text(value)
    if text is not None:
        yield text
    for _, item in _parts(value):
        yield from _texts(item)


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return the items of a list, or the values of a mapping that may have text, by their keys."""
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in _TEXT_KEYS if key in value]
    return ()


def estimate_text_tokens(chars: int) -> int:
    """Return an estimate of the number of tokens in a text with `chars` characters."""
    return -(-chars // CHARS_PER_TOKEN)


def join_texts(*parts: Any) -> Any:
    """Return one text. If a part has references, so has the result."""
    if not any(isinstance(part, ResolvedText) for part in parts):
        return "".join(_text(part) or "" for part in parts)
    source = "".join(_source_text(part) or "" for part in parts)
    secrets = (part.secrets for part in parts if isinstance(part, ResolvedText))
    return ResolvedText(
        Template.parse(source),
        "".join(_text(part) or "" for part in parts),
        frozenset().union(*secrets),
    )


def _source_text(value: Any) -> str | None:
    """Return text as written in the config, with its references; None for other values."""
    return value.template.source if isinstance(value, ResolvedText) else _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, ResolvedText):
        return value.text
    if isinstance(value, Template):
        return value.source
    return value if isinstance(value, str) else None
