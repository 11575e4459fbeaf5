"""The config of a command: a file that is named or found, or one endpoint from flags."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from probe.cli.command import UsageError
from probe.cli.flags import ENVIRONMENT_PREFIX
from probe.config.config_bytes import MAX_CONFIG_BYTES
from probe.config.errors import is_file_name
from probe.resources import resource_path

if TYPE_CHECKING:  # `run` imports this module before it starts the child process
    from probe.config.settings import Settings

# Where a config is looked for if no flag or variable names one. The first path that exists counts.
SEARCH_PATHS = (
    Path("probe.yml"),
    Path("config/probe.yml"),
    Path("/etc/inference-probe/probe.yml"),
)

# Name of standard input on the command line, and in the positions of problems.
STDIN_ARGUMENT, STDIN_NAME = "-", "<stdin>"


class ConfigLoader(Protocol):
    """Validation of a config, in this process (`probe.config.loader`) or in a child process."""

    def load(
        self, path: Path, *, environ: Mapping[str, str], name: str | None = None
    ) -> "Settings":
        """Return the settings of a YAML file; raise ConfigError."""

    def parse(
        self, content: bytes, *, name: str, base: Path, environ: Mapping[str, str]
    ) -> "Settings":
        """Return the settings of a YAML text; raise ConfigError."""

    def from_flags(
        self,
        *,
        url: str,
        slo: str | None = None,
        interval: str | None = None,
        json: str | None = None,
        name: str | None = None,
        environ: Mapping[str, str],
    ) -> "Settings":
        """Return settings with one probe; raise ConfigError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """The settings of a command, and their source.

    `file` is absolute, so that a reload reads the same file from any working directory. It is None
    for flags and for standard input. `base` is the directory of relative paths in the config.
    """

    settings: "Settings"
    name: str
    file: Path | None = None
    base: Path = Path()


def load_config(
    args: argparse.Namespace, environ: Mapping[str, str], loader: ConfigLoader
) -> LoadedConfig:
    """Return the config that `args` names, or the first file of SEARCH_PATHS.

    Raises ConfigError for an invalid config, and UsageError if there is none.
    """
    if args.config_file:
        _check_file_name(args.config_file, "--config.file")
    _check_combination(args, environ)
    if args.url:
        return _config_of_flags(args, environ, loader)
    path = Path(args.config_file) if args.config_file else _find_config_file()
    return _config_of_file(path, environ, loader)


def load_config_argument(
    args: argparse.Namespace, environ: Mapping[str, str], loader: ConfigLoader
) -> LoadedConfig:
    """Return the config of the positional argument `args.file`, `-` for standard input.

    It has priority over variables. Without the argument, this is `load_config`. Raises ConfigError
    and UsageError.
    """
    if args.file is None:
        return load_config(args, environ, loader)
    if not args.file:
        message = "the argument FILE is empty; name a config file, or - for stdin"
        raise UsageError(message)
    _check_file_name(args.file, "the argument FILE")
    _check_combination(args, environ, argument=args.file)
    if args.file == STDIN_ARGUMENT:
        return _config_of_stdin(environ, loader)
    return _config_of_file(Path(args.file), environ, loader)


def _check_file_name(name: str, source: str) -> None:
    """Raise UsageError for a URL or the content of a config; `source` is where the name is from.

    The message does not quote the name, because it may contain a secret.
    """
    if "://" in name:
        message = "expected the name of a file, not a URL; write --url=URL to probe one"
    elif is_file_name(name) or os.path.exists(name):  # noqa: PTH110  (Path raises for long names)
        return
    else:
        message = "no such file; write the name of a config file, not what is in it"
    raise UsageError(f"{source}: {message}")


def _check_combination(
    args: argparse.Namespace, environ: Mapping[str, str], *, argument: str | None = None
) -> None:
    """Raise UsageError for two configs, and for a flag of an endpoint without --url.

    With a positional `argument`, values of variables are ignored.
    """

    def is_given(name: str) -> bool:
        value = getattr(args, name)
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        return value is not None and not (argument and value == environ.get(variable))

    configs = ["--url"] if is_given("url") else []
    configs += [argument] if argument else []
    configs += [f"--config.file={args.config_file}"] if is_given("config_file") else []
    if len(configs) > 1:
        raise UsageError(f"{configs[0]} and {configs[1]} cannot be combined; give one of them")
    for name in ("name", "slo", "interval", "json"):
        if is_given(name) and not is_given("url"):
            raise UsageError(f"--{name} needs --url; in a config file, set it in the probe")


def _config_of_file(path: Path, environ: Mapping[str, str], loader: ConfigLoader) -> LoadedConfig:
    file = path.absolute()
    if _is_missing(file):
        raise UsageError(f"{path}: cannot read the config: no such file or directory")
    settings = loader.load(file, environ=environ, name=str(path))
    return LoadedConfig(settings=settings, name=str(path), file=file, base=file.parent)


def _is_missing(file: Path) -> bool:
    """Return whether there is no file. One that cannot be looked up counts as present."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _config_of_stdin(environ: Mapping[str, str], loader: ConfigLoader) -> LoadedConfig:
    content = sys.stdin.buffer.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise UsageError(f"{STDIN_NAME} is larger than {MAX_CONFIG_BYTES // 1024**2} MiB")
    settings = loader.parse(content, name=STDIN_NAME, base=Path(), environ=environ)
    return LoadedConfig(settings=settings, name=STDIN_NAME)


def _config_of_flags(
    args: argparse.Namespace, environ: Mapping[str, str], loader: ConfigLoader
) -> LoadedConfig:
    settings = loader.from_flags(
        url=args.url,
        slo=args.slo,
        interval=args.interval,
        json=args.json,
        name=args.name,
        environ=environ,
    )
    variable = f"{ENVIRONMENT_PREFIX}URL"
    name = "the config of these flags"
    if args.url == environ.get(variable):
        unused = next((f", not from {path}," for path in SEARCH_PATHS if path.is_file()), "")
        name = f"the config from {variable}{unused}"
    return LoadedConfig(settings=settings, name=name)


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
