"""How the parts of an HTTP request and of its answer are written in a config."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationInfo

from probe.config.errors import quote, quote_url
from probe.config.secrets import Template
from probe.config.types import (
    ConfigType,
    describe_type,
    pattern_schema,
    require_text,
    to_plain,
    to_template,
)

TOKEN_PATTERN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
STATUS_PATTERN = r"[1-5](?:[0-9][0-9]|[xX][xX])"
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.-])?")
_RESERVED = ("probe", "url", "job", "instance", "le", "quantile")
_LABEL = r"(?!__)[A-Za-z_][A-Za-z0-9_]*"
LABEL_PATTERN = rf"(?!(?:{'|'.join(_RESERVED)})$){_LABEL}"


@dataclass(frozen=True, slots=True)
class StatusPattern:
    """A status that is expected, "200", or a class of them, "2xx"."""

    text: str

    def allows(self, status: int) -> bool:
        wanted = self.text[0] if self.text.endswith("x") else self.text
        return str(status).startswith(wanted) and len(str(status)) == 3


def may_need_tls(url: str, redirects: object) -> bool:
    """Whether a request may be sent over TLS: to this URL, as the config has it, to what a
    reference in it comes to stand for, or to where a redirect leads.
    """
    return bool(redirects) or not url.lower().startswith("http://")


def split_url(value: Any) -> SplitResult:
    """The parts of an http or https URL; ValueError says which of them is wrong."""
    written = require_text(value)
    if any(character <= " " or character == "\x7f" for character in written):
        raise ValueError(f"not a URL: {quote_url(written)}; it has blanks or control characters")
    try:
        parts = urlsplit(str(written))
        port = parts.port
    except ValueError:
        raise ValueError(f"not a URL: {quote_url(written)}; host or port make no sense") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            f"not a URL: {quote_url(written)}; write http://HOST:PORT/PATH, or https://"
        )
    if not _is_host(parts.hostname or ""):
        raise ValueError(f"not a URL: {quote_url(written)}; the host is missing or no host's name")
    if port == 0:
        raise ValueError(f"not a URL: {quote_url(written)}; a port is a number from 1 to 65535")
    return parts


def _is_host(host: str) -> bool:
    try:
        if ":" in host:
            return bool(IPv6Address(host))
        ascii_name = host.encode("idna").decode()
    except ValueError:
        return False
    return bool(_HOST.fullmatch(ascii_name)) and (host.isascii() or _is_requested(host))


def _is_requested(host: str) -> bool:
    """Whether requests takes a host that is not ASCII: it goes by stricter rules (IDNA 2008)."""
    # Imported here because most configs have no such host and should not pay for it.
    import requests  # noqa: PLC0415

    try:
        requests.PreparedRequest().prepare_url(f"http://{host}/", None)
    except requests.RequestException:
        return False
    return True


def _server_name(value: Any, _: ValidationInfo) -> str:
    written = require_text(value)
    if not _is_host(str(written)):
        raise ValueError(f"not a host's name: {quote(written)}")
    return str(written)


def _url(value: Any, _: ValidationInfo) -> Template:
    url = to_template(value)
    if "#" in split_url(value if isinstance(value, str) else url.source).geturl():
        raise ValueError(f"{quote_url(url.source)} has a fragment; remove it, it is never sent")
    return url


def _proxy(value: Any, _: ValidationInfo) -> Template:
    proxy = to_template(value)
    written = value if isinstance(value, str) else proxy.source
    scheme = written.partition("://")[0]
    if scheme != "http":
        raise ValueError("only http:// proxies are supported for now; write http://HOST:PORT")
    split_url(written)
    return proxy


def _method(value: Any, _: ValidationInfo) -> str:
    written = require_text(value)
    if not re.fullmatch(TOKEN_PATTERN, written):
        raise ValueError(f"not an HTTP method: {quote(written)}; write one such as GET or POST")
    return str(written).upper()


def header_name(value: Any) -> str:
    """The name of a header, whatever its case."""
    written = require_text(value)
    if not re.fullmatch(TOKEN_PATTERN, written):
        raise ValueError("not a header's name; it is of letters, digits and -")
    return written


def _header_value(value: Any, _: ValidationInfo) -> Template:
    header = to_template(value)
    sent = str(value) if isinstance(value, str) else header.source
    if any((character < " " and character != "\t") or character == "\x7f" for character in sent):
        raise ValueError("a header's value has no line breaks or control characters")
    if sent != sent.strip():
        raise ValueError("a header's value has no blanks at its ends")
    if not all(ord(character) < 256 for character in sent):
        raise ValueError("a header's value is of Latin-1 characters only")
    return header


def _body(value: Any, _: ValidationInfo) -> Template:
    return to_template(value)


def _json_body(value: Any, _: ValidationInfo) -> Any:
    """JSON in which text with references is a Template."""
    if isinstance(value, Mapping):
        return {key: _json_body(item, _) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_body(item, _) for item in value]
    if isinstance(value, str):
        body = to_template(value)
        return body if body.has_references else str(to_plain(value))
    return value


def _status(value: Any, _: ValidationInfo) -> StatusPattern:
    if isinstance(value, StatusPattern):
        return value
    written = str(value) if type(value) is int else value
    if not isinstance(written, str) or not re.fullmatch(STATUS_PATTERN, written):
        shown = quote(written) if isinstance(written, str) else describe_type(value)
        raise ValueError(f"not a status: {shown}; write one such as 200, or a class such as 2xx")
    return StatusPattern(str(written).lower())


def json_path(value: Any) -> str:
    """The text of a JSONPath (RFC 9535) that compiles."""
    # Imported here because most configs have no such path and should not pay for it.
    import jsonpath  # noqa: PLC0415

    written = require_text(value)
    try:
        jsonpath.compile(str(written), strict=True)
    except (jsonpath.JSONPathError, RecursionError, ValueError, OverflowError):
        advice = "write one such as $.result or $.choices[0].text"
        raise ValueError(f"not a JSONPath (RFC 9535): {quote(written)}; {advice}") from None
    return str(written)


def _timing_key(value: Any, info: ValidationInfo) -> str:
    """The name of a header or a JSONPath, whichever the field before it asks for."""
    readers = {"header": header_name, "json": json_path}
    return str(readers.get(info.data.get("from_", ""), require_text)(value))


def _label_name(value: Any, _: ValidationInfo) -> str:
    written = require_text(value)
    if not re.fullmatch(_LABEL, written):
        raise ValueError("not a label's name; use letters, digits and _, no digit or __ first")
    if written in _RESERVED:
        raise ValueError(f"{written} is a label that the metrics use; choose another name")
    return written


Url = Annotated[
    Template,
    ConfigType(
        _url, {"type": "string", "examples": ["http://model:5000/predict"]}, reference=False
    ),
]
Proxy = Annotated[
    Template,
    ConfigType(_proxy, {"type": "string", "examples": ["http://proxy:3128"]}, reference=False),
]
Host = Annotated[str, ConfigType(_server_name, {"type": "string", "minLength": 1}, reference=False)]
Method = Annotated[
    str, ConfigType(_method, pattern_schema(TOKEN_PATTERN, examples=["GET", "POST"]))
]
HeaderName = Annotated[
    str,
    ConfigType(lambda value, _: header_name(value), pattern_schema(TOKEN_PATTERN), reference=False),
]
HeaderValue = Annotated[Template, ConfigType(_header_value, {"type": "string"}, reference=False)]
Body = Annotated[Template, ConfigType(_body, {"type": "string"}, reference=False)]
JsonBody = Annotated[Any, ConfigType(_json_body, {}, reference=False)]
Status = Annotated[
    StatusPattern,
    ConfigType(
        _status,
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                pattern_schema(STATUS_PATTERN, examples=["2xx", "200"]),
            ]
        },
    ),
]
JsonPath = Annotated[
    str,
    ConfigType(
        lambda value, _: json_path(value), {"type": "string", "pattern": r"^\$"}, reference=False
    ),
]
TimingKey = Annotated[str, ConfigType(_timing_key, {"type": "string"}, reference=False)]
LabelName = Annotated[str, ConfigType(_label_name, pattern_schema(LABEL_PATTERN), reference=False)]
