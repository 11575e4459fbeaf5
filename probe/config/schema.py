"""Models of the config: all keys with their defaults, and the checks of their values.

The docstrings and descriptions are the text of docs/config.md and of the JSON Schema. A valid model
becomes settings (`probe.config.settings`), which the rest of the program uses.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from probe.config import http_types, response_settings, settings, types
from probe.config.choices import (
    AlertLevel,
    ConnectionMode,
    Dimension,
    EventFormat,
    IpFamily,
    ResponsePart,
    TimingUnit,
    TlsVersion,
    TokenPart,
    TraceSampling,
)
from probe.config.cold_model import ColdModel
from probe.config.config_model import ConfigModel, config_key
from probe.config.cost_models import BudgetModel, CapacityModel, PriceModel
from probe.config.errors import ConfigProblem
from probe.config.payload_model import PayloadModel
from probe.config.protocol_models import ProtocolChoiceModel
from probe.config.response_value_model import ResponseValueModel
from probe.config.secrets import find_secret_values
from probe.config.units import format_duration
from probe.result import Component


def condition_key(default: Any, description: str, **keywords: Any) -> Any:
    """Return the field of an optional key of a condition.

    `default` stands for an absent key and is not validated.
    """
    return config_key(default, description, validate_default=False, **keywords)


class TlsModel(ConfigModel):
    """TLS settings of the connections to the endpoint."""

    settings_type = settings.Tls

    ca_file: types.PemFile | None = config_key(
        None, "CA certificates (PEM) to trust, instead of the default ones."
    )
    cert_file: types.PemFile | None = config_key(None, "Client certificate (PEM).")
    key_file: types.PemFile | None = config_key(
        None, "Private key (PEM, without passphrase) of `cert_file`, if it is in another file."
    )
    server_name: http_types.Host | None = config_key(
        None, "Server name to request (SNI) and to verify, instead of the host of the URL."
    )
    insecure_skip_verify: types.Boolean = config_key(
        False, "Accept any server certificate. For tests only."
    )
    min_version: Annotated[TlsVersion, *types.choice(TlsVersion)] = config_key(
        "TLS12", "Minimum version of TLS."
    )

    @field_validator("key_file")
    @classmethod
    def _require_cert_file(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("cert_file", "unknown") is None:
            raise ValueError("a key without a certificate; write its cert_file, too")
        return value


class ConditionModel(ConfigModel):
    """Condition on a header or on a value in the JSON of the response.

    All keys that are given must hold, for each value that is found. If none is found, the probe
    fails unless `exists` is false.
    """

    settings_type = response_settings.Condition

    equals: types.Json = config_key(None, "The value equals this one, of any type.")
    in_: Annotated[tuple[types.Json, ...], types.SCALAR_OR_LIST] = condition_key(
        (), "The value is one of these.", alias="in", min_length=1
    )
    matches: types.Regex | None = condition_key(
        None, "The value is text with a match of this regular expression."
    )
    exists: types.Boolean | None = condition_key(None, "Whether there is a value.")
    min: types.Number | None = condition_key(None, "The value is a number, at least this.")
    max: types.Number | None = condition_key(None, "The value is a number, at most this.")

    @property
    def operators(self) -> Mapping[str, Any]:
        """The keys that are present, with their values: {"equals": None} requires null."""
        return {name.rstrip("_"): getattr(self, name) for name in self.model_fields_set}

    @field_validator("matches", "exists", "min", "max", mode="before")
    @classmethod
    def _require_value(cls, value: Any) -> Any:
        if value is None:
            raise ValueError(types.NO_VALUE_MESSAGE)
        return value

    @field_validator("max")
    @classmethod
    def _require_at_least_min(cls, value: float | None, info: ValidationInfo) -> float | None:
        minimum = info.data.get("min")
        if value is not None and minimum is not None and value < minimum:
            raise ValueError("max is smaller than min; no value can satisfy both")
        return value

    @model_validator(mode="after")
    def _require_operator(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("no condition; write equals, in, matches, exists, min or max")
        return self


class ExpectedTokensModel(ConfigModel):
    """Condition on the number of generated tokens, as the server reports it at the end."""

    settings_type = response_settings.ExpectedTokens

    min: Annotated[int, *types.integer(1, 1_000_000)] = Field(
        description="The stream has at least this many tokens. Some gateways end a stream that was"
        " cut as if it were complete; too few tokens show it."
    )


class ExpectModel(ConfigModel):
    """Conditions on the response. The probe succeeds if all of them hold."""

    settings_type = response_settings.Expect

    status: Annotated[tuple[http_types.Status, ...], types.SCALAR_OR_LIST] = config_key(
        ["2xx"], "Status codes that count as success, such as `200` or `2xx`.", min_length=1
    )
    body_matches: types.Regex | None = config_key(
        None, "Regular expression that must have a match in the body, or in the text of a stream."
    )
    headers: Mapping[http_types.HeaderName, ConditionModel] = config_key(
        {}, "Conditions on headers of the response, by name."
    )
    json_paths: Mapping[http_types.JsonPath, ConditionModel] = config_key(
        {}, "Conditions on the JSON of the response, by JSONPath (RFC 9535).", alias="json"
    )
    tokens: ExpectedTokensModel | None = config_key(
        None, "Condition on the number of tokens of a stream."
    )
    finish: Annotated[tuple[types.Text, ...], types.SCALAR_OR_LIST] = config_key(
        (),
        "Finish reasons of a stream that count as success, such as `stop`. By default all but those"
        " of a refusal or a content filter.",
    )

    _secrets: tuple[str, ...] = PrivateAttr(())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values of the references at load time."""
        return self._secrets

    @model_validator(mode="wrap")
    @classmethod
    def _keep_secrets(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        expect = validate(value)
        if expect is not value:
            expect._secrets = tuple(sorted(set(find_secret_values(value))))
        return expect


EventPaths = Annotated[tuple[http_types.EventPath, ...], types.SCALAR_OR_LIST]
TokenParts = Annotated[
    tuple[Annotated[TokenPart, *types.choice(TokenPart)], ...], types.SCALAR_OR_LIST
]


class StreamUsageModel(ConfigModel):
    """Where events report numbers of tokens. The last number in the stream counts."""

    settings_type = response_settings.StreamUsage

    input: EventPaths = config_key((), "Tokens of the prompt.")
    output: EventPaths = config_key(
        (), "Generated tokens. Without their number, the time per token is unknown."
    )
    cached: EventPaths = config_key((), "Tokens of the prompt that were in the server's cache.")
    cache_write: EventPaths = config_key(
        (), "Tokens of the prompt that the server wrote into its cache."
    )
    reasoning: EventPaths = config_key((), "Generated tokens that are reasoning.")
    separate: TokenParts = config_key(
        (),
        "Those of `cached`, `cache_write` and `reasoning` that the server does not count as a part"
        " of `input` or `output`. They are added to it.",
    )


class StreamModel(ConfigModel):
    """Format of a response that arrives token by token.

    Each event is a JSON document of up to 64 KiB. Paths are `$`, names, indices and `[*]`, such as
    `$.choices[*].delta.content`. A path such as `response.output_text.delta:$.delta` applies to
    events of this type only.
    """

    settings_type = response_settings.Stream

    format: Annotated[EventFormat, *types.choice(EventFormat)] = config_key(
        "sse",
        "Format of the events: server-sent events (SSE), one JSON document per line, frames of AWS"
        " with JSON, or frames of AWS with parts of SSE.",
    )
    content: EventPaths = Field(
        description="Text of the response. A token has arrived if it is not empty.", min_length=1
    )
    refusal: EventPaths = config_key(
        (), "Text with which the model refuses to respond. The finish reason is then `refusal`."
    )
    reasoning: EventPaths = config_key((), "Text of the reasoning before the response.")
    tool_call: EventPaths = config_key((), "Calls of tools, of any type.")
    skip: EventPaths = config_key(
        (), "Whether an event has no token in spite of its text, such as one of a special token."
    )
    usage: StreamUsageModel = config_key({}, "Numbers of tokens.")
    error: EventPaths = config_key(
        (), "Errors, of any type. A stream with one that is not null, false or empty has failed."
    )
    finish: EventPaths = config_key(
        (),
        "Reason why the stream ends, such as `stop`. A stream without one is truncated. It must be"
        " absent or null before the end.",
    )
    end: types.Text | None = config_key(
        None,
        "Data of the last event, such as [DONE]. With `finish`, it may be missing: servers differ."
        " Without it and `finish`, a stream is complete with the end of the body.",
    )


class ServerTimingModel(ConfigModel):
    """A time that the server reports in the response. The header Server-Timing needs no entry."""

    settings_type = response_settings.ServerTiming

    from_: Annotated[ResponsePart, *types.choice(ResponsePart)] = Field(
        alias="from", description="Part of the response that contains the time."
    )
    key: http_types.TimingKey = Field(description="Name of the header, or JSONPath.")
    unit: Annotated[TimingUnit, *types.choice(TimingUnit)] = Field(description="Unit of the time.")
    component: Annotated[Component, *types.choice(Component)] = Field(
        description="Work that took the time."
    )


Threshold = Annotated[float, *types.duration("1us", "1d")]


class ObjectiveModel(ConfigModel):
    """A service level objective: the share of probes that must be good."""

    settings_type = settings.Objective

    name: types.Name = Field(description="Name of the objective, the label `slo`.")
    target: types.Percentage = Field(description="Share of probes that must be good, such as 99%.")
    latency: Threshold | None = config_key(
        None,
        "A good probe succeeds within this time. Without any of these three times, every success"
        " is good.",
    )
    time_to_first_token: Threshold | None = config_key(
        None,
        "Instead of `latency`, for a stream: a good probe succeeds, and its first token arrives"
        " within this time.",
    )
    time_per_output_token: Threshold | None = config_key(
        None,
        "Instead of `latency`, for a stream: a good probe succeeds, and its time per output token"
        " is at most this. A success without this time is neither good nor bad.",
    )
    alert: Annotated[AlertLevel, *types.choice(AlertLevel)] = config_key(
        "page", "Most severe alert if the objective is missed."
    )


def _require_increasing(buckets: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if any(upper <= lower for lower, upper in pairwise(buckets or ())):
        raise ValueError("buckets must increase, each longer than the one before")
    return buckets


BucketBounds = Annotated[
    Annotated[tuple[Annotated[float, *types.duration("1us", "1d")], ...], types.SCALAR_OR_LIST]
    | None,
    AfterValidator(_require_increasing),
]


def _default_method(data: Mapping[str, Any]) -> str:
    bodies = ("json_body", "body", "body_file")
    has_body = data.get("payloads") or any(data.get(body) is not None for body in bodies)
    return "POST" if has_body else "GET"


def _default_down(data: Mapping[str, Any]) -> AlertLevel:
    """Return the highest level of the objectives; `page` without objectives."""
    levels = {objective.alert for objective in data["objectives"]}
    return next((level for level in AlertLevel if level in levels), AlertLevel.PAGE)


class ProbeModel(ConfigModel):
    """A request that is sent at regular intervals, and the conditions on its response."""

    settings_type = settings.Probe

    name: types.Name = Field(description="Name of the probe, the label `probe`.")
    url: http_types.Url = Field(description="URL of the request, http or https.")
    interval: Annotated[float, *types.duration("10ms", "1d")] = config_key(
        "10s", "Time from the start of one request to the start of the next."
    )
    timeout: Annotated[float, *types.duration("1ms", "1h")] = config_key(
        "5s", "Deadline of the whole probe, from the name lookup to the last byte."
    )
    connection: Annotated[ConnectionMode, *types.choice(ConnectionMode)] = config_key(
        "new",
        "Open a new connection for each request, or reuse one. Choose what your clients do. If the "
        "server closes an idle connection when a request is sent, the probe fails with `reset`.",
    )
    startup_grace: Annotated[float, *types.duration("0s", "1d")] = config_key(
        "5m",
        "Time that the model has for its start. Until its first success, failures within this time "
        "do not count against objectives.",
    )
    tls: TlsModel = config_key({}, "TLS settings, for https.")
    proxy: http_types.Proxy | None = config_key(
        None, "URL of a proxy. Proxies of the environment are ignored."
    )
    ip_family: Annotated[IpFamily, *types.choice(IpFamily)] = config_key(
        "any", "Use only addresses of this IP version."
    )
    redirects: Annotated[int, *types.integer(0, 20)] = config_key(
        0, "Maximum number of redirects to follow."
    )
    max_bytes: types.Size = config_key(
        "1MiB",
        "Maximum size of the body of the response. A longer one is a failure. Evaluating one may "
        "take 6 MiB of memory and 6 times this size.",
    )
    headers: Mapping[http_types.HeaderName, http_types.HeaderValue] = config_key(
        {}, "Headers of the request."
    )
    json_body: http_types.JsonBody = config_key(None, "Body of the request, as JSON.", alias="json")
    body: http_types.Body | None = config_key(None, "Body of the request, as text.")
    body_file: types.BodyFile | None = config_key(None, "File with the body of the request.")
    payloads: tuple[PayloadModel, ...] = config_key(
        (), "Bodies that are sent in turn, instead of `json`, `body` and `body_file`."
    )
    method: http_types.Method = Field(
        default_factory=_default_method,
        description="Method of the request. By default POST if there is a body, else GET.",
    )
    expect: ExpectModel = config_key({}, "Conditions on the response.")
    protocol: ProtocolChoiceModel | None = config_key(
        None,
        "Protocol of the model server. It provides path, body, `stream`, `expect`,"
        " `server_timing`, `version`, `segment` and `cold`. These keys override it. See"
        " docs/protocols.md.",
    )
    stream: StreamModel | None = config_key(
        None, "Read the response as a stream of tokens. Without it, latency is that of all bytes."
    )
    first_token_timeout: Annotated[float, *types.duration("1ms", "1h")] | None = config_key(
        None,
        "Deadline of the first token of a stream, from the start of the probe. Shorter than"
        " `timeout`.",
    )
    stall_timeout: Annotated[float, *types.duration("1ms", "1h")] | None = config_key(
        None,
        "Maximum time between two events with tokens of a stream. Comments and pings do not reset"
        " it. Shorter than `timeout`.",
    )
    version: ResponseValueModel | None = config_key(
        None,
        "Version of the model, as each response names it. A change is marked on the page of the"
        " probe. See docs/versions.md.",
    )
    segment: ResponseValueModel | None = config_key(
        None, "Part of the endpoint that responded, such as a variant, replica or region."
    )
    histogram_by: Annotated[
        tuple[Annotated[Dimension, *types.choice(Dimension)], ...], types.SCALAR_OR_LIST
    ] = config_key(
        (),
        "Also export histograms of the latency for each value of these.",
    )
    cold: ColdModel | None = config_key(
        None,
        "How cold starts are recognised. They are in inference_probe_cold_start_seconds, and not in"
        " objectives. See docs/cold-starts.md.",
    )
    price: PriceModel | None = config_key(
        None, "Price of tokens, to count the cost of the requests."
    )
    budget: BudgetModel | None = config_key(
        None, "Limits of the requests. Ticks over the budget are skipped."
    )
    capacity: CapacityModel | None = config_key(
        None, "Capacity of the endpoint, for alerts about its headroom. See docs/capacity.md."
    )
    buckets: BucketBounds = config_key(
        None,
        "Buckets of the latency histogram, by default 32 from 1ms to 2m. The latencies of "
        "objectives are always added.",
    )
    phase_buckets: BucketBounds = config_key(
        None,
        "Buckets of all phases and server times. By default `wait` and `receive` have those of the "
        "latency, and the others have 8.",
    )
    server_timing: tuple[ServerTimingModel, ...] = config_key(
        (), "Times that the server reports in the response."
    )
    labels: Mapping[http_types.LabelName, types.Text] = config_key(
        {}, "Labels of `inference_probe_info`, such as model and version."
    )
    alert_labels: http_types.AlertLabelNames = config_key(
        (),
        "Names of `labels` that the alerts about this probe have, so that Alertmanager can route "
        "them, for example by team.",
    )
    objectives: tuple[ObjectiveModel, ...] = config_key(
        (), "Service level objectives of the endpoint."
    )
    down: Annotated[AlertLevel, *types.choice(AlertLevel)] = Field(
        default_factory=_default_down,
        description="Level of `ModelDown`, the alert that no request succeeds. `none` also "
        "disables `ModelReplicaDown`. By default the highest `alert` of the objectives, and `page` "
        "without objectives.",
    )

    @field_validator("first_token_timeout", "stall_timeout")
    @classmethod
    def _require_shorter_than_timeout(
        cls, value: float | None, info: ValidationInfo
    ) -> float | None:
        timeout = info.data.get("timeout")
        if value is not None and timeout is not None and value >= timeout:
            raise ValueError(
                f"not shorter than the timeout of {timeout:g} s, so it has no effect; write a"
                " larger timeout, too"
            )
        return value

    @field_validator("version", "segment")
    @classmethod
    def _require_path_of_response(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and value.from_ is ResponsePart.JSON and "stream" in info.data:
            if info.data["stream"] is None:
                http_types.require_json_path(value.key)
            else:
                http_types.require_event_path(value.key)
        return value

    @field_validator("cold")
    @classmethod
    def _require_consistent_cold(
        cls, value: ColdModel | None, info: ValidationInfo
    ) -> ColdModel | None:
        if value is None:
            return None
        interval = info.data.get("interval")
        if value.after_idle is not None and interval is not None and value.after_idle <= interval:
            raise ValueError(
                f"`after_idle` of {format_duration(value.after_idle)} is not longer than the"
                f" interval of {format_duration(interval)}, so each request would be the first one"
                " after an idle time; write a longer one, or a shorter interval"
            )
        if value.json_value and "stream" in info.data:
            if info.data["stream"] is None:
                http_types.require_json_path(value.json_value.key)
            else:
                http_types.require_event_path(value.json_value.key)
        return value

    @field_validator("budget")
    @classmethod
    def _require_price(cls, value: BudgetModel | None, info: ValidationInfo) -> BudgetModel | None:
        has_no_price = info.data.get("price", "unknown") is None
        if value and value.cost_per_day is not None and has_no_price:
            raise ValueError("`cost_per_day` needs the price of tokens; write `price`, too")
        return value

    @field_validator("server_timing")
    @classmethod
    def _require_no_json_of_stream(cls, value: Any, info: ValidationInfo) -> Any:
        is_stream = info.data.get("stream") is not None
        if is_stream and any(timing.from_ is ResponsePart.JSON for timing in value):
            raise ValueError("a stream has no JSON with times of the server; write `from: header`")
        return value

    @field_validator("stream")
    @classmethod
    def _require_paths_of_expect(cls, value: StreamModel | None, info: ValidationInfo) -> Any:
        expect = info.data.get("expect")
        if value and expect and expect.tokens and not value.usage.output:
            raise ValueError("`expect.tokens` needs the path `usage.output`; add it")
        if value and expect and expect.finish and not value.finish:
            raise ValueError("`expect.finish` needs the path `finish`; add it")
        return value


class NetworksModel(ConfigModel):
    """Addresses that may be probed. `deny` takes precedence; an empty `allow` allows all others."""

    settings_type = settings.Networks

    deny: Annotated[tuple[types.Network, ...], types.SCALAR_OR_LIST] = config_key(
        list(http_types.METADATA_NETWORKS),
        "Networks that are never probed. By default the metadata services of clouds, which serve"
        " credentials; to allow one, write the others here.",
    )
    allow: Annotated[tuple[types.Network, ...], types.SCALAR_OR_LIST] = config_key(
        (), "If not empty, only these networks are probed."
    )


class TracingModel(ConfigModel):
    """Traces of the requests. Each request has the header `traceparent` of W3C Trace Context.

    A configured header `traceparent` replaces it. See docs/tracing.md.
    """

    settings_type = settings.Tracing

    sample: Annotated[TraceSampling, *types.choice(TraceSampling)] = config_key(
        "never",
        "Whether `traceparent` asks servers to record the trace. It is sent before the result is"
        " known, so `failures` asks for all requests, as `always` does, and is for collectors that"
        " drop the other traces.",
    )
    link: http_types.TraceLink | None = config_key(
        None,
        "URL of a trace, with the placeholder `{trace_id}`, for the pages and for `once`.",
    )


class SettingsModel(ConfigModel):
    """The whole config."""

    settings_type = settings.Settings

    probes: tuple[ProbeModel, ...] = Field(description="Endpoints to probe.")
    networks: NetworksModel = config_key({}, "Addresses that may be probed.")
    tracing: TracingModel = config_key({}, "Traces of the requests.")

    @property
    def likely_mistakes(self) -> tuple[ConfigProblem, ...]:
        """None: the loader finds them, because it knows where the values are written."""
        return ()
