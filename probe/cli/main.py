"""Entry point of `inference-probe`: the parser, the commands and the exit codes."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from probe import __version__
from probe.cli import check, once, rules, run
from probe.cli.flags import add_command
from probe.demo import command as demo

EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command in `arguments` (default `sys.argv`) and exit with its code."""
    args = build_parser(os.environ).parse_args(arguments)
    try:
        code = args.command(args, os.environ)
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Python flushes stdout once more at exit,
        # which would fail and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:  # stdout cannot be written, for example because the disk is full
        sys.exit(f"inference-probe: {error}")


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the command line; flags default to the variables in `environ`."""
    parser = _Parser(
        prog="inference-probe",
        description="Probe model endpoints on a schedule and export their latency to Prometheus.",
        epilog="Run `inference-probe COMMAND --help` for the flags of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"inference-probe {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (run, check, once, rules):
        module.add_parser(commands, environ)
    demo.add_arguments(
        add_command(
            commands,
            "demo",
            lambda args, _environ: demo.run(args),
            "run a toy model, the daemon, Prometheus and Alertmanager on this machine",
        )
    )
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if re.search(r"unrecognized arguments: .*\.ya?ml\b", message):
            message += "; write --config.file=FILE"
        super().error(message)
