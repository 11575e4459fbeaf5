"""Merging of `defaults` into the probes, with the origin of each value."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from probe.config.errors import ConfigPath
from probe.config.protocol_expansion import BODY_KEYS, expand_protocol

# Mappings that a probe and the defaults may both have: they are merged key by key.
MERGED_BY_KEY = ("tls", "headers", "labels", "expect", "cold")

# Keys that have a meaning for streams only. Probes without a stream do not inherit them.
STREAM_KEYS = ("first_token_timeout", "stall_timeout")


# Mappings at the top of a config, apart from `defaults`.
OPTIONAL_SECTIONS = ("networks", "tracing")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedConfig:
    """A config without `defaults`. `inherited` are the paths of the values that came from there."""

    value: dict[str, Any]
    inherited: AbstractSet[ConfigPath]

    def origin(self, path: ConfigPath) -> ConfigPath:
        """Return where the value at `path` is written: at `path`, or in `defaults`."""
        inherited = path[:3] in self.inherited or path[:4] in self.inherited
        return ("defaults", *path[2:]) if inherited else path


def merge_defaults(config: dict[str, Any]) -> MergedConfig:
    """Merge the defaults into each probe, and then the keys that its protocol provides.

    Values of a wrong type stay as they are, so that validation reports them.
    """
    value = _without_defaults(config)
    defaults = config.get("defaults")
    probes = value.get("probes")
    inherited: set[ConfigPath] = set()
    if isinstance(probes, list):
        shared = defaults if isinstance(defaults, dict) else {}
        value["probes"] = [
            _merge_probe(shared, probe, ("probes", index), inherited)
            for index, probe in enumerate(probes)
        ]
    return MergedConfig(value=value, inherited=inherited)


def defaults_only_config(config: dict[str, Any]) -> MergedConfig:
    """Return a config whose only probe consists of the defaults.

    It serves to validate the defaults themselves, because probes may override all of them.
    """
    defaults = config.get("defaults")
    shared = dict(defaults) if isinstance(defaults, dict) else {}
    shared.pop("name", None)
    probe = expand_protocol({"name": "defaults", "url": "http://defaults", **shared})
    if any(key in shared for key in STREAM_KEYS):
        probe.setdefault("stream", {"content": "$"})
    return MergedConfig(
        value={**_without_defaults(config), "probes": [probe]},
        inherited={("probes", 0, key) for key in shared},
    )


def _without_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config without `defaults`, and without other sections that are empty (null)."""
    return {
        key: value
        for key, value in config.items()
        if key != "defaults" and not (key in OPTIONAL_SECTIONS and value is None)
    }


def _merge_probe(
    defaults: dict[str, Any], probe: Any, path: ConfigPath, inherited: set[ConfigPath]
) -> Any:
    if not isinstance(probe, dict):
        return probe
    merged = dict(probe)
    for key, value in _applicable(defaults, probe).items():
        if key not in probe:
            merged[key] = value
            inherited.add((*path, key))
        elif key in MERGED_BY_KEY and isinstance(value, dict) and isinstance(probe[key], dict):
            missing = {name: value[name] for name in value if not _has_key(probe[key], name, key)}
            merged[key] = {**missing, **probe[key]}
            inherited.update((*path, key, name) for name in missing)
    expanded = expand_protocol(merged)
    for key in STREAM_KEYS:
        if expanded.get("stream") is None and (*path, key) in inherited:
            del expanded[key]
    return expanded


def _applicable(defaults: dict[str, Any], probe: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that apply to `probe`: no name, and no body if it has one."""
    has_body = any(key in probe for key in BODY_KEYS)
    excluded = ("name", *BODY_KEYS) if has_body else ("name",)
    return {key: value for key, value in defaults.items() if key not in excluded}


def _has_key(mapping: dict[str, Any], name: str, parent: str) -> bool:
    """Return whether `mapping`, the value of the key `parent`, has the key `name`."""
    if parent == "headers":  # names of headers are case-insensitive
        return name.lower() in {header.lower() for header in mapping}
    return name in mapping
