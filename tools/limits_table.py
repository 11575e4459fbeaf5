"""Table of all limits in docs/security.md, with the values of the constants in the code."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from probe.config.schema import ProbeModel
from tools.markdown import replace_between_marks, table

HEAD = ("of", "what is limited", "limit", "config key", "if it is exceeded")
FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the table.

    `value` has a `{}` for the value of each of the `constants` (`module:NAME` below `probe`). `key`
    is the key of the config that sets the limit; its default takes the place of `{default}`.
    """

    of: str
    what: str
    value: str
    exceeded: str
    constants: tuple[str, ...] = ()
    key: str | None = None


LIMITS = (
    # Endpoints
    Limit(
        "endpoint",
        "time of a whole run",
        "{default}",
        "failure with the reason of the phase, such as `first_byte_timeout`",
        key="timeout",
    ),
    Limit(
        "endpoint",
        "runs of a probe in flight",
        "as many as can be within their timeouts",
        "the tick is skipped with the reason `overlap`",
    ),
    Limit(
        "endpoint",
        "delay of a start",
        "half an interval, at most {}",
        "the tick is skipped with the reason `late`",
        ("scheduler.runner:MAX_START_DELAY_SECONDS",),
    ),
    Limit(
        "endpoint",
        "tokens and cost in 24 hours, requests in an hour",
        "{default}",
        "the tick is skipped with the reason `budget`, `/probe` is refused with 429",
        key="budget",
    ),
    Limit(
        "endpoint",
        "time until the first token of a stream",
        "{default}",
        "failure with the reason `first_token_timeout`",
        key="first_token_timeout",
    ),
    Limit(
        "endpoint",
        "time between two tokens of a stream",
        "{default}",
        "failure with the reason `stall_timeout`",
        key="stall_timeout",
    ),
    Limit(
        "config",
        "`body_file` that is parsed to find `max_tokens`",
        "{}",
        "its output is estimated as that of a request without a limit",
        ("scheduler.token_estimate:MAX_PARSED_BODY_BYTES",),
    ),
    Limit(
        "endpoint",
        "body, also when decompressed",
        "{default}",
        "failure with the reason `too_large`; when decompressed, `assertion`",
        key="max_bytes",
    ),
    Limit(
        "endpoint",
        "gzip members of a body",
        "{}",
        "failure with the reason `assertion`",
        ("prober.response:MAX_GZIP_MEMBERS",),
    ),
    Limit(
        "endpoint",
        "headers of a response, together with those of 1xx responses",
        "{}",
        "failure with the reason `protocol`",
        ("http.response_reader:MAX_RESPONSE_HEADER_BYTES",),
    ),
    Limit(
        "endpoint",
        "lines of headers",
        "{} per response",
        "failure with the reason `protocol`",
        ("http.response_head:MAX_HEADER_LINES",),
    ),
    Limit(
        "endpoint",
        "one line: status, header or chunk size",
        "{}",
        "failure with the reason `protocol`",
        ("http.response_reader:MAX_LINE_BYTES",),
    ),
    Limit(
        "endpoint",
        "informational responses (1xx)",
        "{}",
        "failure with the reason `protocol`",
        ("http.response_reader:MAX_INFORMATIONAL_RESPONSES",),
    ),
    Limit(
        "endpoint",
        "sizes and line ends of the chunks of a body",
        "{} and {} of the body",
        "failure with the reason `protocol`",
        ("http.chunk_limits:MAX_FRAMING_BYTES", "http.chunk_limits:FRAMING_SHARE_OF_DATA"),
    ),
    Limit(
        "endpoint",
        "chunk extensions of a body, and its trailers",
        "{}, {}",
        "failure with the reason `protocol`",
        ("http.chunk_limits:MAX_EXTENSION_BYTES", "http.chunk_limits:MAX_TRAILER_BYTES"),
    ),
    Limit(
        "endpoint", "redirects", "{default}", "failure with the reason `http_3xx`", key="redirects"
    ),
    Limit(
        "endpoint",
        "URL of a redirect",
        "{}",
        "failure with the reason `http_3xx`",
        ("http.redirects:MAX_REDIRECT_URL_CHARS",),
    ),
    Limit(
        "endpoint",
        "bodies in memory at a time, if `expect` or `server_timing` needs them",
        "{} or {} × `max_bytes`, in addition to {} of each",
        "failure with the reason `internal`",
        (
            "prober.body:MAX_HELD_BYTES",
            "prober.body:MAX_HELD_LARGEST_BODIES",
            "prober.body:UNCOUNTED_BYTES",
        ),
    ),
    Limit(
        "endpoint",
        "line or frame of a stream; event that is parsed",
        "{}, headers of a frame {}; {}",
        "failure with the reason `stream_error`",
        (
            "http.stream:MAX_EVENT_BYTES",
            "http.aws_event_stream:MAX_HEADERS_BYTES",
            "prober.stream_reader:MAX_PARSED_EVENT_BYTES",
        ),
    ),
    Limit(
        "endpoint",
        "number of tokens that a server reports",
        "{}",
        "the number is ignored",
        ("prober.usage:MAX_TOKENS",),
    ),
    Limit(
        "endpoint",
        "wait for the end of a stream after its finish reason",
        "{}",
        "the connection is closed",
        ("prober.stream_reader:GRACE_SECONDS",),
    ),
    Limit(
        "endpoint",
        "evaluation of a response in the daemon itself",
        "decompressed body of {}, CPU time of {}",
        "a worker process evaluates it",
        ("prober.evaluator:LOCAL_CONTENT_BYTES", "prober.evaluator:LOCAL_CPU_SECONDS"),
    ),
    Limit(
        "endpoint",
        "CPU time to evaluate a response: decompression, JSON, patterns, JSONPaths, conditions",
        "{}",
        "failure with the reason `assertion`; server times not found yet are ignored and counted",
        ("prober.cpu_budget:MAX_CPU_SECONDS",),
    ),
    Limit(
        "endpoint",
        "memory to evaluate a response in the worker process",
        "{} and {} × `max_bytes`",
        "failure with the reason `assertion`; server times not found yet are ignored and counted",
        (
            "prober.evaluation_worker:BASE_MEMORY_BYTES",
            "prober.evaluation_worker:MEMORY_PER_BODY_BYTE",
        ),
    ),
    Limit(
        "endpoint",
        "responses that wait for the worker process, with the one that it evaluates",
        "{}, {} of one probe; from {} on, one of each probe",
        "failure with the reason `internal`; server times are ignored and counted",
        (
            "prober.worker_queue:MAX_WAITING",
            "prober.worker_queue:MAX_WAITING_PER_PROBE",
            "prober.worker_queue:MAX_WAITING_OF_BUSY_PROBES",
        ),
    ),
    Limit(
        "endpoint",
        "wall time of the worker process for a response",
        "{}",
        "failure with the reason `internal`; the process is replaced",
        ("prober.worker_process:MAX_WALL_SECONDS",),
    ),
    Limit(
        "endpoint",
        "header `Server-Timing`",
        "{}",
        "the rest is not read",
        ("prober.server_timing:MAX_PARSED_HEADER_CHARS",),
    ),
    Limit(
        "endpoint",
        "number in a server time, or in a header for `min` and `max`",
        "{}",
        "it is ignored and counted; in `expect`, failure with the reason `assertion`",
        ("prober.response:_MAX_NUMBER_CHARS",),
    ),
    Limit(
        "endpoint",
        "version or segment in a response",
        "{}",
        "the rest is not shown",
        ("prober.response_values:MAX_VALUE_CHARS",),
    ),
    Limit(
        "endpoint",
        "different versions or segments of a probe in a day",
        "10 each (`max_values`)",
        "further ones become `other`",
    ),
    Limit(
        "endpoint",
        "name lookups at a time",
        "{}, {} of one host",
        "others wait; the run may fail with the reason `dns`",
        ("http.resolver:MAX_LOOKUPS", "http.resolver:MAX_LOOKUPS_PER_HOST"),
    ),
    Limit(
        "endpoint",
        "idle connections of a probe",
        "{} per origin, {} origins",
        "the ones that have been idle longest are closed",
        ("http.pool:MAX_IDLE_PER_ORIGIN", "http.pool:MAX_ORIGINS"),
    ),
    Limit(
        "endpoint",
        "idle time of a connection",
        "{}, or two intervals if they are longer",
        "it is closed",
        ("http.pool:IDLE_TIMEOUT_SECONDS",),
    ),
    Limit(
        "endpoint",
        "text of the endpoint in `detail`",
        "{}; {} of a value, {} of what is not HTTP",
        "it is truncated",
        (
            "redaction:MAX_MESSAGE_CHARS",
            "prober.assertions:MAX_VALUE_CHARS",
            "prober.classify_failure:MAX_GARBAGE_CHARS",
        ),
    ),
    Limit(
        "endpoint",
        "stored beginning of a failed response",
        "{} of the body, {} of the headers",
        "it is truncated",
        ("prober.excerpt:MAX_EXCERPT_BODY_CHARS", "prober.excerpt:MAX_EXCERPT_HEADER_CHARS"),
    ),
    # Clients
    Limit("HTTP client", "length of a URL", "{}", "414", ("server.limits:MAX_URL_BYTES",)),
    Limit("HTTP client", "size of the headers", "{}", "431", ("server.limits:MAX_HEADER_BYTES",)),
    Limit(
        "HTTP client",
        "URL and headers of a request together",
        "{}",
        "414 or 431, and the connection is closed",
        ("server.connection_protocol:MAX_REQUEST_HEAD_BYTES",),
    ),
    Limit("HTTP client", "request body", "none allowed", "413"),
    Limit(
        "HTTP client",
        "time to send a request, and for a TLS handshake",
        "{}",
        "408, and the connection is closed",
        ("server.connection_protocol:REQUEST_TIMEOUT_SECONDS",),
    ),
    Limit(
        "HTTP client",
        "time to read a response",
        "{}; of pages, API documents and scrapes, for each piece of {}",
        "the connection is reset",
        ("server.connection_transport:WRITE_TIMEOUT_SECONDS", "server.compression:PIECE_BYTES"),
    ),
    Limit(
        "HTTP client",
        "pages, API documents and scrapes that are being sent, compressed, each counted once",
        "{} for all clients, then only for those that have read within {}; {} for these",
        "one is evicted",
        (
            "server.acceptor:MAX_UNSENT_BYTES",
            "server.acceptor:STALLED_SECONDS",
            "server.acceptor:MAX_UNSENT_BYTES_OF_READERS",
        ),
    ),
    Limit(
        "HTTP client",
        "buffers of a connection in the kernel",
        "{} to send, {} to receive",
        "the daemon waits for the client, or the client for the daemon",
        ("server.server:SEND_BUFFER_BYTES", "server.server:RECEIVE_BUFFER_BYTES"),
    ),
    Limit(
        "HTTP client",
        "idle time of a connection",
        "{}",
        "it is closed",
        ("server.server:KEEP_ALIVE_SECONDS",),
    ),
    Limit(
        "HTTP client",
        "data after a rejected request",
        "{}, {}",
        "the connection is reset",
        (
            "server.connection_transport:MAX_LINGER_BYTES",
            "server.connection_transport:LINGER_SECONDS",
        ),
    ),
    Limit(
        "HTTP client",
        "connections",
        "{}",
        "one is evicted",
        ("server.acceptor:MAX_CONNECTIONS",),
    ),
    Limit(
        "HTTP client",
        "TLS handshakes in progress",
        "{}",
        "one is evicted",
        ("server.acceptor:MAX_HANDSHAKES",),
    ),
    Limit(
        "HTTP client",
        "wait of a page or API document for scrapes, which go first",
        "{}",
        "it is rendered at the same time as the scrape",
        ("server.single_flight:MAX_PRECEDENCE_SECONDS",),
    ),
    Limit(
        "HTTP client",
        "pause between two renderings of pages, or of scrapes",
        "three times as long as the last rendering, {} at most",
        "requests in the pause share the next rendering",
        ("server.single_flight:MAX_PAUSE_SECONDS",),
    ),
    Limit(
        "HTTP client",
        "age of a shared web page",
        "{}",
        "it is rendered again; concurrent requests share one response",
        ("server.routes:MAX_PAGE_AGE_SECONDS",),
    ),
    Limit(
        "HTTP client",
        "probes on one page of the list of probes",
        "{}",
        "the others are on the next pages",
        ("server.probe_list:MAX_PROBES_PER_PAGE",),
    ),
    Limit(
        "HTTP client",
        "words of a search in the list of probes",
        "{}",
        "400",
        ("server.probe_list:MAX_WORDS",),
    ),
    Limit(
        "HTTP client",
        "`/probe` calls from one address",
        "bursts of {}, then {}",
        "429",
        ("server.limits:MAX_ON_DEMAND_BURST", "server.limits:ON_DEMAND_PER_SECOND"),
    ),
    Limit(
        "HTTP client",
        "`/probe` calls in progress",
        "{}",
        "429",
        ("server.limits:MAX_ON_DEMAND_REQUESTS",),
    ),
    Limit(
        "HTTP client",
        "runs for `/probe` at a time",
        "{}, one of each probe",
        "others wait",
        ("server.app:MAX_ON_DEMAND_PROBES",),
    ),
    Limit(
        "HTTP client",
        "runs for `/probe` of one probe",
        "one per interval",
        "the last result is returned",
    ),
    Limit(
        "HTTP client",
        "wrong passwords from one address",
        "bursts of {}, then {}",
        "429; a password in the cache still works",
        ("server.server:MAX_WRONG_PASSWORDS", "server.server:WRONG_PASSWORDS_PER_SECOND"),
    ),
    Limit(
        "HTTP client",
        "passwords that wait for verification",
        "{}",
        "429",
        ("server.auth:MAX_PENDING_CHECKS",),
    ),
    Limit(
        "HTTP client",
        "length of a password",
        "{}",
        "the rest is ignored",
        ("server.auth:MAX_PASSWORD_BYTES",),
    ),
    Limit(
        "HTTP client",
        "addresses that rate limits remember",
        "{}",
        "the one that was seen longest ago is forgotten",
        ("rate_limiter:MAX_KEYS",),
    ),
    # Configuration
    Limit(
        "config",
        "config file, and web config",
        "{}",
        "it is rejected",
        ("config.config_bytes:MAX_CONFIG_BYTES",),
    ),
    Limit(
        "config",
        "file of a certificate or key",
        "{}",
        "the config is rejected",
        ("config.types:MAX_PEM_FILE_MIB",),
    ),
    Limit(
        "config", "`body_file`", "{}", "the config is rejected", ("config.types:MAX_BODY_FILE_MIB",)
    ),
    Limit(
        "config",
        "file of a `${file:}` reference",
        "{}",
        "the config is rejected; later, the run fails with the reason `internal`",
        ("config.secrets:MAX_SECRET_FILE_BYTES",),
    ),
    Limit(
        "config",
        "nesting of YAML and of `--json`",
        "{} levels",
        "it is rejected",
        ("config.yaml_composer:MAX_DEPTH",),
    ),
    Limit(
        "config",
        "values that aliases repeat",
        "{}",
        "it is rejected",
        ("config.yaml:MAX_ALIAS_COPIES",),
    ),
    Limit(
        "config",
        "a number, and a quantity such as 5s",
        "{}, {}",
        "it is rejected",
        ("config.yaml:MAX_NUMBER_CHARS", "config.units:MAX_QUANTITY_CHARS"),
    ),
    Limit(
        "config",
        "time of the process that validates a config",
        "{}",
        "it is killed, and the start or the reload fails",
        ("config.child_process:MAX_CALL_SECONDS",),
    ),
    Limit(
        "config",
        "cost of a bcrypt hash",
        "{}",
        "the web config is rejected",
        ("server.web_config:MAX_BCRYPT_COST",),
    ),
    # The daemon
    Limit(
        "daemon",
        "stored results of a probe",
        "{} latest, {} failures ({} with a beginning of the "
        "response), {} first ones of outages, {} slowest",
        "the oldest is dropped",
        (
            "history.snapshots:MAX_RESULTS",
            "history.snapshots:MAX_FAILURES",
            "history.snapshots:MAX_EXCERPTS",
            "history.snapshots:MAX_OUTAGES",
            "history.history:MAX_SLOWEST",
        ),
    ),
    Limit(
        "daemon",
        "versions of a probe on its page",
        "{}",
        "the one that was not seen for longest is dropped",
        ("history.version_log:MAX_VERSIONS",),
    ),
    Limit(
        "daemon",
        "times of tokens in the result of a stream",
        "{}",
        "some that are close to others are left out of the timeline",
        ("result:MAX_TOKEN_TIMES",),
    ),
    Limit(
        "daemon",
        "half hours of the status bar",
        "{}",
        "the oldest is dropped",
        ("history.half_hours:MAX_HALF_HOURS",),
    ),
    Limit(
        "daemon",
        "lines of one logger",
        "bursts of {}, then {}",
        "they are dropped and counted (`left_out`)",
        ("daemon.log:MAX_BURST_RECORDS", "daemon.log:MAX_RECORDS_PER_SECOND"),
    ),
    Limit(
        "daemon",
        "lines that wait for a slow output",
        "{}",
        "they are dropped and counted (`left_out`)",
        ("daemon.log:MAX_QUEUED_RECORDS",),
    ),
    Limit(
        "daemon",
        "results whose traces wait for the OTLP receiver",
        "{}; {} in one document",
        "their traces are lost and counted",
        (
            "otlp.span_exporter:MAX_QUEUED_RESULTS",
            "otlp.span_exporter:MAX_BATCH_RESULTS",
        ),
    ),
    Limit(
        "daemon",
        "export of the last traces and metrics when it stops",
        "{}",
        "they are lost",
        ("daemon.daemon:MAX_EXPORT_SECONDS",),
    ),
    Limit(
        "daemon",
        "response of an OTLP receiver",
        "{}, {} in the log",
        "the rest is not read",
        ("otlp.client:MAX_RESPONSE_BYTES", "otlp.partial_success:MAX_MESSAGE_CHARS"),
    ),
    Limit(
        "daemon",
        "`Retry-After` of an OTLP receiver",
        "{}",
        "the next attempt is earlier",
        ("otlp.client:MAX_RETRY_AFTER_SECONDS",),
    ),
    Limit(
        "daemon",
        "part of a secret that is masked",
        "{}; of a `body`, {} are searched",
        "the rest is not masked",
        ("redaction:MAX_SECRET_CHARS", "http.request_secrets:MAX_SEARCHED_BODY_CHARS"),
    ),
    Limit(
        "daemon",
        "wait for runs in flight when it stops",
        "longest `timeout`, at most {}",
        "they are abandoned",
        ("daemon.daemon:MAX_DRAIN_SECONDS",),
    ),
    Limit(
        "daemon",
        "silence of the scheduler",
        "{}",
        "`/-/healthy` fails",
        ("scheduler.scheduler:MAX_HEARTBEAT_AGE_NS",),
    ),
    # Commands
    Limit(
        "command",
        "concurrent probes of `once`",
        "{}",
        "others wait",
        ("cli.once:MAX_CONCURRENT_PROBES",),
    ),
    Limit(
        "command",
        "response of the daemon",
        "{}, {} of headers",
        "error",
        ("cli.daemon_client:MAX_RESPONSE_BYTES", "cli.daemon_client:MAX_HEAD_BYTES"),
    ),
)

