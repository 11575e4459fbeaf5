"""Texts of alerts, as Prometheus renders their templates."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules.scenario import DAY, TICKET
from tests.rules.test_rules import RUNBOOK, run
from tools.render_rule_tests import RULE_FILE

AT_SECONDS = 600
SERIES = "inference_probe_tls_certificate_not_after_timestamp_seconds"


def certificate(valid_seconds: float, summary: str, description: str) -> dict[str, Any]:
    """Return a promtool test for a certificate that expires in `valid_seconds`."""
    annotations = {
        "summary": summary,
        "description": description,
        "runbook_url": f"{RUNBOOK}#modelcertificateexpires",
    }
    expected = {"exp_labels": {"probe": "m", **TICKET}, "exp_annotations": annotations}
    return {
        "interval": "15s",
        "input_series": [
            {"series": f'{SERIES}{{probe="m"}}', "values": f"{AT_SECONDS + valid_seconds}x40"}
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{AT_SECONDS}s",
                "alertname": "ModelCertificateExpires",
                "exp_alerts": [expected],
            }
        ],
    }


CERTIFICATES = [
    certificate(
        2 * DAY,
        "The certificate of m expires soon",
        "The certificate of m is valid for another 2d 0h 0m 0s. After that, clients that verify"
        " it will refuse the connection.",
    ),
    certificate(
        -60,
        "The certificate of m has expired",
        "The certificate of m has expired. Clients that verify it refuse the connection.",
    ),
]


@pytest.mark.parametrize("case", CERTIFICATES, ids=["expires soon", "has expired"])
def test_certificate(promtool: Path, tmp_path: Path, case: dict[str, Any]) -> None:
    """The text gives the remaining validity, or says that the certificate has expired."""
    path = tmp_path / "annotations.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULE_FILE)], "tests": [case]}))
    run(promtool, "test", "rules", path)
