"""Variables in the body of a request: their values differ from request to request."""

import itertools
import random
import re
from datetime import UTC, datetime

import requests

# Digits of a nonce. The width is fixed, so that the number of tokens changes little.
NONCE_DIGITS = 12

_VARIABLE = re.compile(rb"\{\{(nonce|now|sequence)\}\}")


class RequestVariables:
    """The variables of one probe.

    - `{{nonce}}` is a random number with 12 digits, one for each request.
    - `{{now}}` is the time in UTC, such as 2026-11-29T06:45:00Z.
    - `{{sequence}}` counts the requests since the start of the daemon, from 1.
    """

    def __init__(self) -> None:
        self._sequence = itertools.count(1)

    def substitute(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return `request`, whose body has variables, with their values."""
        values = {
            b"nonce": _nonce(),
            b"now": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            b"sequence": str(next(self._sequence)),
        }
        changed = request.copy()
        changed.body = _VARIABLE.sub(lambda match: values[match[1]].encode(), _body_bytes(request))
        changed.headers["Content-Length"] = str(len(changed.body))
        return changed


def has_variables(request: requests.PreparedRequest) -> bool:
    """Return whether the body of `request` has a variable."""
    return bool(_VARIABLE.search(_body_bytes(request)))


def _body_bytes(request: requests.PreparedRequest) -> bytes:
    body = request.body
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else b""


def _nonce() -> str:
    return f"{random.randrange(10**NONCE_DIGITS):0{NONCE_DIGITS}}"
