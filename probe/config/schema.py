"""Everything that a config can say, with its defaults. All of it is frozen; times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from probe.config import http_types, types
from probe.config.secrets import find_secret_values
from probe.config.types import Duration, EnumChoice, Integer
from probe.result import Component


class ConnectionMode(StrEnum):
    """What a client of the model does: connect anew for each request, or keep a connection."""

    NEW = "new"
    REUSE = "reuse"


class IpFamily(StrEnum):
    """Which addresses of a host are used."""

    ANY = "any"
    V4 = "4"
    V6 = "6"


class TlsVersion(StrEnum):
    """The oldest version of TLS that is good enough."""

    TLS12 = "TLS12"
    TLS13 = "TLS13"


class AlertLevel(StrEnum):
    """Whom a missed objective wakes: somebody now, somebody tomorrow, nobody."""

    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"


class TimingSource(StrEnum):
    """Where in an answer the server's own time stands."""

    HEADER = "header"
    JSON = "json"


class TimingUnit(StrEnum):
    """The unit of the server's own time."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


def config_key(default: Any, about: str, **more: Any) -> Any:
    """A key that may be left out. Its default is written as in a config, and read like one."""
    return Field(default=default, description=about, **more)


def condition_key(default: Any, about: str, **more: Any) -> Any:
    """A key that may be left out, but not left empty: only `equals` knows a null."""
    return config_key(default, about, validate_default=False, **more)


class ConfigModel(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


class Tls(ConfigModel):
    """How a server proves who it is, and how the probe does."""

    ca_file: types.PemFile | None = config_key(
        None, "Certificates (PEM) of the authorities to trust."
    )
    cert_file: types.PemFile | None = config_key(None, "Certificate (PEM) that the probe shows.")
    key_file: types.PemFile | None = config_key(
        None, "Private key (PEM, without passphrase) of cert_file, if it is not in there."
    )
    server_name: http_types.Host | None = config_key(
        None, "Name to ask for and to expect in the certificate, instead of the URL's host."
    )
    insecure_skip_verify: types.Boolean = config_key(False, "Take any certificate. For tests only.")
    min_version: Annotated[TlsVersion, EnumChoice(TlsVersion)] = config_key(
        "TLS12", "Oldest version of TLS that is accepted."
    )

    @property
    def other_host_tls(self) -> "Tls":
        """What holds for a host that a redirect leads to: neither our certificate nor the name."""
        return self.model_copy(update=dict.fromkeys(("cert_file", "key_file", "server_name")))

    @field_validator("key_file")
    @classmethod
    def _belongs_to_a_certificate(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("cert_file", "unknown") is None:
            raise ValueError("a key without a certificate; write its cert_file, too")
        return value


class Condition(ConfigModel):
    """What a value must be like: all that is written must hold, for every value that is found.
    Where none is found, the answer is a failure, unless `exists` is false.
    """

    equals: types.Json = config_key(None, "Exactly this value, of any type.")
    in_: tuple[types.Json, ...] = condition_key(
        (), "One of these values.", alias="in", min_length=1
    )
    matches: types.Regex | None = condition_key(
        None, "Text in which this regular expression is found."
    )
    exists: types.Boolean | None = condition_key(None, "Whether there is such a value at all.")
    min: types.Number | None = condition_key(None, "A number, this or larger.")
    max: types.Number | None = condition_key(None, "A number, this or smaller.")

    @property
    def operators(self) -> Mapping[str, Any]:
        """What was written: {"equals": None} asks for null, {} cannot be."""
        return {name.rstrip("_"): getattr(self, name) for name in self.model_fields_set}

    @field_validator("matches", "exists", "min", "max", mode="before")
    @classmethod
    def _is_written(cls, value: Any) -> Any:
        if value is None:
            raise ValueError(types.NO_VALUE_MESSAGE)
        return value

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, value: float | None, info: ValidationInfo) -> float | None:
        least = info.data.get("min")
        if value is not None and least is not None and value < least:
            raise ValueError("max is smaller than min; nothing can be both")
        return value

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("no condition; write equals, in, matches, exists, min or max")
        return self


class Expect(ConfigModel):
    """What makes an answer a success."""

    status: tuple[http_types.Status, ...] = config_key(
        ["2xx"], "Statuses that count as success, such as 200 or 2xx.", min_length=1
    )
    body_matches: types.Regex | None = config_key(
        None, "Regular expression that must be found in the body."
    )
    headers: Mapping[http_types.HeaderName, Condition] = config_key(
        {}, "Conditions on headers of the answer, by name."
    )
    json_paths: Mapping[http_types.JsonPath, Condition] = config_key(
        {}, "Conditions on the answer's JSON, by JSONPath (RFC 9535).", alias="json"
    )

    _secrets: frozenset[str] = PrivateAttr(frozenset())

    @property
    def secrets(self) -> frozenset[str]:
        """What its references stood for when the config was read."""
        return self._secrets

    @model_validator(mode="wrap")
    @classmethod
    def _remember_secrets(cls, written: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        expect = read(written)
        if expect is not written:
            expect._secrets = frozenset(find_secret_values(written))
        return expect

    def allows(self, status: int) -> bool:
        return any(pattern.allows(status) for pattern in self.status)


class ServerTiming(ConfigModel):
    """A time that the server reports of itself, beside the header Server-Timing."""

    from_: Annotated[TimingSource, EnumChoice(TimingSource)] = Field(
        alias="from", description="Where it stands: in a header or in the JSON."
    )
    key: http_types.TimingKey = Field(description="The header's name, or the JSONPath.")
    unit: Annotated[TimingUnit, EnumChoice(TimingUnit)] = Field(description="Its unit.")
    component: Annotated[Component, EnumChoice(Component)] = Field(
        description="What the server spent that time on."
    )


class Objective(ConfigModel):
    """A promise: this share of requests succeeds, within this time if one is given."""

    name: types.Name = Field(description="Becomes the label `slo`.")
    target: types.Percentage = Field(description="Share of requests that are good, such as 99%.")
    latency: Annotated[float, Duration("1us", "1d")] | None = config_key(
        None, "A good request is answered within this time; without it, it is answered."
    )
    alert: Annotated[AlertLevel, EnumChoice(AlertLevel)] = config_key(
        "page", "What a missed objective may do: page somebody, open a ticket, or nothing."
    )


def _increasing(buckets: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if any(upper <= lower for lower, upper in pairwise(buckets or ())):
        raise ValueError("buckets must increase, each longer than the one before")
    return buckets


BucketBounds = Annotated[
    tuple[Annotated[float, Duration("1us", "1d")], ...] | None, AfterValidator(_increasing)
]


def _default_method(data: Mapping[str, Any]) -> str:
    bodies = ("json_body", "body", "body_file")
    return "GET" if all(data.get(body) is None for body in bodies) else "POST"


class Probe(ConfigModel):
    """One request, sent again and again, and what is expected of the answer."""

    name: types.Name = Field(description="Becomes the label `probe`.")
    url: http_types.Url = Field(description="Where the request goes, http or https.")
    interval: Annotated[float, Duration("10ms", "1d")] = config_key(
        "10s", "Time from the start of one request to the start of the next."
    )
    timeout: Annotated[float, Duration("1ms", "1h")] = config_key(
        "5s", "One deadline for the whole of a probe, from the name lookup to the last byte."
    )
    connection: Annotated[ConnectionMode, EnumChoice(ConnectionMode)] = config_key(
        "new", "Connect anew for each request, or reuse: whichever a client of this model does."
    )
    startup_grace: Annotated[float, Duration("0s", "1d")] = config_key(
        "5m", "For so long a model that has not answered yet is starting, not failing."
    )
    tls: Tls = config_key({}, "Certificates, for https.")
    proxy: http_types.Proxy | None = config_key(
        None, "URL of a proxy. Those of the environment are never used."
    )
    ip_family: Annotated[IpFamily, EnumChoice(IpFamily)] = config_key(
        "any", "Use addresses of this family only."
    )
    redirects: Annotated[int, Integer(0, 20)] = config_key(0, "How many redirects to follow.")
    max_bytes: types.Size = config_key("1MiB", "A longer body is a failure.")
    headers: Mapping[http_types.HeaderName, http_types.HeaderValue] = config_key(
        {}, "Headers of the request."
    )
    json_body: http_types.JsonBody = config_key(None, "Body of the request, as JSON.", alias="json")
    body: http_types.Body | None = config_key(None, "Body of the request, as text.")
    body_file: types.BodyFile | None = config_key(None, "File with the body of the request.")
    method: http_types.Method = Field(
        default_factory=_default_method,
        description="Method of the request; POST if there is a body, else GET.",
    )
    expect: Expect = config_key({}, "What an answer must be like to be a success.")
    buckets: BucketBounds = config_key(
        None,
        "Buckets of the latency histogram, by default 32 from 1ms to 2m; thresholds of objectives "
        "are always added.",
    )
    phase_buckets: BucketBounds = config_key(
        None,
        "Buckets of the histograms of phases and server times, by default 12 from 100us to 30s.",
    )
    server_timing: tuple[ServerTiming, ...] = config_key(
        (), "Times that the server reports of itself."
    )
    labels: Mapping[http_types.LabelName, types.Text] = config_key(
        {}, "Labels of inference_probe_info, such as model and version."
    )
    objectives: tuple[Objective, ...] = config_key((), "What was promised of this endpoint.")

    @property
    def may_need_tls(self) -> bool:
        return http_types.may_need_tls(self.url.source, self.redirects)


class Networks(ConfigModel):
    """Which addresses may be probed at all; deny wins, an empty allow allows everything else."""

    deny: tuple[types.Network, ...] = config_key(
        ["169.254.0.0/16", "fe80::/10"], "Networks that are never probed."
    )
    allow: tuple[types.Network, ...] = config_key((), "If there are any, only these are probed.")


class Settings(ConfigModel):
    """A whole config."""

    probes: tuple[Probe, ...] = Field(description="The endpoints to probe.")
    networks: Networks = config_key({}, "Which addresses may be probed at all.")
