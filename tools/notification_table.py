"""Table of notifications in docs/alerts.md, from the incidents in tests/e2e."""

from tests.e2e.notification_scenarios import INCIDENTS, Incident
from tools.markdown import replace_between_marks, table

HEAD = ("incident", "pages", "alerts in the pages", "tickets, at most")


def alerts_with_notification_table(document: str) -> str:
    """Return the text of docs/alerts.md with the current table."""
    rows = map(_row, INCIDENTS.values())
    return replace_between_marks(document, "notifications", table(HEAD, rows).rstrip())


def _row(incident: Incident) -> tuple[str, ...]:
    alerts = ", ".join(f"`{name}`" for name in incident.alerts)
    return incident.description, str(incident.pages), alerts, str(incident.max_tickets)
