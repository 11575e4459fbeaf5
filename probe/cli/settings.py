"""The settings of a command, from a config file or from flags, and the exit codes."""

import argparse
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from probe.config.loader import from_flags, load
from probe.config.schema import Settings
from probe.resources import resource_path

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
DEFAULT_CONFIG_PATH = "config/probe.yml"


class UsageError(Exception):
    """Flags that contradict each other or name something that does not exist."""


def usage_error(error: Exception | str) -> int:
    """Print `error` to stderr and return the exit code for bad usage."""
    print(error, file=sys.stderr)
    return EXIT_USAGE


def load_settings(
    args: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[Settings, Path | None]:
    """Return the settings and the path of their file, which is None for settings from flags.

    Raises ConfigError and UsageError.
    """
    if args.url:
        return _settings_from_flags(args, environ), None
    for flag in ("name", "slo", "interval", "json"):
        if getattr(args, flag) is not None:
            raise UsageError(f"--{flag} needs --url; in a config file, set it in the probe")
    path = _config_path(args)
    settings = load(path, environ=environ)
    if path == resource_path(DEFAULT_CONFIG_PATH):
        logger.warning("no config file given: using the packaged example")
    return settings, path


def _settings_from_flags(args: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    if args.config_file:
        message = f"--url and --config.file={args.config_file} cannot be combined; give one of them"
        raise UsageError(message)
    return from_flags(
        url=args.url,
        slo=args.slo,
        interval=args.interval,
        json=args.json,
        name=args.name,
        environ=environ,
    )


def _config_path(args: argparse.Namespace) -> Path:
    """Return the path of the config file.

    It is the one of the flag or variable, else `config/probe.yml` in the working directory, else
    the packaged one.
    """
    if args.config_file:
        return Path(args.config_file)
    local = Path(DEFAULT_CONFIG_PATH)
    return local if local.exists() else resource_path(DEFAULT_CONFIG_PATH)
