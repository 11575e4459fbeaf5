"""Requests to the processes of a demonstration, on loopback: no proxies, and no patience."""

from typing import Any

import requests

_SECONDS = 5


def answers(url: str) -> bool:
    """Whether GET `url` is answered with 200."""
    try:
        text(url)
    except requests.RequestException:
        return False
    return True


def text(url: str) -> str:
    return _send("GET", url).text


def json(url: str, **query: str) -> Any:
    return _send("GET", url, params=query).json()


def put(url: str, body: str) -> None:
    _send("PUT", url, data=body)


def delete(url: str) -> None:
    _send("DELETE", url)


def _send(method: str, url: str, **options: Any) -> requests.Response:
    """requests.RequestException for no answer, and for one that is no success."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, timeout=_SECONDS, **options)
        answer.raise_for_status()
        return answer
