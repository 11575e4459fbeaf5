"""`inference-probe rules`: print the bundled Prometheus rules."""

import argparse
from collections.abc import Mapping

from probe.cli import prometheus_rule
from probe.cli.command import EXIT_OK, UsageError, usage_error
from probe.cli.flags import FlagAdder
from probe.resources import resource_path


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        "Examples:\n"
        "  inference-probe rules > /etc/prometheus/rules/inference-probe.rules.yml\n"
        "  inference-probe rules --format=kubernetes --label=release=mine | kubectl apply -f -"
    )
    flags = FlagAdder(parser, environ)
    flags.add(
        "--format",
        "a rule file, or a PrometheusRule for the Prometheus operator (without the comments)",
        default="prometheus",
        choices=("prometheus", "kubernetes"),
    )
    flags.add(
        "--label",
        "label of the PrometheusRule as KEY=VALUE; repeat the flag, or separate labels by commas",
        repeated=True,
    )
    flags.add("--namespace", "namespace of the PrometheusRule; default that of kubectl")


def run(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Print the rules in the format that `args` names."""
    try:
        text = _render(args)
    except (UsageError, ValueError) as error:
        return usage_error(error)
    print(text, end="")
    return EXIT_OK


def _render(args: argparse.Namespace) -> str:
    text = resource_path("rules/inference-probe.rules.yml").read_text()
    if args.format == "kubernetes":
        labels = prometheus_rule.parse_labels(args.label) if args.label else {}
        return prometheus_rule.render(text, namespace=args.namespace, labels=labels)
    for flag in ("label", "namespace"):
        if getattr(args, flag) is not None:
            raise UsageError(
                f"--{flag} needs --format=kubernetes: it is for the resource, not for the rules; "
                "to label all alerts, set external_labels in prometheus.yml"
            )
    return text
