"""`rules --format=kubernetes`: the bundled rules for the Prometheus operator."""

import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.cli.prometheus_rule import parse_labels, render
from tests.commands import invoke
from tools.render_rule_tests import RULE_FILE

KUBERNETES = "--format=kubernetes"
LABEL = "INFERENCE_PROBE_LABEL"


def printed(*arguments: str, **environ: str) -> dict[str, Any]:
    said = invoke("rules", *arguments, environ=environ)
    assert (said.returncode, said.stderr) == (0, "")
    resource: dict[str, Any] = yaml.safe_load(said.stdout)
    return resource


def test_spec_is_the_rule_file() -> None:
    """Group by group and rule by rule it is the bundled file, without labels or namespace."""
    assert printed(KUBERNETES) == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "inference-probe"},
        "spec": yaml.safe_load(RULE_FILE.read_text()),
    }


def test_promtool_takes_the_spec(promtool: Path, tmp_path: Path) -> None:
    """As it stands there, another reader of YAML takes it, and its linter has nothing to say."""
    path = tmp_path / "rules.yml"
    path.write_text(textwrap.dedent(invoke("rules", KUBERNETES).stdout.partition("\nspec:\n")[2]))
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_people_can_read_it() -> None:
    """Keys stand in the file's order, expressions of several lines as they are."""
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


def test_an_expression_of_one_line_stays_on_it() -> None:
    """However long it is."""
    expression = " + ".join(f"series_{number}" for number in range(100))
    rules = f"groups: [{{rules: [{{expr: {expression}}}]}}]"
    assert f"        - expr: {expression}\n" in render(rules, namespace=None, labels={})


def test_a_rule_that_is_used_twice_is_written_twice() -> None:
    """Anchors of a rule file are written out."""
    rules = "groups: [{rules: [{labels: &it {team: ml}}, {labels: *it}]}]"
    assert render(rules, namespace=None, labels={}).count("team: ml") == 2


@pytest.mark.parametrize(
    "word", ["y", "N", "on", "1e3", "0o17", "012", "1_0", "null", "2026-11-22"]
)
def test_what_may_pass_for_a_number_or_a_truth_is_quoted(word: str) -> None:
    """Labels are text to every reader of YAML, whichever version it follows."""
    text = render("groups: []", namespace=None, labels={word: word})
    assert f"    '{word}': '{word}'\n" in text


def test_labels_and_namespace() -> None:
    """They are those of the resource; a label may be empty, have a domain, and several come in one
    flag or in several.
    """
    labels = ("--label=release=mine", "--label=example.com/team=ml,empty=")
    assert printed(KUBERNETES, "--namespace=monitoring", *labels)["metadata"] == {
        "name": "inference-probe",
        "namespace": "monitoring",
        "labels": {"release": "mine", "example.com/team": "ml", "empty": ""},
    }


def test_variables() -> None:
    """Each flag has its variable, and is stronger."""
    variables = {
        "INFERENCE_PROBE_FORMAT": "kubernetes",
        "INFERENCE_PROBE_NAMESPACE": "monitoring",
        LABEL: "a=1,b=2",
    }
    metadata = printed(**variables)["metadata"]
    assert (metadata["namespace"], metadata["labels"]) == ("monitoring", {"a": "1", "b": "2"})
    flags = ("--label=c=3", "--label=d=4")
    assert printed(*flags, **variables)["metadata"]["labels"] == {"c": "3", "d": "4"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label=a=b",), "--label needs --format=kubernetes"),
        (("--namespace=default",), "--namespace needs --format=kubernetes"),
        (("--format=json",), "'json' is none of prometheus, kubernetes"),
        ((KUBERNETES, "--label="), f"unset {LABEL}"),
        ((KUBERNETES, "--label=a=1", "--label=a=2"), "the label a is there twice: write it once"),
        ((KUBERNETES, "--label=team"), "'team' is no label: write KEY=VALUE"),
        ((KUBERNETES, "--namespace=Prod"), "'Prod' is no namespace of Kubernetes: write"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...], words: str) -> None:
    """What makes no sense ends with 2 and a sentence, and prints nothing."""
    said = invoke("rules", *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert words in said.stderr
    assert "Traceback" not in said.stderr


LONG_DOMAIN = "a." * 126 + "a"
NO_LABELS = (
    *("a=b c", "a=-b", "a=b=c", "a=b,", "a=b\n", f"a={'b' * 64}"),
    *("=b", "a b=c", "_a=b", "ü=b", f"{'a' * 64}=b"),
    *("/a=b", "Example.com/a=b", "a..b/c=d", "a/b/c=d", f"{LONG_DOMAIN}a/c=d"),
)


@pytest.mark.parametrize("label", NO_LABELS)
def test_no_label_of_kubernetes(label: str) -> None:
    """What the API server would refuse is refused here, with what to write."""
    with pytest.raises(ValueError, match=": write "):
        parse_labels(label)


@pytest.mark.parametrize(
    "label", [f"{'a' * 63}={'b' * 63}", f"{LONG_DOMAIN}/c=d", "A_.-1=B_.-2", "a="]
)
def test_label_of_kubernetes(label: str) -> None:
    """What the API server takes is taken."""
    key, _, value = label.partition("=")
    assert parse_labels(label) == {key: value}


@pytest.mark.parametrize("namespace", ["", "a.b", "-a", "a_b", "a" * 64, "a\n"])
def test_no_namespace_of_kubernetes(namespace: str) -> None:
    """What the API server would refuse is refused here, with what to write."""
    with pytest.raises(ValueError, match=": write "):
        render("groups: []", namespace=namespace, labels={})
