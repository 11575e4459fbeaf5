"""Render the bundled rules as a PrometheusRule, a resource of the Prometheus operator."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

_NAME = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_DOMAIN_CHARS = 253
_NAME_RULE = "at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at each end"
_DNS_LABEL_RULE = "at most 63 lower-case letters, digits and `-`, a letter or digit at each end"

# Plain scalars that PyYAML reads as text, but other YAML parsers as a number or a boolean.
_AMBIGUOUS = re.compile(r"[-+.\d][-+.\d_eEo]*|[yYnN]")


def render(rules: str, *, namespace: str | None, labels: Mapping[str, str]) -> str:
    """Return the PrometheusRule of `rules`, the text of a rule file, as YAML without comments.

    Raises ValueError, which names the flag, if `namespace` is not a valid Kubernetes namespace.
    """
    if namespace is not None and not _DNS_LABEL.fullmatch(namespace):
        raise ValueError(
            f"--namespace: {namespace!r} is not a valid name of Kubernetes; write {_DNS_LABEL_RULE}"
        )
    metadata = {"name": "inference-probe", "namespace": namespace, "labels": dict(labels)}
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {key: value for key, value in metadata.items() if value},
        "spec": yaml.safe_load(rules),
    }
    return yaml.dump(
        resource, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )


def parse_labels(text: str) -> dict[str, str]:
    """Return the Kubernetes labels in `text`, KEY=VALUE pairs separated by commas.

    Raises ValueError, which names the flag, for pairs that Kubernetes would reject.
    """
    labels: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--label: {pair!r} is not a label; write KEY=VALUE, e.g. team=ml")
        _check_key(key)
        if value and not _NAME.fullmatch(value):
            raise ValueError(
                f"--label: {value!r} is not a valid value of the label {key}; write {_NAME_RULE}"
            )
        if key in labels:
            raise ValueError(f"--label: the label {key} is given twice; write it once")
        labels[key] = value
    return labels


def _check_key(key: str) -> None:
    domain, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name):
        raise ValueError(f"--label: {key!r} is not a valid key; write {_NAME_RULE}")
    if slash and not _is_domain(domain):
        raise ValueError(f"--label: {key!r} is not a valid key; write a domain before /{name}")


def _is_domain(text: str) -> bool:
    return len(text) <= _MAX_DOMAIN_CHARS and all(map(_DNS_LABEL.fullmatch, text.split(".")))


class _Dumper(yaml.SafeDumper):
    """Writes readable YAML: indented lists, and texts of several lines as blocks."""

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        if "\n" in value:
            style = "|"
        elif tag.endswith(":str") and _AMBIGUOUS.fullmatch(value):
            style = "'"
        return super().represent_scalar(tag, value, style)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
