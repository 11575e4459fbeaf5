"""Write the generated files of the repository: `python -m tools.generate`.

The tests compare these files with the code, so run this command after a change of the config, the
metrics, the reasons of failures, the rules, the faults or the incidents of the notification test.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from probe.cli.prometheus_rule import render as prometheus_rule
from probe.cli.rule_links import set_links
from probe.config.json_schema import json_schema
from tools.config_reference import config_reference
from tools.fault_table import readme_with_fault_table
from tools.limits_table import security_with_limits
from tools.metrics_reference import metrics_reference
from tools.notification_table import alerts_with_notification_table
from tools.pinned_images import with_pinned_images

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ALERTS = ROOT / "docs/alerts.md"
SECURITY = ROOT / "docs/security.md"
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"
RULES = ROOT / "rules/inference-probe.rules.yml"

GENERATED: Mapping[Path, Callable[[], str]] = {
    README: lambda: readme_with_fault_table(README.read_text()),
    ROOT / "config/probe.schema.json": lambda: json.dumps(json_schema(), indent=2) + "\n",
    ROOT / "deploy/kubernetes/prometheus/prometheus-rule.yml": lambda: prometheus_rule(
        set_links(RULES.read_text()), namespace=None, labels={}
    ),
    ALERTS: lambda: alerts_with_notification_table(ALERTS.read_text()),
    ROOT / "docs/config.md": config_reference,
    ROOT / "docs/metrics.md": metrics_reference,
    DOCKERFILE: lambda: with_pinned_images(DOCKERFILE.read_text()),
    COMPOSE: lambda: with_pinned_images(COMPOSE.read_text()),
    SECURITY: lambda: security_with_limits(SECURITY.read_text()),
}


def main() -> None:
    argparse.ArgumentParser(
        "python -m tools.generate", description="Write the generated files of the repository."
    ).parse_args()
    for path, text in GENERATED.items():
        path.write_text(text())
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
