"""Names, types, help texts and labels of all metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from probe.result import Signal


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """Declaration of a metric. `labels` are the labels of each of its series."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


LATENCY = MetricSpec(
    "inference_probe_latency_seconds",
    "histogram",
    "Sum of the phases of a probe. Always select one outcome, since their buckets differ.",
    ("probe", "outcome"),
)
PHASE = MetricSpec(
    "inference_probe_phase_seconds",
    "histogram",
    "Duration of each phase of successful probes. A phase that did not happen is not observed, and "
    "exists from its first observation on.",
    ("probe", "phase"),
)
SERVER = MetricSpec(
    "inference_probe_server_seconds",
    "histogram",
    "Durations that the server reports in responses to successful probes, by component.",
    ("probe", "component"),
)
SERVER_IGNORED = MetricSpec(
    "inference_probe_server_timing_ignored_total",
    "counter",
    "Invalid server times in responses.",
    ("probe",),
)
TICKS = MetricSpec(
    "inference_probe_ticks_total",
    "counter",
    "Scheduled probes that came due. Equal to runs + skipped + in flight.",
    ("probe",),
)
RUNS = MetricSpec(
    "inference_probe_runs_total", "counter", "Finished probes, successful or failed.", ("probe",)
)
FAILURES = MetricSpec(
    "inference_probe_failures_total", "counter", "Failed probes by reason.", ("probe", "reason")
)
SKIPPED = MetricSpec(
    "inference_probe_skipped_total",
    "counter",
    "Ticks that did not cause a request, by reason.",
    ("probe", "reason"),
)
IN_FLIGHT = MetricSpec(
    "inference_probe_in_flight", "gauge", "Probes that have started and not finished.", ("probe",)
)
SUSPENDED = MetricSpec(
    "inference_probe_suspended",
    "gauge",
    "1 during the startup grace (reason startup), while probes are paused (reason paused) or while "
    "ticks are skipped because the budget of the probe is exhausted (reason budget) or so that the "
    "service scales to zero (reason cold), otherwise 0. "
    "Meanwhile the probe raises no alert about outages.",
    ("probe", "reason"),
)
INTERVAL = MetricSpec(
    "inference_probe_interval_seconds", "gauge", "Interval between two ticks.", ("probe",)
)
TIMEOUT = MetricSpec(
    "inference_probe_timeout_seconds", "gauge", "Timeout of one probe.", ("probe",)
)
LAST_RUN = MetricSpec(
    "inference_probe_last_run_timestamp_seconds",
    "gauge",
    "Unix time at which the last probe finished. Absent before the first.",
    ("probe",),
)
LAST_SUCCESS = MetricSpec(
    "inference_probe_last_success_timestamp_seconds",
    "gauge",
    "Unix time at which the last successful probe finished. Absent before the first.",
    ("probe",),
)
LAST_SUCCEEDED = MetricSpec(
    "inference_probe_success",
    "gauge",
    "1 if the last probe succeeded, 0 if it failed for any reason. Absent before the first result.",
    ("probe",),
)
LAST_STATUS_CODE = MetricSpec(
    "inference_probe_last_status_code",
    "gauge",
    "Status code of the response to the last probe. Absent before the first result, and if there "
    "was no response.",
    ("probe",),
)
OBJECTIVE = MetricSpec(
    "inference_probe_slo_objective_ratio",
    "gauge",
    "Target of an objective: the ratio of requests that must succeed with a signal (such as the "
    "latency) of at most the threshold (seconds). "
    'threshold="+Inf" is an availability objective.',
    ("probe", "slo", "signal", "threshold", "alert"),
)
OBJECTIVE_THRESHOLD = MetricSpec(
    "inference_probe_slo_threshold_seconds",
    "gauge",
    "Largest good value of the signal of an objective (seconds): its label threshold as a number. "
    "Absent for an availability objective.",
    ("probe", "slo", "signal"),
)
SAFE_RATE = MetricSpec(
    "inference_probe_safe_rate",
    "gauge",
    "Highest safe request rate of the endpoint (requests per second), from `capacity` in the "
    "config. Absent without it.",
    ("probe",),
)
INFO = MetricSpec(
    "inference_probe_info", "gauge", "URL of the endpoint and the labels of the config. Always 1.",
    ("probe", "url"),
)  # fmt: skip
VERSION_INFO = MetricSpec(
    "inference_probe_version_info",
    "gauge",
    "Version of the model that the endpoint reported last (`version` in the config). Always 1. "
    "Absent before the first.",
    ("probe", "version"),
)
COLD_START = MetricSpec(
    "inference_probe_cold_start_seconds",
    "histogram",
    "Latency of cold starts (`cold`), successful or failed. Exists from the start with "
    "`after_idle`, otherwise from the first cold start on.",
    ("probe",),
)
DIMENSION_DURATION = MetricSpec(
    "inference_probe_dimension_duration_seconds",
    "histogram",
    "Latency by the values of each dimension in `histogram_by`. A result without a value has "
    'value="unknown". Always select one dimension and one outcome.',
    ("probe", "dimension", "value", "outcome"),
)
ALERT_INFO = MetricSpec(
    "inference_probe_alert_info",
    "gauge",
    "Level of ModelDown (label down), and the labels that alerts about the probe have. Always 1.",
    ("probe", "down"),
)
SLO_ALERT_INFO = MetricSpec(
    "inference_probe_slo_alert_info",
    "gauge",
    "The labels that alerts about an objective have. Always 1. Absent without alert_labels.",
    ("probe", "slo"),
)
CERTIFICATE = MetricSpec(
    "inference_probe_tls_certificate_not_after_timestamp_seconds",
    "gauge",
    "Unix time at which the certificate of the endpoint expires. Absent without TLS.",
    ("probe",),
)
TIME_TO_FIRST_TOKEN = MetricSpec(
    "inference_probe_time_to_first_token_seconds",
    "histogram",
    "Time from the first network action to the first token of a stream. The latency of a failure.",
    ("probe", "outcome"),
)
TIME_PER_OUTPUT_TOKEN = MetricSpec(
    "inference_probe_time_per_output_token_seconds",
    "histogram",
    "(last token - first token) / (number of output tokens - 1). The latency of a failure.",
    ("probe", "outcome"),
)
LONGEST_TOKEN_GAP = MetricSpec(
    "inference_probe_longest_token_gap_seconds",
    "histogram",
    "Longest time between two events with tokens of a stream. The latency of a failure.",
    ("probe", "outcome"),
)
TOKENS = MetricSpec(
    "inference_probe_tokens_total",
    "counter",
    "Tokens by kind, as reported by the server. Input includes cached, and output reasoning.",
    ("probe", "kind"),
)
SIGNAL_MISSING = MetricSpec(
    "inference_probe_signal_missing_total",
    "counter",
    "Successful streams without a value, for example because the server reports no usage.",
    ("probe", "signal"),
)
MERGED_EVENTS = MetricSpec(
    "inference_probe_merged_events_total",
    "counter",
    "Events that arrived in the same read as an earlier one. The gap before them is unknown.",
    ("probe",),
)
COST = MetricSpec(
    "inference_probe_cost_total",
    "counter",
    "Cost of the requests: tokens times `price`, also of requests on demand.",
    ("probe", "currency"),
)
ESTIMATED_USAGE = MetricSpec(
    "inference_probe_estimated_usage_total",
    "counter",
    "Requests whose tokens are estimated, because the server did not report all of them.",
    ("probe",),
)
BUDGET_USED = MetricSpec(
    "inference_probe_budget_used_ratio",
    "gauge",
    "Used share of each limit of the budget, with the requests in flight.",
    ("probe", "budget"),
)
MERGED = MetricSpec(
    "inference_probe_merged_reads_total",
    "counter",
    "Responses whose first TCP segments arrived together, so only the time of the last one is "
    "known and `wait` may be slightly too long.",
    ("probe",),
)
LAG = MetricSpec(
    "inference_probe_schedule_lag_seconds",
    "histogram",
    "Delay of the start of a probe after its due time.",
)
CORRECTION = MetricSpec(
    "inference_probe_clock_correction_seconds",
    "histogram",
    "Delay of this process that was subtracted from the latency of a probe.",
)
BUILD = MetricSpec(
    "inference_probe_build_info",
    "gauge",
    "Version of inference-probe and of Python. Always 1.",
    ("version", "python_version"),
)
RELOAD_SUCCESSFUL = MetricSpec(
    "inference_probe_config_last_reload_successful",
    "gauge",
    "1 if the last attempt to load the config succeeded, otherwise 0.",
)
RELOAD_TIME = MetricSpec(
    "inference_probe_config_last_reload_success_timestamp_seconds",
    "gauge",
    "Unix time at which the config was last loaded successfully.",
)
LOST_TRACES = MetricSpec(
    "inference_probe_lost_traces_total",
    "counter",
    "Traces of probes that were not exported completely. Absent without --otlp.traces-endpoint.",
)
FAILED_PUSHES = MetricSpec(
    "inference_probe_failed_pushes_total",
    "counter",
    "Pushes of the metrics that failed. Absent without --otlp.endpoint.",
)

