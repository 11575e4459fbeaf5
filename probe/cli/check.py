"""`inference-probe check`: validate a config and forecast its alerts."""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Mapping

from probe.check import output
from probe.check.plan import plan
from probe.cli.command import EXIT_FAILED, EXIT_OK, UsageError, usage_error
from probe.cli.config_file import load_config_argument
from probe.cli.flags import add_config_flags, add_output_flag
from probe.config import loader
from probe.config.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        "Examples:\n"
        "  inference-probe check probe.yml\n"
        "  inference-probe check probe.yml --replicas=3\n"
        "  sed 's/interval: 10s/interval: 30s/' probe.yml | inference-probe check -\n"
        "Exit code: 0 valid, 1 invalid, or with --strict valid but with advice, 2 bad usage."
    )
    flags = add_config_flags(parser, environ)
    add_output_flag(flags)
    parser.add_argument("--strict", action="store_true", help="treat advice as an error")
    parser.add_argument(
        "--replicas",
        type=_replicas,
        default=1,
        metavar="N",
        help="number of daemons with this config, for the tokens and the cost per day; default 1",
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the config file, as --config.file; - is stdin"
    )


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the plan of a valid config, or the problems of an invalid one."""
    try:
        config = load_config_argument(args, environ, loader)
        config_plan = plan(config.settings, replicas=args.replicas)
    except UsageError as error:
        return usage_error(error)
    except ConfigError as error:
        _print_problems(error, args.output)
        return EXIT_FAILED
    if args.output == "json":
        print(json.dumps(output.render_json(config_plan), indent=2))
    else:
        print(output.render_text(config_plan, config.name))
    return EXIT_FAILED if args.strict and config_plan.advice else EXIT_OK


def _replicas(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError("expected a number from 1 to 999999")
    return int(text)


def _print_problems(error: ConfigError, output_format: str) -> None:
    """Print the problems of a config, and then the advice about its likely mistakes."""
    advice = [str(mistake) for mistake in error.likely_mistakes]
    if output_format == "json":
        problems = [dataclasses.asdict(problem) for problem in error.problems]
        print(json.dumps({"valid": False, "problems": problems, "advice": advice}, indent=2))
    else:
        lines = [str(error), *(f"advice: {text}" for text in advice)]
        print("\n".join(lines), file=sys.stderr)
