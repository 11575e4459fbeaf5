"""Reading of the files of configs."""

import stat
from pathlib import Path

from probe.config.errors import ConfigError, ConfigProblem

MAX_CONFIG_BYTES = 4 * 1024 * 1024


def read_config_file(path: Path, name: str | None = None) -> bytes:
    """Return the content of a config; raise ConfigError if it cannot be read.

    Pipes and devices are refused, because reading them may block.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # open() reports a directory
            raise OSError(None, "not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise OSError(None, f"larger than {MAX_CONFIG_BYTES // 1024**2} MiB")
        return content
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot read the config: {reason[0].lower()}{reason[1:]}"
        problem = ConfigProblem(file=name or str(path), path="", message=message)
        raise ConfigError((problem,)) from None
