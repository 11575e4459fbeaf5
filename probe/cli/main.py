"""Entry point of `inference-probe`: the list of commands, and the end of the process."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from probe import __version__
from probe.cli.command import EXIT_OK, Parser

EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
EXIT_INTERRUPTED = 128 + signal.SIGINT

# Each command with its module and its summary.
COMMANDS = (
    ("run", "probe.cli.run", "run the daemon: probe on schedule and serve /metrics"),
    ("check", "probe.cli.check", "validate a config and show what it would do"),
    ("once", "probe.cli.once", "run each probe once and print its phases"),
    (
        "rules",
        "probe.cli.rules",
        "print the bundled Prometheus rules, or the Alertmanager routes for their alerts",
    ),
    ("load", "probe.cli.load", "find the highest request rate at which the objectives hold"),
    (
        "compare",
        "probe.cli.compare",
        "compare latency and failures of two probes, versions or months",
    ),
    ("size", "probe.cli.size", "calculate instances or batches for a request rate"),
    ("report", "probe.cli.report", "report the attainment of the objectives in a month"),
    ("status", "probe.cli.status", "show the probes and objectives of the running daemon"),
    ("pause", "probe.cli.lifecycle", "pause the running daemon: it starts no more probes"),
    ("resume", "probe.cli.lifecycle", "end the pause of the running daemon"),
    ("reload", "probe.cli.lifecycle", "reload the config of the running daemon"),
    ("healthy", "probe.cli.lifecycle", "check the health of the running daemon"),
    (
        "demo",
        "probe.demo.command",
        "run a toy model, the daemon, Prometheus and Alertmanager on this machine",
    ),
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command in `arguments` (default `sys.argv`) and exit with its code."""
    if (sys.argv[1:] if arguments is None else arguments)[:1] == ["run"]:
        _exit_on_stop_signals()
    if sys.stdout is None:  # closed by the caller, as with `>&-` in a shell
        sys.stdout = ClosedOutput()
    args = build_parser(os.environ).parse_args(arguments)
    try:
        code = args.run(args, os.environ)
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


def _exit_on_stop_signals() -> None:
    """Let SIGTERM and SIGINT end the process with the exit code 0.

    The daemon does so once it has started. Before, its imports and a large config take seconds.
    """

    def stop(number: int, _frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)  # for a second signal
        print("stopped before the daemon had started", file=sys.stderr)
        raise SystemExit(EXIT_OK)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


class ClosedOutput(io.TextIOBase):
    """Stands for a closed stdout. `run` works without output, other commands fail with a reason."""

    encoding = "utf-8"

    def write(self, text: str) -> int:  # noqa: ARG002  (as in the base class)
        """Raise OSError."""
        raise OSError("stdout is closed: redirect it to a file, or to /dev/null")


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the command line; flags default to the variables in `environ`."""
    parser = Parser(
        prog="inference-probe",
        description="Probe model endpoints on a schedule and export their latency to Prometheus.",
        epilog="Run `inference-probe COMMAND --help` for the flags of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"inference-probe {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, module_name, summary in COMMANDS:
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps examples on their lines
            allow_abbrev=False,
        )
        command.set_command(name, module_name, environ)
    return parser
