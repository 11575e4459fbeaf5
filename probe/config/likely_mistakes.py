"""Valid values of a config that are probably mistakes. `check` reports them as advice."""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from probe.config.errors import ConfigPath, UnlocatedError, quote, source_of
from probe.config.merge_defaults import MergedConfig
from probe.config.schema import NetworksModel
from probe.config.secrets import ResolvedText
from probe.config.settings import MAX_BUDGET_AS_TARGET
from probe.config.types import require_text
from probe.config.units import parse_percentage

# The methods of RFC 9110, and PATCH.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")

# A target from this one up to 1% is probably a ratio with a percent sign: 0.99% instead of 99%.
MIN_RATIO_AS_TARGET = 0.9

# The name of an environment variable after `$`, as a word of a header or as a part of a URL.
_UNBRACED_WORD = re.compile(r"(?:^|(?<=[\s=:/]))\$[A-Z][A-Z0-9_]{2,}(?=$|[\s/&])")

# It does not quote the word: API keys and passwords may begin with `$`, too.
_UNBRACED_ADVICE = (
    "a word that begins with $ is sent as it is; write ${env:NAME} for the value of the "
    "environment variable NAME"
)

_JSON_ADVICE = (
    "this is text that contains JSON, and is sent as a JSON string; write it as YAML, without "
    "quotes and without |"
)


def find_likely_mistakes(merged: MergedConfig) -> Iterator[UnlocatedError]:
    """Yield the likely mistakes in a config, where they are written.

    Other values may be invalid. Those are left out, because their errors are reported.
    """
    probes = merged.value.get("probes")
    networks = _valid_networks(merged.value)
    for index, probe in enumerate(probes if isinstance(probes, list) else []):
        if not isinstance(probe, dict):
            continue
        mistakes = (
            *_unknown_method(probe),
            *(_denied_address(probe, networks) if networks else ()),
            *_budget_as_target(probe),
            *_json_in_text(probe),
            *_unbraced_references(probe),
        )
        for path, message in mistakes:
            yield UnlocatedError(merged.origin(("probes", index, *path)), message)


def _valid_networks(config: Mapping[str, Any]) -> NetworksModel | None:
    try:
        return NetworksModel.model_validate(config.get("networks", {}))
    except ValidationError:
        return None


# The following functions yield paths from the probe, and messages.
_Mistakes = Iterator[tuple[ConfigPath, str]]


def _unknown_method(probe: Mapping[str, Any]) -> _Mistakes:
    written = probe.get("method")
    if not isinstance(written, (str, ResolvedText)) or require_text(written).upper() in METHODS:
        return
    similar = get_close_matches(require_text(written).upper(), METHODS, n=1)
    advice = f"did you mean {similar[0]}?" if similar else f"usual are {', '.join(METHODS)}"
    yield ("method",), f"not a standard method of HTTP: {quote(written)}; {advice}"


def _denied_address(probe: Mapping[str, Any], networks: NetworksModel) -> _Mistakes:
    address = _literal_address(probe.get("url"))
    if address is None:
        return
    denied = [str(network) for network in networks.deny if address in network]
    if denied:
        place = f"in {denied[0]} of `networks.deny`"
    elif networks.allow and not any(address in network for network in networks.allow):
        place = "in no network of `networks.allow`"
    else:
        return
    yield ("url",), f"{address} is {place}; every probe will fail with the reason `denied`"


def _literal_address(url: Any) -> IPv4Address | IPv6Address | None:
    """Return the address in `url`, as written in the config; None for a name or a reference."""
    if not isinstance(url, (str, ResolvedText)):
        return None
    try:
        host = urlsplit(source_of(url)).hostname
    except ValueError:
        return None
    return _address(host or "")


# Many probes of a config have the same host, and to parse an address takes 5 µs of CPU.
@lru_cache(maxsize=1024)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _budget_as_target(probe: Mapping[str, Any]) -> _Mistakes:
    objectives = probe.get("objectives")
    for index, objective in enumerate(objectives if isinstance(objectives, list) else []):
        target = _target(objective)
        if target is not None and 0 < target <= MAX_BUDGET_AS_TARGET:
            share = 100 * target
            meant = 100 * share if MIN_RATIO_AS_TARGET <= share < 1 else 100 - share
            message = (
                f"a target of {share:.10g}% allows {100 - share:.10g}% of the requests to be bad; "
                f"did you mean {meant:.10g}%?"
            )
            yield ("objectives", index, "target"), message


def _target(objective: Any) -> float | None:
    """Return the target (ratio) of an objective; None if it is invalid."""
    try:
        return parse_percentage(require_text(objective["target"]))
    except (KeyError, TypeError, ValueError):
        return None


def _json_in_text(probe: Mapping[str, Any]) -> _Mistakes:
    if _is_json_text(probe.get("json")):
        yield ("json",), _JSON_ADVICE
    payloads = probe.get("payloads")
    for index, payload in enumerate(payloads if isinstance(payloads, list) else []):
        if isinstance(payload, dict) and _is_json_text(payload.get("json")):
            yield ("payloads", index, "json"), _JSON_ADVICE
    headers = probe.get("headers")
    names = headers if isinstance(headers, dict) else ()
    has_type = any(name.lower() == "content-type" for name in names)
    if _is_json_text(probe.get("body")) and not has_type:
        advice = "write it under `json`, or add headers: {Content-Type: application/json}"
        yield ("body",), f"JSON that is sent without Content-Type; {advice}"


def _is_json_text(value: Any) -> bool:
    """Return whether `value` is text that contains a JSON object or array."""
    if not isinstance(value, (str, ResolvedText)):
        return False
    try:
        return isinstance(json.loads(source_of(value)), (dict, list))
    except (ValueError, RecursionError):
        return False


def _unbraced_references(probe: Mapping[str, Any]) -> _Mistakes:
    """Yield the words such as `$TOKEN`; in a JSON body only values that are nothing else."""
    for key in ("url", "proxy", "headers", "json"):
        for path, text in _texts(probe.get(key), (key,)):
            match = _UNBRACED_WORD.search(text)
            if match and (key != "json" or match[0] == text):
                yield path, _UNBRACED_ADVICE


def _texts(value: Any, path: ConfigPath) -> Iterator[tuple[ConfigPath, str]]:
    """Yield all texts in `value`, as written, with their paths."""
    if isinstance(value, (str, ResolvedText)):
        yield path, source_of(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
