"""Every metric, declared once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric as users know it. `labels` are those that every series of it has."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


LATENCY = MetricSpec(
    "inference_probe_latency_seconds",
    "histogram",
    "Sum of a probe's phases. Select one outcome: their buckets differ, a sum means nothing.",
    ("probe", "outcome"),
)
PHASE = MetricSpec(
    "inference_probe_phase_seconds",
    "histogram",
    "Phases of successful probes; a phase that did not happen is not observed.",
    ("probe", "phase"),
)
SERVER = MetricSpec(
    "inference_probe_server_seconds",
    "histogram",
    "What the servers of successful probes said that they spent their time on.",
    ("probe", "component"),
)
SERVER_IGNORED = MetricSpec(
    "inference_probe_server_timing_ignored_total",
    "counter",
    "Times that servers told and that made no sense.",
    ("probe",),
)
TICKS = MetricSpec(
    "inference_probe_ticks_total",
    "counter",
    "Ticks of the grid that have come due: runs, skipped and in flight together.",
    ("probe",),
)
RUNS = MetricSpec("inference_probe_runs_total", "counter", "Finished probes.", ("probe",))
FAILURES = MetricSpec(
    "inference_probe_failures_total", "counter", "Failed probes by reason.", ("probe", "reason")
)
SKIPPED = MetricSpec(
    "inference_probe_skipped_total",
    "counter",
    "Ticks that did not become a request, by reason.",
    ("probe", "reason"),
)
IN_FLIGHT = MetricSpec(
    "inference_probe_in_flight", "gauge", "Probes that have not come back yet.", ("probe",)
)
SUSPENDED = MetricSpec(
    "inference_probe_suspended",
    "gauge",
    "1 while failures are not charged to the model, or none can come: it starts, or is paused.",
    ("probe", "reason"),
)
INTERVAL = MetricSpec(
    "inference_probe_interval_seconds", "gauge", "Time between two ticks.", ("probe",)
)
TIMEOUT = MetricSpec(
    "inference_probe_timeout_seconds", "gauge", "Deadline of one probe.", ("probe",)
)
LAST_RUN = MetricSpec(
    "inference_probe_last_run_timestamp_seconds",
    "gauge",
    "When the last probe finished; absent before the first.",
    ("probe",),
)
LAST_SUCCESS = MetricSpec(
    "inference_probe_last_success_timestamp_seconds",
    "gauge",
    "When the last success finished; absent before the first.",
    ("probe",),
)
OBJECTIVE = MetricSpec(
    "inference_probe_slo_objective_ratio",
    "gauge",
    "Share of requests that is promised to succeed, within the bucket that threshold names.",
    ("probe", "slo", "signal", "threshold", "alert"),
)
INFO = MetricSpec(
    "inference_probe_info", "gauge", "What is probed, with the labels of the config.",
    ("probe", "url"),
)  # fmt: skip
CERTIFICATE = MetricSpec(
    "inference_probe_tls_certificate_not_after_timestamp_seconds",
    "gauge",
    "When the certificate of the endpoint expires; absent without TLS.",
    ("probe",),
)
MERGED = MetricSpec(
    "inference_probe_merged_reads_total",
    "counter",
    "First reads in which the kernel had merged more than it could tell apart.",
    ("probe",),
)
LAG = MetricSpec(
    "inference_probe_schedule_lag_seconds", "histogram", "Start of a probe after its due time."
)
CORRECTION = MetricSpec(
    "inference_probe_clock_correction_seconds",
    "histogram",
    "What this process would have added to a latency, and was taken out.",
)
BUILD = MetricSpec(
    "inference_probe_build_info", "gauge", "The version that runs.", ("version", "python_version")
)
RELOAD_SUCCESSFUL = MetricSpec(
    "inference_probe_config_last_reload_successful",
    "gauge",
    "Whether the last attempt to load the config succeeded.",
)
RELOAD_TIME = MetricSpec(
    "inference_probe_config_last_reload_success_timestamp_seconds",
    "gauge",
    "When the config was last loaded with success.",
)

ALL_METRICS = (
    LATENCY,
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
    OBJECTIVE,
    INFO,
    CERTIFICATE,
    MERGED,
    LAG,
    CORRECTION,
    BUILD,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
)
