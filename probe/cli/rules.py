"""`inference-probe rules`: print the bundled Prometheus rules, or the routes for their alerts."""

import argparse
from collections.abc import Mapping

from probe import __version__
from probe.cli import prometheus_rule
from probe.cli.command import EXIT_OK, UsageError, usage_error
from probe.cli.flags import FlagAdder
from probe.cli.rule_links import set_links
from probe.resources import resource_path

# The comment in config/alertmanager.yml that ends the part that is not printed.
ALERTMANAGER_MARKER = "`inference-probe rules --format=alertmanager` prints the lines below.\n"

_ALERTMANAGER_HEAD = f"""\
# Routes and inhibition rules for the alerts of inference-probe {__version__}, to merge into your
# alertmanager.yml:
# - Put the entries of `routes` before all entries of your `routes` that match these alerts.
# - Put the entries of `inhibit_rules` into your `inhibit_rules`.
# - Replace the receivers `page` and `ticket` by yours.
"""

# Formats for which each flag is allowed, and the reason.
_FLAG_FORMATS = {
    "label": (
        ("kubernetes",),
        "it is for the resource; to label all alerts, set external_labels in prometheus.yml",
    ),
    "namespace": (("kubernetes",), "it is for the resource"),
    "runbook_url": (("prometheus", "kubernetes"), "it is for the annotations of alerts"),
    "dashboard_url": (("prometheus", "kubernetes"), "it is for the annotations of alerts"),
}


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        "Examples:\n"
        "  inference-probe rules > /etc/prometheus/rules/inference-probe.rules.yml\n"
        "  inference-probe rules --format=kubernetes --label=release=mine | kubectl apply -f -\n"
        "  inference-probe rules --dashboard-url='https://grafana.example/d/x?"
        "var-probe={{$labels.probe}}'\n"
        "  inference-probe rules --format=alertmanager"
    )
    flags = FlagAdder(parser, environ)
    flags.add(
        "--format",
        "a rule file, a PrometheusRule for the Prometheus operator (without the comments), or "
        "routes and inhibition rules to merge into the config of Alertmanager",
        default="prometheus",
        choices=("prometheus", "kubernetes", "alertmanager"),
    )
    flags.add(
        "--runbook-url",
        "page with a heading for each alert, such as ModelDown, to link instead of the bundled "
        "runbook",
    )
    flags.add(
        "--dashboard-url",
        "URL for the annotation dashboard_url of each alert; it may have templates of Prometheus "
        "without spaces, such as {{$labels.probe}}",
    )
    flags.add(
        "--label",
        "label of the PrometheusRule as KEY=VALUE; repeat the flag, or separate labels by commas",
        repeated=True,
    )
    flags.add("--namespace", "namespace of the PrometheusRule; default that of kubectl")


def run(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Print the rules or the routes in the format that `args` names."""
    try:
        text = _render(args)
    except (UsageError, ValueError) as error:
        return usage_error(error)
    print(text, end="")
    return EXIT_OK


def _render(args: argparse.Namespace) -> str:
    for name, (formats, reason) in _FLAG_FORMATS.items():
        if getattr(args, name) is not None and args.format not in formats:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} needs --format={' or '.join(formats)}: {reason}")
    if args.format == "alertmanager":
        config = resource_path("config/alertmanager.yml").read_text()
        return _ALERTMANAGER_HEAD + config.partition(ALERTMANAGER_MARKER)[2]
    text = set_links(
        resource_path("rules/inference-probe.rules.yml").read_text(),
        runbook_url=args.runbook_url,
        dashboard_url=args.dashboard_url,
    )
    if args.format == "kubernetes":
        labels = prometheus_rule.parse_labels(args.label) if args.label else {}
        return prometheus_rule.render(text, namespace=args.namespace, labels=labels)
    return text
