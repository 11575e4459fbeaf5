"""`rules --format=kubernetes`: the bundled rules for the Prometheus operator."""

import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.cli.prometheus_rule import parse_labels, render
from probe.cli.rule_links import set_links
from tests.commands import invoke
from tools.render_rule_tests import RULE_FILE

KUBERNETES = "--format=kubernetes"
LABEL = "INFERENCE_PROBE_LABEL"


def printed_resource(*arguments: str, **environ: str) -> dict[str, Any]:
    done = invoke("rules", *arguments, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    resource: dict[str, Any] = yaml.safe_load(done.stdout)
    return resource


def test_spec_is_the_rule_file() -> None:
    """Without labels and namespace, the spec is the bundled rule file."""
    assert printed_resource(KUBERNETES) == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "inference-probe"},
        "spec": yaml.safe_load(set_links(RULE_FILE.read_text())),
    }


def test_promtool_accepts_the_spec(promtool: Path, tmp_path: Path) -> None:
    """Another YAML parser reads the text of the spec, and the linter reports nothing."""
    path = tmp_path / "rules.yml"
    path.write_text(textwrap.dedent(invoke("rules", KUBERNETES).stdout.partition("\nspec:\n")[2]))
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_readable() -> None:
    """Keys keep the order of the rule file, and expressions keep their lines."""
    text = render(RULE_FILE.read_text(), namespace=None, labels={})
    rules = [rule for group in yaml.safe_load(text)["spec"]["groups"] for rule in group["rules"]]
    originals = yaml.safe_load(RULE_FILE.read_text())["groups"]
    assert [list(rule) for rule in rules] == [
        list(rule) for group in originals for rule in group["rules"]
    ]
    blocks = [rule["expr"] for rule in rules if "\n" in rule["expr"]]
    assert blocks
    for block in blocks:
        assert f"          expr: |\n{textwrap.indent(block, ' ' * 12)}" in text


def test_long_expression_stays_on_one_line() -> None:
    """A long expression on one line is not wrapped."""
    expression = " + ".join(f"series_{number}" for number in range(100))
    rules = f"groups: [{{rules: [{{expr: {expression}}}]}}]"
    assert f"        - expr: {expression}\n" in render(rules, namespace=None, labels={})


def test_anchors_are_resolved() -> None:
    """YAML anchors and aliases of a rule file are written out."""
    rules = "groups: [{rules: [{labels: &labels {team: ml}}, {labels: *labels}]}]"
    assert render(rules, namespace=None, labels={}).count("team: ml") == 2


@pytest.mark.parametrize(
    "word", ["y", "N", "on", "1e3", "0o17", "012", "1_0", "null", "2026-11-22"]
)
def test_ambiguous_labels_are_quoted(word: str) -> None:
    """Labels that YAML 1.1 or 1.2 reads as a number, boolean, null or date are quoted."""
    text = render("groups: []", namespace=None, labels={word: word})
    assert f"    '{word}': '{word}'\n" in text


def test_labels_and_namespace() -> None:
    """Labels and namespace are written to the metadata of the resource.

    A label may be empty or have a domain. One flag or several flags can have several labels.
    """
    labels = ("--label=release=mine", "--label=example.com/team=ml,empty=")
    assert printed_resource(KUBERNETES, "--namespace=monitoring", *labels)["metadata"] == {
        "name": "inference-probe",
        "namespace": "monitoring",
        "labels": {"release": "mine", "example.com/team": "ml", "empty": ""},
    }


def test_variables() -> None:
    """Each flag has an environment variable, and overrides it."""
    variables = {
        "INFERENCE_PROBE_FORMAT": "kubernetes",
        "INFERENCE_PROBE_NAMESPACE": "monitoring",
        LABEL: "a=1,b=2",
    }
    metadata = printed_resource(**variables)["metadata"]
    assert (metadata["namespace"], metadata["labels"]) == ("monitoring", {"a": "1", "b": "2"})
    flags = ("--label=c=3", "--label=d=4")
    assert printed_resource(*flags, **variables)["metadata"]["labels"] == {"c": "3", "d": "4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label=a=b",), "--label needs --format=kubernetes"),
        (("--namespace=default",), "--namespace needs --format=kubernetes"),
        (("--format=json",), "expected one of prometheus, kubernetes, alertmanager"),
        ((KUBERNETES, "--label="), f"unset {LABEL}"),
        ((KUBERNETES, "--label=a=1", "--label=a=2"), "--label: the label a is given twice"),
        ((KUBERNETES, "--label=team"), "--label: 'team' is not a label; write KEY=VALUE"),
        ((KUBERNETES, "--namespace=Prod"), "--namespace: 'Prod' is not a valid"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...], message: str) -> None:
    """Wrong flags end with exit code 2 and a message on stderr, without output."""
    done = invoke("rules", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


LONG_DOMAIN = "a." * 126 + "a"
INVALID_LABELS = (
    *("a=b c", "a=-b", "a=b=c", "a=b,", "a=b\n", f"a={'b' * 64}"),
    *("=b", "a b=c", "_a=b", "ü=b", f"{'a' * 64}=b"),
    *("/a=b", "Example.com/a=b", "a..b/c=d", "a/b/c=d", f"{LONG_DOMAIN}a/c=d"),
)


@pytest.mark.parametrize("label", INVALID_LABELS)
def test_invalid_label(label: str) -> None:
    """A label that the API server would reject is rejected, with a correction."""
    with pytest.raises(ValueError, match="; write "):
        parse_labels(label)


@pytest.mark.parametrize(
    "label", [f"{'a' * 63}={'b' * 63}", f"{LONG_DOMAIN}/c=d", "A_.-1=B_.-2", "a="]
)
def test_valid_label(label: str) -> None:
    """A label that the API server accepts is accepted."""
    key, _, value = label.partition("=")
    assert parse_labels(label) == {key: value}


@pytest.mark.parametrize("namespace", ["", "a.b", "-a", "a_b", "a" * 64, "a\n"])
def test_invalid_namespace(namespace: str) -> None:
    """A namespace that the API server would reject is rejected, with a correction."""
    with pytest.raises(ValueError, match="; write "):
        render("groups: []", namespace=namespace, labels={})
