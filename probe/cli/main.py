"""The door: commands, flags, environment variables, exit codes."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from probe import __version__
from probe.cli import commands
from probe.daemon.log import FORMATS, LEVELS
from probe.demo import command as demo

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["_Parser"]

ENVIRONMENT_PREFIX = "INFERENCE_PROBE_"
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    args = build_parser(os.environ).parse_args(arguments)
    try:
        code = args.command(args, os.environ)
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # somebody piped it into `head`, and has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:  # what was to be printed has no place: the disk is full
        sys.exit(f"inference-probe: {error}")


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser of the command line; the environment's variables are the flags' defaults."""
    top = _Parser(
        prog="inference-probe",
        description="Probes model endpoints on a schedule, for Prometheus to scrape the latencies.",
        epilog="inference-probe COMMAND --help tells more.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"inference-probe {__version__}")
    subparsers = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(subparsers, environ)
    _add_check(subparsers, environ)
    _add_once(subparsers, environ)
    _add_rules(subparsers, environ)
    demo.add_arguments(
        _command(
            subparsers,
            "demo",
            lambda args, _: demo.run(args),
            "run everything on this machine: a toy model, the daemon, Prometheus, Alertmanager",
        )
    )
    return top


def _add_run(subparsers: "Commands", environ: Mapping[str, str]) -> None:
    command = _command(
        subparsers,
        "run",
        commands.run,
        "run the daemon: probe on schedule and serve /metrics",
        'Without a file: inference-probe run --url http://localhost:8080/ --slo "99% < 500ms"',
    )
    flags = _Flags(command, environ)
    _add_config(flags)
    flags.add("--web.listen-address", "HOST:PORT to serve on", default=":10115")
    flags.add("--web.config.file", "TLS and users, in the format of exporter-toolkit")
    flags.add(
        "--web.enable-lifecycle",
        "take POST /-/reload, /-/pause and /-/resume",
        default="false",
        choices=("true", "false"),
        alone="true",
    )
    flags.add("--log.level", "how much to say", default="info", choices=LEVELS)
    flags.add("--log.format", "how to say it", default="logfmt", choices=FORMATS)
    _add_endpoint(command, environ)


def _add_check(subparsers: "Commands", environ: Mapping[str, str]) -> None:
    command = _command(
        subparsers,
        "check",
        commands.check,
        "validate a config and say what it would do",
        "Exit code: 0 valid, 1 invalid, with --strict also where there is advice.",
    )
    flags = _Flags(command, environ)
    _add_config(flags)
    flags.add("--output", "for people or machines", default="text", choices=("text", "json"))
    command.add_argument("--strict", action="store_true", help="treat advice as an error")
    _add_endpoint(command, environ)


def _add_once(subparsers: "Commands", environ: Mapping[str, str]) -> None:
    command = _command(
        subparsers,
        "once",
        commands.once,
        "run each probe once and print its phases",
        "Exit code: 0 all succeeded, 1 some probe failed, 2 bad usage or config.",
    )
    flags = _Flags(command, environ)
    _add_config(flags)
    flags.add("--output", "for people or machines", default="text", choices=("text", "json"))
    command.add_argument("names", nargs="*", metavar="NAME", help="only these probes")
    _add_endpoint(command, environ)


def _add_rules(subparsers: "Commands", environ: Mapping[str, str]) -> None:
    command = _command(
        subparsers,
        "rules",
        commands.rules,
        "print the bundled Prometheus rules; load them as they are",
        "Examples:\n"
        "  inference-probe rules > /etc/prometheus/rules/inference-probe.rules.yml\n"
        "  inference-probe rules --format=kubernetes --label=release=mine | kubectl apply -f -",
    )
    flags = _Flags(command, environ)
    flags.add(
        "--format",
        "a rule file, or a PrometheusRule for the Prometheus operator (without the comments)",
        default="prometheus",
        choices=("prometheus", "kubernetes"),
    )
    flags.add(
        "--label",
        "label of the PrometheusRule as KEY=VALUE; more of them with commas, or the flag again",
        repeated=True,
    )
    flags.add("--namespace", "namespace of the PrometheusRule; default that of kubectl")


def _add_config(flags: "_Flags") -> None:
    flags.add("--config.file", "the config; default config/probe.yml, else the packaged one")


def _add_endpoint(command: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    flags = _Flags(command.add_argument_group("one endpoint, without a config file"), environ)
    flags.add("--url", "probe this URL")
    flags.add("--name", "name of the probe; default made from the URL")
    flags.add("--slo", 'what was promised, such as "99%% < 500ms", or "99.9%%" for availability')
    flags.add("--interval", "time between two probes, such as 10s")
    flags.add("--json", "body of the request; makes it a POST")


def _command(
    subparsers: "Commands",
    name: str,
    run: Callable[[argparse.Namespace, Mapping[str, str]], int],
    about: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    command = subparsers.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,  # an example stays on its line
        allow_abbrev=False,
    )
    command.set_defaults(command=run)
    return command


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if re.search(r"unrecognized arguments: .*\.ya?ml\b", message):
            message += "; write --config.file=FILE"
        super().error(message)


class _Flags:
    """Adds flags to a command, each with an environment variable for its default."""

    def __init__(
        self, to: "argparse.ArgumentParser | argparse._ArgumentGroup", environ: Mapping[str, str]
    ) -> None:
        self._to = to
        self._environ = environ

    def add(
        self,
        flag: str,
        about: str,
        *,
        default: str | None = None,
        choices: Sequence[str] = (),
        repeated: bool = False,
        alone: str | None = None,
    ) -> None:
        """A `repeated` flag gives its values with commas between, as its variable has them.

        `alone` is what a flag says that stands there without a value.
        """
        name = flag.removeprefix("--").replace(".", "_").replace("-", "_")
        variable = ENVIRONMENT_PREFIX + name.upper()
        said = f"; default {default}" if default else ""
        self._to.add_argument(
            flag,
            dest=name,
            action=_Join if repeated else "store",
            nargs="?" if alone else None,
            const=alone,
            default=self._environ.get(variable, default),
            type=_reader(choices, variable),
            metavar="|".join(choices) or flag.rpartition(".")[2].strip("-").upper(),
            help=f"{about}{said} [{variable}]",
        )


class _Join(argparse.Action):
    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _option: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is self.default else f"{before},{values}")


def _reader(choices: Sequence[str], variable: str) -> Callable[[str], str]:
    """Argparse itself holds no default, and so no variable, against its `choices`."""

    def read(value: str) -> str:
        if not value:
            raise argparse.ArgumentTypeError(f"empty; give it a value, or unset {variable}")
        if choices and value not in choices:
            raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(choices)}")
        return value

    return read
