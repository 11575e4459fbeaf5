"""The config of a command: a file that is named or found, or one endpoint from flags."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.cli.command import UsageError
from probe.cli.flags import ENVIRONMENT_PREFIX
from probe.config.loader import MAX_CONFIG_BYTES, from_flags, load, parse
from probe.config.schema import Settings
from probe.resources import resource_path

# Where a config is looked for if no flag or variable names one. The first path that exists counts.
SEARCH_PATHS = (
    Path("probe.yml"),
    Path("config/probe.yml"),
    Path("/etc/inference-probe/probe.yml"),
)

# Name of standard input on the command line, and in the positions of problems.
STDIN_ARGUMENT, STDIN_NAME = "-", "<stdin>"

_CONFIG_VARIABLE = f"{ENVIRONMENT_PREFIX}CONFIG_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """The settings of a command, and their source.

    `file` is absolute, so that a reload reads the same file from any working directory. It is None
    for flags and for standard input. `base` is the directory of relative paths in the config.
    """

    settings: Settings
    name: str
    file: Path | None = None
    base: Path = Path()


def load_config(args: argparse.Namespace, environ: Mapping[str, str]) -> LoadedConfig:
    """Return the config that `args` names, or the first file of SEARCH_PATHS.

    Raises ConfigError for an invalid config, and UsageError if there is none.
    """
    if args.url:
        return _config_of_flags(args, environ)
    for flag in ("name", "slo", "interval", "json"):
        if getattr(args, flag) is not None:
            raise UsageError(f"--{flag} needs --url; in a config file, set it in the probe")
    path = Path(args.config_file) if args.config_file else _find_config_file()
    file = path.absolute()
    settings = load(file, environ=environ, name=str(path))
    return LoadedConfig(settings=settings, name=str(path), file=file, base=file.parent)


def load_config_argument(args: argparse.Namespace, environ: Mapping[str, str]) -> LoadedConfig:
    """Return the config of the positional argument `args.file`, `-` for standard input.

    Without the argument, this is `load_config`. Raises ConfigError and UsageError.
    """
    if args.file is None:
        return load_config(args, environ)
    if args.config_file not in (None, environ.get(_CONFIG_VARIABLE)):
        message = f"{args.file} and --config.file={args.config_file} cannot be combined"
        raise UsageError(f"{message}; give one of them")
    if args.file != STDIN_ARGUMENT:
        named = argparse.Namespace(**{**vars(args), "config_file": args.file})
        return load_config(named, environ)
    if args.url:
        raise UsageError(f"--url and {STDIN_ARGUMENT} cannot be combined; give one of them")
    content = sys.stdin.buffer.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise UsageError(f"{STDIN_NAME} is larger than {MAX_CONFIG_BYTES // 1024**2} MiB")
    settings = parse(content, name=STDIN_NAME, base=Path(), environ=environ)
    return LoadedConfig(settings=settings, name=STDIN_NAME)


def _config_of_flags(args: argparse.Namespace, environ: Mapping[str, str]) -> LoadedConfig:
    if args.config_file:
        message = f"--url and --config.file={args.config_file} cannot be combined; give one of them"
        raise UsageError(message)
    settings = from_flags(
        url=args.url,
        slo=args.slo,
        interval=args.interval,
        json=args.json,
        name=args.name,
        environ=environ,
    )
    return LoadedConfig(settings=settings, name="the config of these flags")


def _find_config_file() -> Path:
    """Return the first path of SEARCH_PATHS that exists; raise UsageError if none does.

    A file that exists but cannot be read is returned, too: the next one may be the config of
    another daemon.
    """
    for path in SEARCH_PATHS:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            message = f"cannot look for the config {path.absolute()}: {error.strerror}"
            raise UsageError(f"{message}; to use another file, write --config.file=FILE") from None
        return path
    tried = "".join(f"  {path.absolute()}\n" for path in SEARCH_PATHS)
    raise UsageError(
        f"there is no config file; these paths were tried:\n{tried}"
        "Name a file with --config.file=FILE, or one endpoint with --url=URL.\n"
        f"To start with an example: cp {resource_path('config/probe.yml')} probe.yml"
    )
