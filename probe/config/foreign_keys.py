"""Keys of other programs, above all of blackbox_exporter, and what to write instead of them."""

from collections.abc import Mapping
from typing import Any

from probe.config.errors import UnlocatedError

# Keys of a module of blackbox_exporter, and their explanation.
MODULE_KEYS = ("module", "modules", "prober", "http")
MIGRATION = "docs/migrating-from-blackbox.md shows how a module becomes a probe"

_BEARER = 'headers: {Authorization: "Bearer ${file:PATH}"}, with the token in that file'
_BASIC = 'headers: {Authorization: "Basic ${file:PATH}"}, with user:password in base64 in that file'

_TLS = "write `tls`, with keys such as ca_file and insecure_skip_verify"
_OBJECTIVES = "write `objectives`, such as [{name: fast, target: 99%, latency: 500ms}]"

_IN_PROBE = {
    "authorization": f"write {_BEARER}",
    "bearer_token": f"write {_BEARER}",
    "bearer_token_file": f"write {_BEARER}",
    "basic_auth": f"write {_BASIC}",
    "fail_if_body_not_matches_regexp": "write `expect`, with the key body_matches",
    "insecure_skip_verify": _TLS,
    "oauth2": f"OAuth 2 is not supported; let another program renew the token, and write {_BEARER}",
    "safe_rate": "write `capacity`, such as {safe_rate: 140/s}",
    "slo": _OBJECTIVES,
    "slos": _OBJECTIVES,
    "status": "write `expect`, with the key status",
    "target": "write `url`, or in `objectives` the target of an objective",
    "tls_config": _TLS,
    "valid_status_codes": "write `expect`, with the key status",
}

# What to write instead of a key, by the name of the mapping that has it.
REPLACEMENTS: Mapping[str, Mapping[str, str]] = {
    "probes": _IN_PROBE,
    "expect": {
        "body": "write `body_matches`, a regular expression",
        "body_contains": "write `body_matches`, a regular expression",
        "code": "write `status`",
        "json_paths": "write `json`",
        "regex": "write `body_matches`",
    },
    "tls": {
        "insecure": "write `insecure_skip_verify`",
        "skip_verify": "write `insecure_skip_verify`",
        "verify": "write `insecure_skip_verify`, which is the opposite",
    },
    "objectives": {
        "slo": "write `target`",
        "objective": "write `target`",
        "threshold": "write `latency`",
    },
}

# Keys at the top of the configs of other programs, with the message about such a config.
_OTHER_CONFIGS = {
    "modules": f"this is a config of blackbox_exporter; {MIGRATION}",
    "scrape_configs": "this is a config of Prometheus; write the URLs to probe under `probes` of"
    " another file, and let Prometheus scrape this daemon",
}


def other_config_error(config: dict[str, Any]) -> UnlocatedError | None:
    """Return the only error of a whole config of another program, None for other configs."""
    for key, message in _OTHER_CONFIGS.items():
        if key in config and "probes" not in config:
            return UnlocatedError((key,), message, at_key=True)
    return None
