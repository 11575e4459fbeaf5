"""Defaults put under every probe, without losing sight of where a value was written."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from probe.config.errors import ConfigPath

MERGED_BY_KEY = ("tls", "headers", "labels", "expect")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedConfig:
    """A config without `defaults`, and which of its values came from there."""

    value: dict[str, Any]
    inherited: AbstractSet[ConfigPath]

    def origin(self, keys: ConfigPath) -> ConfigPath:
        """Where a value was written: `probes[0].interval` may be `defaults.interval`."""
        inherited = keys[:3] in self.inherited or keys[:4] in self.inherited
        return ("defaults", *keys[2:]) if inherited else keys


def merge_defaults(config: dict[str, Any]) -> MergedConfig:
    """What is of the wrong type is left as it is, for the validation to complain of."""
    value = _without_defaults(config)
    defaults = config.get("defaults")
    probes = value.get("probes")
    inherited: set[ConfigPath] = set()
    if isinstance(defaults, dict) and isinstance(probes, list):
        value["probes"] = [
            _merge_probe(defaults, probe, ("probes", index), inherited)
            for index, probe in enumerate(probes)
        ]
    return MergedConfig(value=value, inherited=inherited)


def defaults_only_config(config: dict[str, Any]) -> MergedConfig:
    """A config with one probe made of nothing but the defaults: they are checked by themselves,
    for every probe may override them.
    """
    defaults = config.get("defaults")
    found = defaults if isinstance(defaults, dict) else {}
    shared = {key: value for key, value in found.items() if key != "name"}
    probe = {"name": "defaults", "url": "http://defaults", **shared}
    return MergedConfig(
        value={**_without_defaults(config), "probes": [probe]},
        inherited={("probes", 0, key) for key in shared},
    )


def _without_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Also without `networks:` that nothing follows, as when all of it is commented out."""
    return {
        key: value
        for key, value in config.items()
        if key != "defaults" and (key, value) != ("networks", None)
    }


def _merge_probe(
    defaults: dict[str, Any], probe: Any, keys: ConfigPath, inherited: set[ConfigPath]
) -> Any:
    if not isinstance(probe, dict):
        return probe
    merged = dict(probe)
    for key, value in _applicable(defaults, probe).items():
        if key not in probe:
            merged[key] = value
            inherited.add((*keys, key))
        elif key in MERGED_BY_KEY and isinstance(value, dict) and isinstance(probe[key], dict):
            own = probe[key]
            missing = {name: value[name] for name in value if not _has(own, name, key)}
            merged[key] = {**missing, **own}
            inherited.update((*keys, key, name) for name in missing)
    return merged


def _applicable(defaults: dict[str, Any], probe: dict[str, Any]) -> dict[str, Any]:
    """A probe with a body of its own has no use for the default's; a name is no default."""
    bodies = {"json", "body", "body_file"}
    dropped = bodies if bodies & probe.keys() else set()
    return {key: value for key, value in defaults.items() if key not in {"name", *dropped}}


def _has(own: dict[str, Any], name: str, key: str) -> bool:
    """Whether a probe names it itself; the names of headers are the same in any case."""
    if key == "headers":
        return name.lower() in {header.lower() for header in own}
    return name in own
