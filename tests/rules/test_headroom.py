"""The optional rules about headroom: request rates of servers, and the safe rates of probes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.markdown import anchors, blocks
from tests.queries import ROOT
from tests.rules.test_rules import run

RULE_FILE = ROOT / "rules/examples/headroom.rules.yml"
DOCUMENT = ROOT / "docs/capacity.md"
RULES: list[dict[str, Any]] = yaml.safe_load(RULE_FILE.read_text())["groups"][0]["rules"]
QUERIES = [block.text for block in blocks(DOCUMENT) if block.language == "promql"]

# A test lasts 30 minutes, with a scrape and an evaluation each minute.
END_MINUTES = 30
USED = "inference_probe:safe_rate_used:ratio5m"
CHAT = {"probe": "chat", "model": "llama"}
SENTIMENT = {"probe": "sentiment", "model": "sentiment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A counter of a server that rises by `rate` per second, from `start` to `end` (minutes)."""

    name: str
    labels: Mapping[str, str]
    rate: float
    start: int = 0
    end: int = END_MINUTES

    def input_series(self) -> dict[str, str]:
        series = self.name + format_labels(self.labels)
        absent = f"_x{self.start - 1} " if self.start else ""
        values = f"{absent}0+{60 * self.rate:g}x{self.end - self.start}"
        rest = END_MINUTES - self.end
        return {"series": series, "values": f"{values} stale" if rest else values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The series of a probe on one instance of the daemon."""

    name: str = "chat"
    model: str | None = "llama"
    safe_rate: float | None = 100
    target: Mapping[str, str] = field(default_factory=lambda: {"instance": "a:10115"})

    def input_series(self) -> Iterable[dict[str, str]]:
        labels = {"job": "inference-probe", **self.target, "probe": self.name}
        info = labels | {"url": "http://model/"} | ({"model": self.model} if self.model else {})
        yield {"series": f"inference_probe_info{format_labels(info)}", "values": "1x30"}
        if self.safe_rate:
            series = f"inference_probe_safe_rate{format_labels(labels)}"
            yield {"series": series, "values": f"{self.safe_rate}x30"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Servers and probes, and the used shares of safe rates at the end by the labels of alerts."""

    name: str
    counters: tuple[Counter, ...] = ()
    probes: tuple[Probe, ...] = (Probe(),)
    used: tuple[tuple[Mapping[str, str], float], ...] = ()
    first_alert: int = 0
    """Minute before which no alert fires."""


def format_labels(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def vllm(rate: float, **labels: str) -> Counter:
    target = {"job": "vllm", "instance": "v:8000", "engine": "0", "finished_reason": "stop"}
    model = {"model_name": "llama"}
    return Counter(name="vllm:request_success_total", labels=target | model | labels, rate=rate)


def triton(rate: float, **labels: str) -> Counter:
    target = {"job": "triton", "instance": "t:8002", "model": "llama", "version": "1"}
    return Counter(name="nv_inference_request_success", labels=target | labels, rate=rate)


def http(rate: float, **labels: str) -> Counter:
    target = {"job": "sentiment", "instance": "s:5000", "handler": "/predict", "status": "2xx"}
    return Counter(name="http_requests_total", labels=target | labels, rate=rate)


TGI = Counter(name="tgi_request_count", labels={"job": "llama", "instance": "g:80"}, rate=90)
SENTIMENT_PROBE = Probe(name="sentiment", model="sentiment")
OTHER_INSTANCE = {"instance": "b:10115"}

CASES = (
    Case(name="vLLM, below", counters=(vllm(79),), used=((CHAT, 0.79),)),
    Case(
        name="vLLM, above, several replicas and finish reasons",
        counters=(
            vllm(40),
            vllm(30, finished_reason="length"),
            vllm(11, instance="w:8000"),
            vllm(500, model_name="other"),
        ),
        used=((CHAT, 0.81),),
    ),
    Case(
        name="Triton, versions are added",
        counters=(triton(50), triton(40, version="2"), triton(500, model="other")),
        used=((CHAT, 0.9),),
    ),
    Case(name="TGI", counters=(TGI,), used=((CHAT, 0.9),)),
    Case(
        name="HTTP, without health checks",
        counters=(http(85), http(500, handler="/health"), http(500, job="other")),
        probes=(SENTIMENT_PROBE,),
        used=((SENTIMENT, 0.85),),
    ),
    Case(name="no server"),
    Case(name="no probe", counters=(vllm(500), triton(500), TGI, http(500)), probes=()),
    Case(name="no safe rate", counters=(vllm(500),), probes=(Probe(safe_rate=None),)),
    Case(name="no label of the probe", counters=(vllm(500),), probes=(Probe(model=None),)),
    Case(
        name="no label of the server",
        counters=(vllm(500, model_name=""), triton(500, model="")),
        probes=(Probe(), Probe(name="without", model=None)),
    ),
    Case(name="another model", counters=(vllm(500),), probes=(Probe(model="llama-2"),)),
    Case(
        name="several probes of a model",
        counters=(vllm(90),),
        probes=(Probe(), Probe(name="long", safe_rate=200), Probe(name="none", safe_rate=None)),
        used=((CHAT, 0.9), ({"probe": "long", "model": "llama"}, 0.45)),
    ),
    Case(
        name="replicas of the daemon, during a rollout of the config",
        counters=(vllm(90),),
        probes=(
            Probe(safe_rate=200),
            Probe(safe_rate=100, target=OTHER_INSTANCE),
            Probe(model="llama-2", target={"instance": "c:10115"}),
        ),
        used=((CHAT, 0.9),),
    ),
    Case(
        name="clusters and namespaces",
        counters=(
            vllm(90, cluster="eu", namespace="models"),
            vllm(60, cluster="us", namespace="models"),
        ),
        probes=(
            Probe(target={"cluster": "eu", "namespace": "x", "instance": "a:10115"}),
            Probe(target={"cluster": "us", "namespace": "x", "instance": "a:10115"}),
        ),
        used=(({**CHAT, "cluster": "eu"}, 0.9), ({**CHAT, "cluster": "us"}, 0.6)),
    ),
    Case(
        name="two servers with the name of a model",
        counters=(vllm(90), triton(10)),
        used=((CHAT, 0.9),),
    ),
    Case(
        name="fires after 10 minutes",
        counters=(Counter(name="tgi_request_count", labels=TGI.labels, rate=90, start=15),),
        used=((CHAT, 0.9),),
        first_alert=26,
    ),
    Case(
        name="the server disappears",
        counters=(Counter(name="tgi_request_count", labels=TGI.labels, rate=90, end=20),),
    ),
)


FIRING = 'ALERTS{alertname="ModelHeadroomLow", alertstate="firing"}'
# What the series of a firing alert has in addition to the labels of the ratio.
ALERT = {
    "alertname": "ModelHeadroomLow",
    "alertstate": "firing",
    "severity": "warning",
    "slo_severity": "ticket",
}


def document(case: Case, rules: Path, *checks: dict[str, Any]) -> dict[str, Any]:
    """Return the file for promtool: the ratios and alerts of `case` at the end, and `checks`."""
    series = [counter.input_series() for counter in case.counters]
    series += [line for probe in case.probes for line in probe.input_series()]
    used = {USED + format_labels(labels): value for labels, value in case.used}
    alerts = {
        f"ALERTS{format_labels({**ALERT, **labels})}": 1.0
        for labels, value in case.used
        if value > 0.8
    }
    end = [expect(f"round({USED}, 0.001)", unnamed(used)), expect(FIRING, alerts)]
    before = [expect(FIRING, {}, minutes=case.first_alert - 1)] if case.first_alert else []
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [*end, *before, *checks]}
    return {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}


def expect(
    expression: str, samples: Mapping[str, float], minutes: int = END_MINUTES
) -> dict[str, Any]:
    expected = [{"labels": labels, "value": value} for labels, value in samples.items()]
    return {"expr": expression, "eval_time": f"{minutes}m", "exp_samples": expected}


def unnamed(samples: Mapping[str, float]) -> dict[str, float]:
    """Return the samples without the name of the metric, which a function drops."""
    return {labels[labels.index("{") :]: value for labels, value in samples.items()}


def evaluate(promtool: Path, directory: Path, test: dict[str, Any]) -> None:
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump(test))
    run(promtool, "test", "rules", path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_headroom(promtool: Path, tmp_path: Path, case: Case) -> None:
    """The alert compares each probe with the servers of its model, and needs both of them."""
    evaluate(promtool, tmp_path, document(case, RULE_FILE))


def test_texts(promtool: Path, tmp_path: Path) -> None:
    """The texts have the time and the used share of the safe rate."""
    test = document(CASES[0], RULE_FILE)
    (inner,) = test["tests"]
    inner["input_series"] = [
        vllm(90).input_series(),
        *(series for probe in CASES[0].probes for series in probe.input_series()),
    ]
    del inner["promql_expr_test"]
    annotations = {
        "summary": "chat: the requests reach 90% of the safe rate",
        "description": "At 00:30 UTC, the request rate of the servers of llama had been above 80%"
        " of the safe rate for at least 10 minutes. In the last 5 minutes it was 90%. Above the"
        " safe rate, the endpoint does not keep its objectives. Next: add replicas, or limit the"
        " requests. If the model, the servers or their number have changed since the load test,"
        " measure the safe rate again.",
        "runbook_url": "https://github.com/inference-probe/inference-probe/blob/main/docs/"
        "capacity.md#headroom-alert",
    }
    assert annotations["runbook_url"].partition("#")[2] in anchors(DOCUMENT)
    labels = {"severity": "warning", "slo_severity": "ticket", **CHAT}
    alert = {"exp_labels": labels, "exp_annotations": annotations}
    inner["alert_rule_test"] = [
        {"alertname": "ModelHeadroomLow", "eval_time": "30m", "exp_alerts": [alert]}
    ]
    evaluate(promtool, tmp_path, test)


def test_syntax(promtool: Path) -> None:
    """Each supported Prometheus accepts the file."""
    run(promtool, "check", "rules", RULE_FILE)


def test_queries_of_the_document() -> None:
    """docs/capacity.md shows the expression of each recording in the file."""
    shown = {" ".join(query.split()) for query in QUERIES}
    recorded = [" ".join(rule["expr"].split()) for rule in RULES if "record" in rule]
    assert [expression for expression in recorded if expression not in shown] == []


def test_per_replica(promtool: Path, tmp_path: Path) -> None:
    """With the query of the document, the mean rate of a replica is compared."""
    (query,) = (query for query in QUERIES if query.startswith("avg by (cluster, model)"))
    counters = (vllm(60), vllm(25, engine="1"), vllm(85, instance="w:8000"))
    case = Case(name="per replica", counters=counters, used=((CHAT, 0.85),))
    groups = yaml.safe_load(RULE_FILE.read_text())
    groups["groups"][0]["rules"][0]["expr"] = query
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(groups))
    evaluate(promtool, tmp_path, document(case, rules))


