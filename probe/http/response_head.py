"""Head of a response, and a parser for ordinary heads."""

import re
from typing import NamedTuple

MAX_HEADER_LINES = 100

# One pass of the regular expression engine checks all lines. A head that it does not match may be
# valid: folded lines, bare line feeds, HTTP/1.0, and informational responses.
_ORDINARY_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([^\r\n\0]*+))?\r\n"
    rb"((?:[\x21-\x39\x3b-\x7e]++:[^\r\n\0]*+\r\n)*+)\r\n"
)
# 18 digits, less than 1 EB. int() raises ValueError for more than 4300 digits.
CONTENT_LENGTH = re.compile("[0-9]{1,18}")

STATUSES_WITHOUT_BODY = (204, 304)


class ResponseHead(NamedTuple):
    """Status line and headers of the final response."""

    status: int
    reason: str
    headers: dict[str, str]
    """By name in lower case. Repeated headers are joined to one list (RFC 9110, 5.3)."""


class OrdinaryHead(NamedTuple):
    """A head whose end is at the index `end`, and the length of its body."""

    head: ResponseHead
    end: int
    body_bytes: int | None
    """None for a chunked body."""


def parse_ordinary_head(data: bytes, start: int) -> OrdinaryHead | None:
    """Parse the head that begins at the index `start`; return None if it is not ordinary.

    It is ordinary if it is complete, and if Content-Length or `Transfer-Encoding: chunked` gives
    the length of the body. The result is that of `ResponseReader`, which parses line by line. That
    takes 15 µs more, 4 % of a run.
    """
    match = _ORDINARY_HEAD.match(data, start)
    if match is None:
        return None
    status = int(match[1])
    # The last one is empty.
    lines = match[3].decode("latin-1").split("\r\n")
    if status in STATUSES_WITHOUT_BODY or len(lines) > MAX_HEADER_LINES + 1:
        return None
    headers: dict[str, str] = {}
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        key, text = name.lower(), value.strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is None:
        if length is None or not CONTENT_LENGTH.fullmatch(length):
            return None
        body_bytes = int(length)
    elif length is None and coding.lower() == "chunked":
        body_bytes = None
    else:
        return None
    reason = (match[2] or b"").decode("latin-1")
    head = ResponseHead(status=status, reason=reason, headers=headers)
    return OrdinaryHead(head, match.end(), body_bytes)
