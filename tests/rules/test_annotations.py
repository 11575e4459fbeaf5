"""What an alert says, as Prometheus fills it in."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules.scenario import DAY, TICKET
from tests.rules.test_rules import RULE_FILE, RUNBOOK, run

AT = 600  # seconds
SERIES = "inference_probe_tls_certificate_not_after_timestamp_seconds"


def certificate(good_for: float, summary: str, description: str) -> dict[str, Any]:
    """A test of promtool, of a certificate that is good for so many seconds."""
    words = {"summary": summary, "description": description}
    link = {"runbook_url": f"{RUNBOOK}#modelcertificateexpires"}
    expected = {"exp_labels": {"probe": "m", **TICKET}, "exp_annotations": words | link}
    return {
        "interval": "15s",
        "input_series": [{"series": f'{SERIES}{{probe="m"}}', "values": f"{AT + good_for}x40"}],
        "alert_rule_test": [
            {
                "eval_time": f"{AT}s",
                "alertname": "ModelCertificateExpires",
                "exp_alerts": [expected],
            }
        ],
    }


CERTIFICATES = [
    certificate(
        2 * DAY,
        "The certificate of m expires soon",
        "The certificate that m serves is good for another 2d 0h 0m 0s. After that its clients"
        " refuse to talk to it.",
    ),
    certificate(
        -60,
        "The certificate of m has expired",
        "The certificate that m serves has expired. Clients that check it refuse to talk to it.",
    ),
]


@pytest.mark.parametrize("case", CERTIFICATES, ids=["expires", "has expired"])
def test_certificate(promtool: Path, tmp_path: Path, case: dict[str, Any]) -> None:
    """It is good for so long, or has expired, and never good for less than nothing."""
    path = tmp_path / "words.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULE_FILE)], "tests": [case]}))
    run(promtool, "test", "rules", path)