# Constants that look like limits, and why they are not in the table.
NOT_LIMITS: Mapping[str, str] = {
    "check.advice:MAX_FALSE_PAGES": "threshold of advice",
    "check.advice:MAX_PROBE_SHARE": "threshold of advice",
    "check.request:MAX_SHOWN_BODY_CHARS": "layout of a message",
    "cli.daemon_client:MAX_MESSAGE_CHARS": "layout of a message",
    "cli.load_test:MAX_FIRST_RATE_SHARE": "first rate of a search",
    "cli.prometheus_rule:_MAX_DOMAIN_CHARS": "of Kubernetes",
    "cli.otlp_options:MAX_INTERVAL_SECONDS": "argument of a command",
    "cli.size:MAX_VALUE": "argument of a command",
    "cli.status:MAX_FAILURES": "layout of the output",
    "cli.status:MAX_PROBES_WITH_FAILURES": "layout of the output",
    "cli.load_share:MAX_FINAL_SCRAPE_SECONDS": "end of a share of a load test",
    "cli.waterfall:MAX_UNPRINTABLE_RATIO": "layout of the output",
    "config.errors:MAX_FILE_NAME_CHARS": "wording of a message",
    "config.errors:MAX_KEY_CHARS": "wording of a message",
    "config.errors:MAX_QUOTED_CHARS": "wording of a message",
    "config.flags:MAX_JSON_DEPTH": "equals the nesting of YAML",
    "config.settings:MAX_BUDGET_AS_TARGET": "threshold of advice",
    "server.versions:MAX_CHANGES": "layout of a chart",
    "malloc:MAX_ARENAS": "option of the allocator",
    "daemon.reload:MAX_NAMES_SHOWN": "layout of a message",
    "daemon.signals:MAX_READ_BYTES": "size of a buffer",
    "http.certificate_expiry:MAX_CERTIFICATES": "size of a cache",
    "http.network_policy:MAX_DECISIONS": "size of a cache",
    "http.pool:MAX_CHECKED": "work of each run",
    "http.resolver:MAX_PARSED_ADDRESSES": "size of a cache",
    "http.stopwatch:MAX_CLOCK_SLEW_RATIO": "accuracy of clocks",
    "http.stopwatch:MAX_OFFSET_ERROR_NS": "accuracy of clocks",
    "charts.axis:MAX_LINEAR_RATIO": "layout of a chart",
    "charts.axis:MAX_TICKS": "layout of a chart",
    "load.generator:MAX_PERMITS": "of the operating system",
    "load.prometheus_source:MAX_AGE": "range of a query",
    "load.report:MAX_NEIGHBOUR_RATIO": "wording of a report",
    "load.search:MAX_ATTEMPTS": "condition of a verdict",
    "load.single_requests:MAX_RECOVERED_LATENCIES": "condition of a verdict",
    "load.single_requests:MAX_RECOVERY_SECONDS": "duration of a step",
    "load.sizing:MAX_BATCH_SIZE": "range of a calculation",
    "load.stacked_chart:MAX_BAR_RATIO": "layout of a chart",
    "load.step:MAX_CONFIRMATION_LATENCIES": "duration of a step",
    "load.step:MAX_CONFIRMATION_SECONDS": "duration of a step",
    "load.step:MAX_SEARCH_SECONDS": "duration of a step",
    "load.verdict:MAX_IN_FLIGHT_GROWTH": "condition of a verdict",
    "load.verdict:MAX_INTERNAL_SHARE": "condition of a verdict",
    "load.verdict:MAX_LAG_SECONDS": "condition of a verdict",
    "load.verdict:MAX_LAG_SHARE": "condition of a verdict",
    "load.verdict:MAX_LITTLE_DEVIATION": "condition of a verdict",
    "load.worker_process:MAX_EXIT_SECONDS": "end of a process of the load generator",
    "load.worker_process:MAX_REPLY_SECONDS": "check of a process of the load generator",
    "prometheus.client:MAX_MESSAGE_CHARS": "layout of a message",
    "prober.evaluation_worker:MAX_RETAINED_BYTES": "replacement of the worker process",
    "prober.stream_reader:MAX_FINISH_REASON_CHARS": "layout of a result",
    "prober.worker_process:MAX_EXIT_SECONDS": "end of the worker process",
    "prober.worker_queue:MAX_NAMES_SHOWN": "layout of a message",
    "cli.compare_options:MAX_MARGIN": "range of a flag",
    "cli.compare_options:MAX_RATE": "range of a flag",
    "compare.difference:MAX_ERROR_PROBABILITY": "condition of a verdict",
    "compare.output:MAX_ADVISED_REQUESTS": "wording of a report",
    "compare.shares:MAX_CLUSTERED_PARTS": "condition of a verdict",
    "compare.shares:MAX_PARTS": "precision of a calculation",
    "history.phase_means:MAX_HOURS": "comparison with earlier weeks",
    "report.time_axis:MAX_TICKS": "layout of a chart",
    "scheduler.cold_starts:MAX_COLD_SECONDS": "condition of an outage",
    "report.alerts:MAX_DELAY_SECONDS": "pages of an incident in a report",
    "report.alerts:MAX_SAMPLE_SECONDS": "pages of an incident in a report",
    "report.phase_comparisons:MAX_SEARCHED_HOURS": "comparison of a report",
    "report.coverage:MAX_SCRAPE_SECONDS": "coverage of a report",
    "report.incident:MAX_BAD_RATIO": "incidents of a report",
    "redaction:MAX_CUTS": "limits work, not what is masked",
    "redaction:MAX_UNMASKED_CHARS": "described under secrets",
    "server.charts:MAX_STATUS_BARS": "layout of a page",
    "server.limits:MAX_NAMES_SHOWN": "layout of a message",
    "threads:MAX_GIL_SECONDS": "fairness between threads",
    "threads:MAX_PAUSES_SECONDS": "fairness between threads",
    "threads:MAX_WAKE_UPS_PER_SECOND": "fairness between threads",
    "threads:MAX_SWITCH_INTERVAL_SECONDS": "fairness between threads",
    "server.probe_list:_MAX_PAGE_DIGITS": "syntax of a parameter",
    "server.stream_charts:MAX_TIMELINES": "layout of a page",
    "server.server:MAX_BACKLOG": "queue of the kernel",
    "server.tls:MAX_TLS_RECORD_BYTES": "of TLS",
    "statistics.intervals:MAX_ERROR_PROBABILITY": "condition of a verdict",
    "threads:MAX_IDLE_SECONDS": "idle threads of the daemon",
}