def test_probes_without_a_server(promtool: Path, tmp_path: Path) -> None:
    """A query of the document finds the safe rates that are compared with nothing."""
    (query,) = (query for query in QUERIES if "unless" in query)
    probes = (Probe(), Probe(name="alone", model="other"), Probe(name="without", model=None))
    case = Case(name="alone", counters=(vllm(50),), probes=probes, used=((CHAT, 0.5),))
    expected = expect(query, {'{probe="alone"}': 100, '{probe="without"}': 100})
    evaluate(promtool, tmp_path, document(case, RULE_FILE, expected))


def test_namespaces(promtool: Path, tmp_path: Path) -> None:
    """With `namespace` in all lists, as the document says, equal names of models are separate."""
    changed = RULE_FILE.read_text().replace("(cluster, model)", "(cluster, namespace, model)")
    changed = changed.replace("(cluster, probe, model)", "(cluster, namespace, probe, model)")
    rules = tmp_path / "rules.yml"
    rules.write_text(changed)
    names = {"red": 90.0, "blue": 60.0}
    case = Case(
        name="namespaces",
        counters=tuple(vllm(rate, namespace=name) for name, rate in names.items()),
        probes=tuple(Probe(target={"namespace": name, "instance": "a:10115"}) for name in names),
        used=tuple(({**CHAT, "namespace": name}, rate / 100) for name, rate in names.items()),
    )
    evaluate(promtool, tmp_path, document(case, rules))


def test_labels_for_routes(promtool: Path, tmp_path: Path) -> None:
    """With `team` next to `model`, as the document says, the alert has this label of the probe."""
    text = RULE_FILE.read_text()
    changed = text.replace("min by (cluster, probe, model)", "min by (cluster, probe, model, team)")
    changed = changed.replace("group_left (model)", "group_left (model, team)")
    rules = tmp_path / "rules.yml"
    rules.write_text(changed)
    case = Case(name="team", counters=(vllm(90),), used=(({**CHAT, "team": "search"}, 0.9),))
    test = document(case, rules)
    for series in test["tests"][0]["input_series"]:
        name = series["series"]
        if name.startswith("inference_probe_info"):
            series["series"] = re.sub("}$", ', team="search"}', name)
    evaluate(promtool, tmp_path, test)
