"""A Lifecycle without a daemon."""

from typing import Any

from probe.server.lifecycle import Lifecycle


def lifecycle_of(**fields: Any) -> Lifecycle:
    """Return the Lifecycle of a healthy daemon without `--web.enable-lifecycle`, with `fields`."""
    defaults: dict[str, Any] = {
        "enabled": False,
        "scheduler_alive": lambda: True,
        "reload": lambda: "reloaded",
        "pause": lambda: None,
        "resume": lambda: None,
        "paused": lambda: False,
        "stopping": lambda: False,
    }
    return Lifecycle(**{**defaults, **fields})
