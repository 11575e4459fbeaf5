"""What all commands share: their parser, exit codes and usage errors.

This module and `flags` import only small modules, because each command pays for their import.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ENOUGH_DATA = 0, 1, 2, 3

# The name of a flag in an argument such as `--web.listen-address=:80` or `-Hname`.
_FLAG_NAME = re.compile("--[a-zA-Z][a-zA-Z.-]*|-[a-zA-Z]")

# Messages of argparse that quote a value.
_QUOTED_VALUE = re.compile("ignored explicit argument .*", re.DOTALL)


class UsageError(Exception):
    """Flags that contradict each other or name something that does not exist."""


def usage_error(error: Exception | str) -> int:
    """Print `error` to stderr and return the exit code for bad usage."""
    print(error, file=sys.stderr)
    return EXIT_USAGE


def printable(text: str) -> str:
    """Return `text` with escapes for the characters that could control the terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def quote_argument(name: str) -> str:
    """Return an argument that should be the name of a probe in quotes, without secrets of a URL."""
    return repr(re.sub("://.*", "://***", name, flags=re.DOTALL))


class Parser(argparse.ArgumentParser):
    """Parser of the command line, and of one command.

    Its messages name flags and never quote values, which may be secrets.

    The module of a command is imported when the command is used: `healthy` runs every few seconds
    in a container, and the imports of `run` take ten times the CPU time that it may use.
    """

    _module_name: str | None = None
    _environ: Mapping[str, str] = {}

    def set_command(self, name: str, module_name: str, environ: Mapping[str, str]) -> None:
        """Make this the parser of the command `name`.

        Its module has `add_arguments(parser, environ)`, which adds flags whose variables are in
        `environ`, and `run(args, environ)`, which returns the exit code.
        """
        self.set_defaults(command=name)
        self._module_name, self._environ = module_name, environ

    def parse_known_args(  # type: ignore[override]  # the overloads of typeshed
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse `args`, after the import of the command's module."""
        if self._module_name:
            module = import_module(self._module_name)
            self._module_name = None
            module.add_arguments(self, self._environ)
            self.set_defaults(run=module.run)
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._reject(unknown, self.get_default("command"))
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print `message` without the value that argparse quotes, and exit."""
        super().error(_QUOTED_VALUE.sub("this flag takes no value", message))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Reject an unknown command. Values of flags are checked by the type of the flag."""
        if action.choices is not None and value not in action.choices:
            from difflib import get_close_matches  # noqa: PLC0415  (takes 2 ms of CPU)

            commands = [str(command) for command in action.choices]
            similar = get_close_matches(str(value), commands, n=1)
            advice = f", did you mean {similar[0]}?" if similar else ""
            message = f"no such command{advice} (choose from {', '.join(commands)})"
            raise argparse.ArgumentError(action, message)

    def _reject(self, unknown: Sequence[str], command: str | None) -> NoReturn:
        flags = [match[0] for argument in unknown if (match := _FLAG_NAME.match(argument))]
        message = f"unrecognized arguments: {' '.join(flags) or 'a value without a flag'}"
        if any("://" in argument for argument in unknown):
            message += "; write --url=URL to probe a URL"
        elif any(argument.endswith((".yml", ".yaml")) for argument in unknown):
            takes_file = command == "check"
            message += f"; {'check takes one FILE' if takes_file else 'write --config.file=FILE'}"
        self.error(message)
