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
        """Return `request` with the values of the variables in its body."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        if not isinstance(body, bytes) or not _VARIABLE.search(body):
            return request
        values = {
            b"nonce": _nonce(),
            b"now": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            b"sequence": str(next(self._sequence)),
        }
        changed = request.copy()
        changed.body = _VARIABLE.sub(lambda match: values[match[1]].encode(), body)
        changed.headers["Content-Length"] = str(len(changed.body))
        return changed


def _nonce() -> str:
    return f"{random.randrange(10**NONCE_DIGITS):0{NONCE_DIGITS}}"
