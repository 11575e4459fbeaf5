"""Writes the series of the settings of a probe, which change with a reload only."""

from probe.config.settings import Objective, Probe
from probe.metrics import catalogue
from probe.metrics.exposition import format_labels, format_sample, format_value
from probe.redaction import redact_config_url

SETTINGS_METRICS = (
    catalogue.INTERVAL,
    catalogue.TIMEOUT,
    catalogue.OBJECTIVE,
    catalogue.OBJECTIVE_THRESHOLD,
    catalogue.SAFE_RATE,
    catalogue.INFO,
    catalogue.ALERT_INFO,
    catalogue.SLO_ALERT_INFO,
)


def settings_texts(probe: Probe, labels: str) -> tuple[str, ...]:
    """Return the lines of each of SETTINGS_METRICS, empty without any.

    `labels` are those of the probe.
    """
    return (
        format_sample(catalogue.INTERVAL, labels, probe.interval),
        format_sample(catalogue.TIMEOUT, labels, probe.timeout),
        "".join(_objective_line(objective, labels) for objective in probe.objectives),
        "".join(_threshold_line(objective, labels) for objective in probe.objectives),
        _safe_rate_line(probe, labels),
        _info_line(probe, labels),
        _alert_info_line(probe, labels),
        _slo_alert_info_lines(probe, labels),
    )


def _objective_line(objective: Objective, labels: str) -> str:
    threshold = float("inf") if objective.threshold is None else objective.threshold
    more = format_labels(
        {
            "slo": objective.name,
            "signal": objective.signal,
            # The largest good value. Without one, every success is good.
            "threshold": format_value(threshold),
            "alert": objective.alert,
        }
    )
    return format_sample(catalogue.OBJECTIVE, f"{labels},{more}", objective.target)


def _threshold_line(objective: Objective, labels: str) -> str:
    if objective.threshold is None:
        return ""
    more = format_labels({"slo": objective.name, "signal": objective.signal})
    return format_sample(catalogue.OBJECTIVE_THRESHOLD, f"{labels},{more}", objective.threshold)


def _safe_rate_line(probe: Probe, labels: str) -> str:
    if probe.capacity is None:
        return ""
    return format_sample(catalogue.SAFE_RATE, labels, probe.capacity.safe_rate)


def _info_line(probe: Probe, labels: str) -> str:
    more = format_labels({"url": redact_config_url(probe.url.source), **probe.labels})
    return format_sample(catalogue.INFO, f"{labels},{more}", 1)


def _alert_info_line(probe: Probe, labels: str) -> str:
    more = format_labels({"down": probe.down, **_alert_labels(probe)})
    return format_sample(catalogue.ALERT_INFO, f"{labels},{more}", 1)


def _slo_alert_info_lines(probe: Probe, labels: str) -> str:
    """Return the series of each objective.

    In PromQL a join can add labels of unknown names only if each objective has its own series.
    """
    alert_labels = _alert_labels(probe)
    if not alert_labels:
        return ""
    return "".join(
        format_sample(
            catalogue.SLO_ALERT_INFO,
            f"{labels},{format_labels({'slo': objective.name, **alert_labels})}",
            1,
        )
        for objective in probe.objectives
    )


def _alert_labels(probe: Probe) -> dict[str, str]:
    return {name: probe.labels[name] for name in probe.alert_labels}
