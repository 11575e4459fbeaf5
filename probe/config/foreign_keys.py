"""Keys of blackbox_exporter and of Prometheus' HTTP clients, and what to write instead of them."""

from typing import Any

from probe.config.errors import UnlocatedError

# Keys of a module of blackbox_exporter, and their explanation.
MODULE_KEYS = ("module", "modules", "prober", "http")
MIGRATION = "docs/migrating-from-blackbox.md shows how a module becomes a probe"

_BEARER = 'headers: {Authorization: "Bearer ${file:PATH}"}, with the token in that file'
_BASIC = 'headers: {Authorization: "Basic ${file:PATH}"}, with user:password in base64 in that file'

# What to write instead, by a key in a probe.
REPLACEMENTS = {
    "authorization": f"write {_BEARER}",
    "bearer_token": f"write {_BEARER}",
    "bearer_token_file": f"write {_BEARER}",
    "basic_auth": f"write {_BASIC}",
    "oauth2": f"OAuth 2 is not supported; let another program renew the token, and write {_BEARER}",
}


def blackbox_config_error(config: dict[str, Any]) -> UnlocatedError | None:
    """Return the only error of a whole config of blackbox_exporter, None for other configs."""
    if "modules" not in config or "probes" in config:
        return None
    message = f"this is a config of blackbox_exporter; {MIGRATION}"
    return UnlocatedError(("modules",), message, at_key=True)
