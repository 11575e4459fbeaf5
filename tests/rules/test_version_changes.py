"""ModelLatencyRegression mentions a version that is new since the day before."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.rules.scenario import DAY, DEFAULT_LABELS, HOUR, MINUTE, TICKET, Check, scenario
from tests.rules.scripted_probe import GOOD, SLOW, Probe
from tests.rules.scripted_target import Target
from tests.rules.test_rules import GROUPS, RUNBOOK, run
from tools.render_rule_tests import input_series

SLOWS = DAY + 10 * HOUR
AT = DAY + 12 * HOUR
SCRAPE_SECONDS = 60
NAMES = ("inference-probe-labels", "inference-probe-regression")
CHANGED = " The version changed to v2 at about 10:00 UTC."
full = partial(pytest.param, marks=pytest.mark.full)


@pytest.mark.parametrize(
    ("versions", "target_labels", "text"),
    [
        pytest.param({0: "v1", SLOWS: "v2"}, {}, CHANGED, id="new"),
        full({0: "v1", SLOWS: "v2"}, {"version": "7"}, CHANGED, id="label of the target"),
        full({0: "v1", SLOWS: "v2", SLOWS + HOUR: "v1"}, {}, CHANGED, id="rolled back"),
        full({0: "v1", 11 * HOUR: "v2"}, {}, "", id="older than a day"),
        pytest.param({}, {}, "", id="no version"),
    ],
)
def test_text(
    promtool: Path,
    tmp_path: Path,
    versions: Mapping[float, str],
    target_labels: Mapping[str, str],
    text: str,
) -> None:
    """The text names the new version and when it was first seen, whatever the target's labels."""
    probe = Probe(
        # A third in each minute, in whichever range.
        script={0: (GOOD,), SLOWS: (GOOD, GOOD, SLOW)},
        interval=10,
        objectives=(),
        versions=versions,
    )
    target = Target((probe,), {**DEFAULT_LABELS, **target_labels})
    end = Check(at=AT, expr="", samples={})
    inputs = input_series(scenario("versions", target, checks=(end,)), SCRAPE_SECONDS)
    groups = [{**group, "interval": "5m"} for group in GROUPS if group["name"] in NAMES]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    alert = {
        "exp_labels": {
            "job": "inference-probe",
            "probe": "sentiment",
            "quantile": "0.95",
            **TICKET,
        },
        "exp_annotations": {
            "summary": "sentiment: the 95th percentile latency was about 920ms, and usually 240ms"
            " at this time of day",
            "description": "At 12:00 UTC, the 95th percentile latency of sentiment over 1 hour was"
            " about 920ms, and usually 240ms. The usual value is the median of the same time on"
            f" the previous three days. Objectives may still be met.{text} Next: compare with the"
            " last rollout and the load.",
            "runbook_url": f"{RUNBOOK}#modellatencyregression",
        },
    }
    test = {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": [{"series": series, "values": values} for series, values in inputs],
        "alert_rule_test": [
            {
                "eval_time": f"{AT / MINUTE:.0f}m",
                "alertname": "ModelLatencyRegression",
                "exp_alerts": [alert],
            }
        ],
    }
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "5m",
        "group_eval_order": list(NAMES),
        "tests": [test],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    run(promtool, "test", "rules", tmp_path / "test.yml")
