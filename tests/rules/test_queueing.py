"""Alerts about the queue of a model server, and the phase that a latency regression names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.markdown import anchors, blocks
from tests.queries import ROOT
from tests.rules.test_headroom import DOCUMENT, expect, format_labels
from tests.rules.test_rules import GROUPS, RUNBOOK, run

EXAMPLE_FILE = ROOT / "rules/examples/queue-depth.rules.yml"
PROBE = {"job": "inference-probe", "probe": "chat"}
TARGET = {**PROBE, "instance": "a:10115"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}
Series = Mapping[str, str]


def series(name: str, labels: Mapping[str, str], values: str) -> Series:
    return {"series": name + format_labels(labels), "values": values}


def objective(
    threshold: float, slo: str = "fast", signal: str = "latency", alert: str = "page"
) -> list[Series]:
    """Return the series of an objective over an hour."""
    labels = {**TARGET, "slo": slo, "signal": signal}
    ratio = {**labels, "threshold": str(threshold), "alert": alert}
    return [
        series("inference_probe_slo_threshold_seconds", labels, f"{threshold}x60"),
        series("inference_probe_slo_objective_ratio", ratio, "0.95x60"),
        series("inference_probe_interval_seconds", TARGET, "10x60"),
    ]


def queue(seconds: float, per_minute: float = 6) -> list[Series]:
    """Return the histogram of requests that wait `seconds` in the queue on average."""
    labels = {**TARGET, "component": "queue"}
    name = "inference_probe_server_seconds"
    return [
        series(f"{name}_sum", labels, f"0+{seconds * per_minute}x60"),
        series(f"{name}_count", labels, f"0+{per_minute}x60"),
    ]


def evaluate(
    promtool: Path,
    directory: Path,
    rules: Path,
    inputs: Sequence[Series],
    interval: str = "1m",
    **checks: Any,
) -> None:
    """Run `promtool test rules` with checks of one test."""
    # A promtool test accepts each series once.
    unique = list({item["series"]: item for item in inputs}.values())
    test = {"interval": interval, "input_series": unique, **checks}
    path = directory / "test.yml"
    document = {"rule_files": [str(rules)], "evaluation_interval": "2m", "tests": [test]}
    path.write_text(yaml.safe_dump(document))
    run(promtool, "test", "rules", path)


def bundled_groups(directory: Path, *names: str) -> Path:
    """Write a file with these groups of the bundled rules only, which promtool evaluates faster."""
    groups = [group for group in GROUPS if group["name"] in names]
    assert len(groups) == len(names)
    path = directory / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def queueing_rules(directory: Path) -> Path:
    return bundled_groups(directory, "inference-probe-labels", "inference-probe-queueing")


def firing(name: str, *probes: str) -> dict[str, Any]:
    labels = {"alertname": name, "alertstate": "firing", **PROBE, **TICKET}
    samples = {f"ALERTS{format_labels({**labels, 'probe': probe})}": 1.0 for probe in probes}
    expression = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    return expect(expression, samples, minutes=60)


@pytest.mark.parametrize(
    ("inputs", "fires"),
    [
        pytest.param([*objective(0.5), *queue(0.26)], True, id="above half of the objective"),
        pytest.param([*objective(0.5), *queue(0.24)], False, id="below"),
        pytest.param(
            [*objective(2), *objective(0.5, "faster", alert="ticket"), *queue(0.26)],
            True,
            id="the strictest objective",
        ),
        pytest.param(
            [*objective(2), *objective(0.5, "faster", alert="none"), *queue(0.26)],
            False,
            id="an objective without alerts",
        ),
        pytest.param(
            [*objective(2), *objective(0.04, "fluent", "time_per_output_token"), *queue(0.26)],
            False,
            id="the time per token does not contain the queue",
        ),
        pytest.param(
            [*objective(0.5, "snappy", "time_to_first_token"), *queue(0.26)],
            True,
            id="the first token does",
        ),
        pytest.param([*objective(0.5), *queue(0.26, 0.3)], False, id="9 responses in 30 minutes"),
        pytest.param([*objective(0.5)], False, id="the server reports no queue"),
    ],
)
def test_queue_in_responses(
    promtool: Path, tmp_path: Path, inputs: Sequence[Series], fires: bool
) -> None:
    """The mean time in the queue is compared with the strictest objective that has alerts."""
    check = firing("ModelQueueing", *(["chat"] if fires else []))
    evaluate(promtool, tmp_path, queueing_rules(tmp_path), inputs, promql_expr_test=[check])


def test_labels_and_texts(promtool: Path, tmp_path: Path) -> None:
    """The alert has the alert labels of the probe, and the texts have both times."""
    info = {**TARGET, "down": "page", "team": "search"}
    inputs = [
        *objective(0.5),
        *objective(0.04, "fluent", "time_per_output_token"),
        *objective(0.1, "silent", alert="none"),
        *queue(0.3),
        series("inference_probe_alert_info", info, "1x60"),
    ]
    annotations = {
        "summary": "chat: requests waited 300ms on average in the queue of the model server",
        "description": "At 01:00 UTC, requests to chat had waited 300ms on average over 30 minutes"
        " in the queue of the model server, as it reports. This is more than half of the strictest"
        " objective, 500ms. Objectives may still be met, but a little more load can make them fail."
        " Next: add replicas, or limit the requests.",
        "runbook_url": f"{RUNBOOK}#modelqueueing",
    }
    labels = {**PROBE, **TICKET, "team": "search"}
    alert = {"exp_labels": labels, "exp_annotations": annotations}
    check = {"alertname": "ModelQueueing", "eval_time": "60m", "exp_alerts": [alert]}
    evaluate(promtool, tmp_path, queueing_rules(tmp_path), inputs, alert_rule_test=[check])


# Of each server: the gauge of waiting requests, the counter of requests, and the model's label.
VLLM = ("vllm:num_requests_waiting", "vllm:request_success_total", {"model_name": "llama"})
TRITON = ("nv_inference_pending_request_count", "nv_inference_request_success", {"model": "llama"})
TGI = ("tgi_queue_size", "tgi_request_success", {"job": "llama"})


def server(
    metrics: tuple[str, str, Mapping[str, str]], waiting: float, rate: float = 100
) -> list[Series]:
    depth, requests, labels = metrics
    return [
        series(depth, labels, f"{waiting}x60"),
        series(requests, labels, f"0+{60 * rate}x60"),
    ]


@pytest.mark.parametrize(
    ("servers", "fires"),
    [
        pytest.param(server(VLLM, 26), True, id="vLLM above half"),
        pytest.param(server(VLLM, 24), False, id="vLLM below"),
        pytest.param(server(TRITON, 26), True, id="Triton above half"),
        pytest.param(server(TRITON, 24), False, id="Triton below"),
        pytest.param(server(TGI, 26), True, id="TGI above half"),
        pytest.param(server(TGI, 24), False, id="TGI below"),
        pytest.param(server(VLLM, 1, rate=0), True, id="nothing is finished"),
        pytest.param(server(VLLM, 0, rate=0), False, id="no requests"),
    ],
)
def test_queue_in_metrics_of_the_server(
    promtool: Path, tmp_path: Path, servers: Sequence[Series], fires: bool
) -> None:
    """Waiting requests per request rate are compared with the strictest threshold."""
    info = {**TARGET, "model": "llama", "url": "http://model/"}
    inputs = [
        *objective(0.5),
        *objective(0.04, "fluent", "time_per_output_token"),
        series("inference_probe_info", info, "1x60"),
        *servers,
    ]
    labels = {
        "alertname": "ModelQueueDepthHigh",
        "alertstate": "firing",
        "probe": "chat",
        "model": "llama",
        **TICKET,
    }
    expected = {f"ALERTS{format_labels(labels)}": 1.0} if fires else {}
    check = expect('ALERTS{alertstate="firing"}', expected, minutes=60)
    evaluate(promtool, tmp_path, EXAMPLE_FILE, inputs, promql_expr_test=[check])


def test_document_of_the_example() -> None:
    """docs/capacity.md shows each query about a server, and has the section of the alert."""
    shown = {
        " ".join(block.text.split()) for block in blocks(DOCUMENT) if block.language == "promql"
    }
    rules = yaml.safe_load(EXAMPLE_FILE.read_text())["groups"][0]["rules"]
    queries = [
        " ".join(rule["expr"].split()) for rule in rules if "server" in rule.get("labels", {})
    ]
    assert len(queries) == 3
    assert [query for query in queries if query not in shown] == []
    *_, alert = rules
    assert alert["annotations"]["runbook_url"].partition("#")[2] in anchors(DOCUMENT)


@pytest.mark.parametrize("first", [0, 10], ids=["phases from 0 on", "phases after 20 minutes"])
def test_phase_that_grew(promtool: Path, tmp_path: Path, first: int) -> None:
    """The text of a regression names the phase that grew most, with its usual mean.

    Phases begin with the sample `first`: their series are exported after their first observation,
    and begin above 0.
    """
    # Samples of 2 minutes with 12 requests: for a day, and for two slow hours.
    day, slow = 720, 60
    total = day + slow
    latency, phases = "inference_probe_latency_seconds", "inference_probe_phase_seconds"
    success = {**TARGET, "outcome": "success"}
    inputs = [
        series("inference_probe_interval_seconds", TARGET, f"10x{total}"),
        series(f"{latency}_bucket", {**success, "le": "0.1"}, f"0+12x{day} {day * 12}x{slow}"),
        series(f"{latency}_bucket", {**success, "le": "0.5"}, f"0+12x{total}"),
        series(f"{latency}_bucket", {**success, "le": "+Inf"}, f"0+12x{total}"),
        series(f"{latency}_count", success, f"0+12x{total}"),
    ]
    # The mean of `connect` stays at 60 ms, that of `wait` grows from 20 to 300 ms.
    for phase, usual, now in (("connect", 0.72, 0.72), ("wait", 0.24, 3.6)):
        labels = {**TARGET, "phase": phase}
        absent = f"_x{first} " if first else ""
        values = f"{first * usual}+{usual}x{day - first} {day * usual + now}+{now}x{slow - 1}"
        inputs.append(series(f"{phases}_sum", labels, f"{absent}{values}"))
        counts = f"{absent}{first * 12}+12x{total - first}"
        inputs.append(series(f"{phases}_count", labels, counts))
    rules = bundled_groups(tmp_path, "inference-probe-labels", "inference-probe-regression")
    evaluate(promtool, tmp_path, rules, inputs, "2m", alert_rule_test=[regression(total * 2)])


def regression(minutes: int) -> dict[str, Any]:
    """Return the expected alerts, with their texts."""
    runbook = f"{RUNBOOK}#modellatencyregression"
    alerts = []
    for quantile, words, window, now, usual in (
        ("0.5", "median", "30 minutes", "300ms", "50ms"),
        ("0.95", "95th percentile", "1 hour", "480ms", "95ms"),
    ):
        annotations = {
            "summary": f"chat: the {words} latency was about {now}, and usually {usual} at this"
            " time of day",
            "description": f"At 02:00 UTC, the {words} latency of chat over {window} was about"
            f" {now}, and usually {usual}. The usual value is the median of the same time on the"
            " previous three days. Objectives may still be met. Phase that grew most: wait, with a"
            " mean of 300ms, and usually 20ms. Next: compare with the last rollout and the load.",
            "runbook_url": runbook,
        }
        labels = {**PROBE, **TICKET, "quantile": quantile}
        alerts.append({"exp_labels": labels, "exp_annotations": annotations})
    name = "ModelLatencyRegression"
    return {"alertname": name, "eval_time": f"{minutes}m", "exp_alerts": alerts}
