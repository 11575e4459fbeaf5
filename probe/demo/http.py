"""HTTP requests to the processes of a demo. They use no proxy and a short timeout."""

from typing import Any

import requests

TIMEOUT_SECONDS = 5


def is_ok(url: str) -> bool:
    """Return whether a GET of `url` succeeds."""
    try:
        get_text(url)
    except requests.RequestException:
        return False
    return True


def get_text(url: str) -> str:
    return _send("GET", url).text


def get_json(url: str, **query: str) -> Any:
    return _send("GET", url, params=query).json()


def put(url: str, body: str) -> None:
    _send("PUT", url, data=body)


def delete(url: str) -> None:
    _send("DELETE", url)


def _send(method: str, url: str, **options: Any) -> requests.Response:
    """Raise requests.RequestException without a response, or for one that is not a success."""
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, timeout=TIMEOUT_SECONDS, **options)
        response.raise_for_status()
        return response
