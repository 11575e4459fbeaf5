"""A config of one probe from flags: `--url http://model:5000/predict --slo "99% < 500ms"`."""

import json as json_format
import re
from collections.abc import Set as AbstractSet
from typing import Any, Never
from urllib.parse import urlsplit

from probe.config.errors import ConfigPath, ConfigProblem, UnlocatedError
from probe.result import STREAM_SIGNALS

MAX_JSON_DEPTH = 50

# As in "99% < 500ms" and "95% time_to_first_token < 250ms", and as `check` prints it: "99% under
# 500ms".
_SLO = re.compile(
    rf"\s*([0-9]\S* ?%)\s*(?:({'|'.join(STREAM_SIGNALS)})?\s*"
    r"(?:<=?\s*|under\s+)([0-9]\S*(?: \S+)*)\s*)?"
)
# As in "p99 < 500ms".
_PERCENTILE = re.compile(r"\s*[pP]([0-9]{1,2}(?:\.[0-9]{1,3})?) *<=? *([0-9.]{1,9} ?(?:ms|s|m))\s*")
_REFERENCE = re.compile(r"\$\{[^}]*\}")


class EndpointFlags:
    """A ConfigSource whose locations are flags."""

    def __init__(
        self,
        *,
        url: str,
        slo: str | None,
        interval: str | None,
        json: str | None,
        name: str | None,
    ) -> None:
        self._has_name = name is not None
        self._problems: list[ConfigProblem] = []
        probe = {"name": default_probe_name(url) if name is None else name, "url": url}
        optional = {"interval": interval, "objectives": self._slo(slo), "json": self._json(json)}
        given = {key: value for key, value in optional.items() if value is not None}
        self.value: Any = {"probes": [{**probe, **given}]}

    @property
    def problems(self) -> tuple[ConfigProblem, ...]:
        return tuple(self._problems)

    @property
    def invalid_paths(self) -> AbstractSet[ConfigPath]:
        return frozenset()

    def locate(self, error: UnlocatedError) -> ConfigProblem:
        key = str(error.path[2])
        flag = {"objectives": "slo", "name": "name" if self._has_name else "url"}.get(key, key)
        return ConfigProblem(path=f"--{flag}", message=error.message)

    def source_text(self, _path: ConfigPath) -> str | None:
        """Return None: no flag gives a number where text is required."""
        return None

    def _slo(self, slo: str | None) -> list[dict[str, str]] | None:
        if slo is None:
            return None
        try:
            objective = parse_slo(slo)
        except ValueError as error:
            self._add_problem("slo", str(error))
            return None
        times = objective.keys() - {"target"}
        return [{"name": "fast" if times else "up", **objective}]

    def _json(self, text: str | None) -> Any:
        if text is None:
            return None
        try:
            value = json_format.loads(text, parse_constant=_reject_constant)
            if _is_deeper(value, MAX_JSON_DEPTH):
                raise RecursionError
            return value
        except RecursionError:
            message = f"nested more than {MAX_JSON_DEPTH} levels deep"
        except ValueError as error:
            message = f"not JSON: {error}"
        self._add_problem("json", message)
        return None

    def _add_problem(self, flag: str, message: str) -> None:
        self._problems.append(ConfigProblem(path=f"--{flag}", message=message))


def parse_slo(slo: str) -> dict[str, str]:
    """Return the keys of an objective without its name, such as `target` and `latency`.

    Their values are not validated. Raises ValueError for another syntax.
    """
    match = _SLO.fullmatch(slo)
    if match is None:
        percentile = _PERCENTILE.fullmatch(slo)
        advice = 'write one such as "99% < 500ms", or "99%" for availability alone'
        if percentile:
            advice = f'write "{percentile[1]}% < {percentile[2]}" instead of a percentile'
        raise ValueError(f"not an objective; {advice}")
    target, signal, threshold = match.groups()
    return {"target": target, **({signal or "latency": threshold} if threshold else {})}


def default_probe_name(url: str) -> str:
    """Return a name from the host, port and path of `url`, such as "model:5000/predict"."""
    try:
        parts = urlsplit(_REFERENCE.sub("-", url))
    except ValueError:
        return "probe"
    host = parts.netloc.rpartition("@")[2]
    name = re.sub(r"[^A-Za-z0-9._:/-]+", "-", host + parts.path)
    return name.lstrip("._:/-")[:200].rstrip("/-") or "probe"


def _reject_constant(name: str) -> Never:
    """Reject NaN and Infinity, which Python's json accepts."""
    raise ValueError(f"{name} is not a number of JSON")


def _is_deeper(value: Any, levels: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)


def parse_listen_address(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `:PORT`, for which the host is empty.

    Raises ValueError.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"not a listen address: {address!r}; write :10115 or 127.0.0.1:10115")
    return host.removeprefix("[").removesuffix("]"), int(port)
