"""Types of config values for HTTP: URLs, headers, status codes, JSONPaths."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationInfo

from probe.config.errors import quote, quote_url, source_of
from probe.config.link_template import TRACE_ID_PLACEHOLDER, find_link_problem
from probe.config.response_settings import EVENT_PATH_STEP_PATTERN, StatusPattern
from probe.config.secrets import ResolvedText, Template
from probe.config.types import (
    SCALAR_OR_LIST,
    describe_type,
    pattern_schema,
    require_text,
    scalar,
    to_plain,
    to_template,
)

TOKEN_PATTERN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
EVENT_PATH_PATTERN = rf"(?:[A-Za-z0-9_.-]+:)?\$(?:{EVENT_PATH_STEP_PATTERN})*"
STATUS_PATTERN = r"[1-5](?:[0-9][0-9]|[xX][xX])"

# Addresses of the metadata services of clouds, which serve credentials: link-local addresses (AWS,
# Azure, Google Cloud, Oracle Cloud and others), then those of Alibaba Cloud, AWS, Azure, Google
# Cloud and Oracle Cloud outside of them.
METADATA_NETWORKS = (
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",
    "fd00:ec2::254/128",
    "168.63.129.16/32",
    "fd20:ce::254/128",
    "192.0.0.192/32",
)

_SPACE_OR_CONTROL = re.compile(r"[\x00- \x7f]")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.-])?")
_RESERVED_LABELS = ("probe", "url", "job", "instance", "le", "quantile")
# Labels that alerts get from Prometheus, from the rules, or from the instance that probes.
_RESERVED_ALERT_LABELS = (
    *_RESERVED_LABELS,
    *("alertname", "alertstate", "severity", "slo_severity", "down"),
    *("slo", "signal", "threshold", "alert", "short", "long", "window"),
    *("outcome", "phase", "component", "reason"),
    *("cluster", "namespace", "pod", "container", "endpoint", "node"),
    *("pod_template_hash", "controller_revision_hash"),
)
_PROMETHEUS_LABEL_PATTERN = r"(?!__)[A-Za-z_][A-Za-z0-9_]*"
LABEL_PATTERN = rf"(?!(?:{'|'.join(_RESERVED_LABELS)})$){_PROMETHEUS_LABEL_PATTERN}"
ALERT_LABEL_PATTERN = rf"(?!(?:{'|'.join(_RESERVED_ALERT_LABELS)})$){_PROMETHEUS_LABEL_PATTERN}"


def split_url(value: Any) -> SplitResult:
    """Return the parts of an http or https URL; raise ValueError that says what is wrong."""
    url = require_text(value)
    if _SPACE_OR_CONTROL.search(url):
        raise _invalid_url(value, "it must not contain spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid_url(value, "the host or the port is invalid") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise _invalid_url(value, "write http://HOST:PORT/PATH, or https://")
    if not _is_host(parts.hostname or ""):
        raise _invalid_url(value, "the host is missing or not a valid host name")
    if port == 0:
        raise _invalid_url(value, "a port is a number from 1 to 65535")
    return parts


def _invalid_url(value: str | ResolvedText, advice: str) -> ValueError:
    """Return the error for a URL. Without a scheme, `value` may be a password, so it is hidden."""
    shown = f": {quote_url(value)}" if "://" in source_of(value) else ""
    return ValueError(f"not a URL{shown}; {advice}")


# Many probes of a config have the same host, and to check one takes 8 µs of CPU.
@lru_cache(maxsize=1024)
def _is_host(host: str) -> bool:
    try:
        if ":" in host:
            return bool(IPv6Address(host))
        ascii_name = host.encode("idna").decode()
    except ValueError:
        return False
    return bool(_HOST.fullmatch(ascii_name)) and (host.isascii() or _requests_accepts(host))


def _requests_accepts(host: str) -> bool:
    """Return whether requests accepts a non-ASCII host: its rules (IDNA 2008) are stricter."""
    # Imported here because most configs have no such host and should not pay for it.
    import requests  # noqa: PLC0415

    try:
        requests.PreparedRequest().prepare_url(f"http://{host}/", None)
    except requests.RequestException:
        return False
    return True


def _server_name(value: Any) -> str:
    name = require_text(value)
    if not _is_host(name):
        raise ValueError(f"not a host name: {quote(value)}")
    return name


def _url(value: Any) -> Template:
    if split_url(value).fragment:
        raise ValueError(f"{quote_url(value)} has a fragment; remove it, it is never sent")
    return to_template(value)


def _proxy(value: Any) -> Template:
    scheme = require_text(value).partition("://")[0]
    if scheme != "http":
        raise ValueError("only http:// proxies are supported for now; write http://HOST:PORT")
    split_url(value)
    return to_template(value)


def _method(value: Any) -> str:
    method = require_text(value)
    if not re.fullmatch(TOKEN_PATTERN, method):
        raise ValueError(f"not an HTTP method: {quote(value)}; write one such as GET or POST")
    return method.upper()


def _header_name(value: Any) -> str:
    name = require_text(value)
    if not re.fullmatch(TOKEN_PATTERN, name):
        raise ValueError("not a header name; use letters, digits and -")
    return name


def _header_value(value: Any) -> Template:
    text = require_text(value)
    if any((character < " " and character != "\t") or character == "\x7f" for character in text):
        raise ValueError("a header value must not contain line breaks or control characters")
    if text != text.strip():
        raise ValueError("a header value must not begin or end with a space")
    if not all(ord(character) < 256 for character in text):
        raise ValueError("a header value must contain only Latin-1 characters")
    return to_template(value)


def _json_body(value: Any) -> Any:
    """Return JSON whose text with references is Template, and all other text is str."""
    if isinstance(value, Mapping):
        return {key: _json_body(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_body(item) for item in value]
    if isinstance(value, ResolvedText) and value.template.has_references:
        return value.template
    return to_plain(value)


def _status(value: Any) -> StatusPattern:
    text = str(value) if type(value) is int else value
    if not isinstance(text, (str, ResolvedText)):
        shown = describe_type(value)
    elif re.fullmatch(STATUS_PATTERN, require_text(text)):
        return StatusPattern(require_text(text).lower())
    else:
        shown = quote(text)
    raise ValueError(f"not a status: {shown}; write one such as 200, or a class such as 2xx")


def require_json_path(value: Any) -> str:
    """Return a valid JSONPath."""
    # Imported here because most configs have no such path and should not pay for it.
    import jsonpath  # noqa: PLC0415

    path = require_text(value)
    try:
        jsonpath.compile(path, strict=True)
    except (jsonpath.JSONPathError, RecursionError, ValueError, OverflowError):
        advice = "write one such as $.result or $.choices[0].text"
        raise ValueError(f"not a JSONPath (RFC 9535): {quote(value)}; {advice}") from None
    return path


def require_event_path(value: Any) -> str:
    """Return a valid path in an event of a stream."""
    path = require_text(value)
    if not re.fullmatch(EVENT_PATH_PATTERN, path):
        raise ValueError(
            f"not a path in an event: {quote(value)}; write one such as $.choices[*].delta.content,"
            " with names, indices and [*]"
        )
    return path


def _timing_key(value: Any, info: ValidationInfo) -> str:
    """Return a header name or a JSONPath, depending on `from`."""
    validators = {"header": _header_name, "json": require_json_path}
    return validators.get(info.data.get("from_", ""), require_text)(value)


def _value_key(value: Any, info: ValidationInfo) -> str:
    """Return a header name, a path in an event, or a JSONPath, depending on `from`.

    Whether the response is a stream is not known here: the probe validates that.
    """
    return _response_path(value) if info.data.get("from_") == "json" else _timing_key(value, info)


def _response_path(value: Any) -> str:
    """Return a JSONPath, or a path in an event."""
    if re.fullmatch(EVENT_PATH_PATTERN, require_text(value)):
        return require_text(value)
    return require_json_path(value)


def _label_name(value: Any) -> str:
    name = require_text(value)
    if not re.fullmatch(_PROMETHEUS_LABEL_PATTERN, name):
        raise ValueError(
            "not a label name; use letters, digits and _, and do not begin with a digit or __"
        )
    if name in _RESERVED_LABELS:
        raise ValueError(f"{name} is a label that the metrics use; choose another name")
    return name


def _alert_label_name(value: Any) -> str:
    name = require_text(value)
    if name in _RESERVED_ALERT_LABELS:
        raise ValueError(
            f"{quote(value)} is a label that alerts already have; give the label another name"
        )
    return _label_name(value)


def _trace_link(value: Any) -> str:
    template = require_text(value)
    problem = find_link_problem(template, TRACE_ID_PLACEHOLDER)
    if not problem and TRACE_ID_PLACEHOLDER not in template:
        problem = f"the placeholder {TRACE_ID_PLACEHOLDER} is missing"
    if problem:
        raise ValueError(f"{problem}; write, for example, {_TRACE_LINK_EXAMPLE}")
    return template


_TEXT_SCHEMA = {"type": "string"}
_URL_SCHEMA = {"type": "string", "examples": ["http://model:5000/predict"]}
_PROXY_SCHEMA = {"type": "string", "examples": ["http://proxy:3128"]}
_TRACE_LINK_EXAMPLE = f"https://grafana.example/trace/{TRACE_ID_PLACEHOLDER}"
_TRACE_LINK_SCHEMA = {"type": "string", "format": "uri-template", "examples": [_TRACE_LINK_EXAMPLE]}
_HOST_SCHEMA = {"type": "string", "minLength": 1}
_METHOD_SCHEMA = pattern_schema(TOKEN_PATTERN, examples=["GET", "POST"])
_JSON_PATH_SCHEMA = {"type": "string", "pattern": r"^\$"}
_STATUS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        pattern_schema(STATUS_PATTERN, examples=["2xx", "200"]),
    ]
}

Url = Annotated[Template, *scalar(_url, _URL_SCHEMA, allow_reference=False)]
Proxy = Annotated[Template, *scalar(_proxy, _PROXY_SCHEMA, allow_reference=False)]
TraceLink = Annotated[str, *scalar(_trace_link, _TRACE_LINK_SCHEMA, allow_reference=False)]
Host = Annotated[str, *scalar(_server_name, _HOST_SCHEMA, allow_reference=False)]
Method = Annotated[str, *scalar(_method, _METHOD_SCHEMA)]
HeaderName = Annotated[
    str, *scalar(_header_name, pattern_schema(TOKEN_PATTERN), allow_reference=False)
]
HeaderValue = Annotated[Template, *scalar(_header_value, _TEXT_SCHEMA, allow_reference=False)]
Body = Annotated[Template, *scalar(to_template, _TEXT_SCHEMA, allow_reference=False)]
JsonBody = Annotated[Any, *scalar(_json_body, {}, allow_reference=False)]
Status = Annotated[StatusPattern, *scalar(_status, _STATUS_SCHEMA)]
JsonPath = Annotated[str, *scalar(require_json_path, _JSON_PATH_SCHEMA, allow_reference=False)]
EventPath = Annotated[
    str, *scalar(require_event_path, pattern_schema(EVENT_PATH_PATTERN), allow_reference=False)
]
TimingKey = Annotated[str, *scalar(_timing_key, _TEXT_SCHEMA, allow_reference=False)]
ValueKey = Annotated[str, *scalar(_value_key, _TEXT_SCHEMA, allow_reference=False)]
ResponsePath = Annotated[
    str, *scalar(_response_path, pattern_schema(r".*\$.*"), allow_reference=False)
]
LabelName = Annotated[
    str, *scalar(_label_name, pattern_schema(LABEL_PATTERN), allow_reference=False)
]
_ALERT_LABEL_SCHEMA = pattern_schema(ALERT_LABEL_PATTERN, description="The name of a label")
AlertLabelName = Annotated[
    str, *scalar(_alert_label_name, _ALERT_LABEL_SCHEMA, allow_reference=False)
]
AlertLabelNames = Annotated[tuple[AlertLabelName, ...], SCALAR_OR_LIST]
