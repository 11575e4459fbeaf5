"""The flag `--selector`, which separates probes with the same name in Prometheus."""

import argparse

from probe.cli.command import UsageError, quote_argument
from probe.prometheus.probe_group import GROUP_LABELS

_LABELS = f"{', '.join(GROUP_LABELS[:-1])} and {GROUP_LABELS[-1]}"


def add_selector_flag(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    parser.add_argument(
        "--selector",
        action="append",
        metavar="LABEL=VALUE",
        help=f"only probes whose scrape target has this label, such as job=probes; of {_LABELS};"
        " may be given several times",
    )


def read_selector(args: argparse.Namespace) -> dict[str, str]:
    """Return the labels that `args` select. Raises UsageError."""
    labels: dict[str, str] = {}
    for text in args.selector or ():
        name, separator, value = text.partition("=")
        if not separator or name not in GROUP_LABELS:
            raise UsageError(
                f"--selector: not a label with a value: {quote_argument(text)}; write LABEL=VALUE,"
                f" such as job=probes. The labels are {_LABELS}"
            )
        if labels.setdefault(name, value) != value:
            raise UsageError(f"--selector has two values of {name}; write one of them")
    return labels