ALL_METRICS = (
    LATENCY,
    DIMENSION_DURATION,
    COLD_START,
    PHASE,
    SERVER,
    SERVER_IGNORED,
    TICKS,
    RUNS,
    FAILURES,
    SKIPPED,
    IN_FLIGHT,
    SUSPENDED,
    INTERVAL,
    TIMEOUT,
    LAST_RUN,
    LAST_SUCCESS,
    LAST_SUCCEEDED,
    LAST_STATUS_CODE,
    OBJECTIVE,
    OBJECTIVE_THRESHOLD,
    SAFE_RATE,
    INFO,
    VERSION_INFO,
    ALERT_INFO,
    SLO_ALERT_INFO,
    CERTIFICATE,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    LONGEST_TOKEN_GAP,
    TOKENS,
    SIGNAL_MISSING,
    MERGED_EVENTS,
    COST,
    ESTIMATED_USAGE,
    BUDGET_USED,
    MERGED,
    LAG,
    CORRECTION,
    BUILD,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
    LOST_TRACES,
    FAILED_PUSHES,
)

# The histogram of each signal.
SIGNALS: Mapping[Signal, MetricSpec] = {
    Signal.LATENCY: LATENCY,
    Signal.TIME_TO_FIRST_TOKEN: TIME_TO_FIRST_TOKEN,
    Signal.TIME_PER_OUTPUT_TOKEN: TIME_PER_OUTPUT_TOKEN,
}