_UNITS: Mapping[str, Callable[[float], str]] = {
    "_BYTES": lambda value: _binary_size(int(value)),
    "_BYTES_OF_READERS": lambda value: _binary_size(int(value)),
    "_SHARE_OF_DATA": lambda value: f"{value:.0%}",
    "_MIB": lambda value: f"{value} MiB",
    "_PER_SECOND": lambda value: (
        f"{value:g} per second" if value >= 1 else f"1 per {1 / value:g} s"
    ),
    "_SECONDS": lambda value: f"{value:g} s",
    "_NS": lambda value: f"{value / 1e9:g} s",
    "_CHARS": lambda value: f"{value:,} characters",
}


def security_with_limits(document: str) -> str:
    """Return the text of docs/security.md with the current table."""
    return replace_between_marks(document, "limits", table(HEAD, _rows()).rstrip())


def _rows() -> Iterator[tuple[str, ...]]:
    for limit in LIMITS:
        values = [_value(constant) for constant in limit.constants]
        default = ProbeModel.model_fields[limit.key].default if limit.key else ""
        value = limit.value.format(*values, default="none" if default is None else default)
        key = f"[`{limit.key}`](config.md)" if limit.key else FIXED
        yield limit.of, limit.what, value, key, limit.exceeded


def _value(constant: str) -> str:
    """Return the value of `module:NAME` with the unit that the name ends with."""
    module, _, name = constant.partition(":")
    value = getattr(import_module(f"probe.{module}"), name)
    for suffix, render in _UNITS.items():
        if name.endswith(suffix):
            return render(value)
    return f"{value:,}"


def _binary_size(size: int) -> str:
    for unit, factor in (("MiB", 1024**2), ("KiB", 1024)):
        if size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"
