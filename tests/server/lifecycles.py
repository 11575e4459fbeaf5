"""The handles of a daemon that is not there."""

from typing import Any

from probe.server.lifecycle import Lifecycle


def lifecycle_of(**handles: Any) -> Lifecycle:
    """Healthy and without permission to change anything, unless `handles` say otherwise."""
    standing: dict[str, Any] = {
        "enabled": False,
        "scheduler_alive": lambda: True,
        "reload": lambda: "reloaded",
        "pause": lambda: None,
        "resume": lambda: None,
        "paused": lambda: False,
        "stopping": lambda: False,
    }
    return Lifecycle(**{**standing, **handles})
