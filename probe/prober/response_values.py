"""Values in a response: its version, its segment, and a signal of a cold start.

They are in headers, in the JSON of the response, or in the events of a stream.
"""

from collections.abc import Mapping
from typing import Any

from probe.config.choices import RESPONSE_DIMENSIONS, ResponsePart
from probe.config.settings import Probe
from probe.prober.cold_signals import COLD_VALUE
from probe.prober.json_query import JsonQuery, compile_query
from probe.prober.json_values import Values, first_scalar
from probe.prober.stream_paths import EventDocument, EventPath
from probe.redaction import Redactor, to_one_line

# Length of a version or segment: enough for the digest of an image.
MAX_VALUE_CHARS = 100


class ResponseValues:
    """Where the responses of one probe have its values, by the name of the config key."""

    def __init__(self, probe: Probe) -> None:
        self._headers: dict[str, str] = {}
        self.queries: dict[str, JsonQuery] = {}
        self._event_paths: dict[str, EventPath] = {}
        in_json: dict[str, str] = {}
        for name in RESPONSE_DIMENSIONS:
            if source := getattr(probe, name):
                is_header = source.from_ is ResponsePart.HEADER
                (self._headers if is_header else in_json)[name] = source.key
        if probe.cold and probe.cold.json_value:
            in_json[COLD_VALUE] = probe.cold.json_value.key
        if probe.stream:
            self._event_paths = {name: EventPath(path) for name, path in in_json.items()}
        else:
            self.queries = {name: compile_query(path) for name, path in in_json.items()}

    @property
    def is_used(self) -> bool:
        """Whether the probe reads any value."""
        return bool(self._headers or self.queries or self._event_paths)

    def read_headers(self, headers: Mapping[str, str]) -> Values:
        """Return the values in `headers`, whose names are case-insensitive."""
        return {name: headers[key] for name, key in self._headers.items() if headers.get(key)}

    def new_reader(self) -> "EventValues":
        """Return the reader of the values in one stream."""
        return EventValues(self._event_paths)


class EventValues:
    """Reads values in the events of one stream. The first one of each name counts."""

    def __init__(self, paths: Mapping[str, EventPath]) -> None:
        self._missing = dict(paths)
        self.values: dict[str, Any] = {}

    def read(self, document: EventDocument) -> None:
        """Keep the values in an event that are the first ones of their names."""
        if self._missing:
            for name, path in list(self._missing.items()):
                value = first_scalar(path.find(document))
                if value is not None:
                    self.values[name] = value
                    del self._missing[name]


def public_text(value: Any, redactor: Redactor) -> str | None:
    """Return the text of a value, which is the server's, on one line and without secrets."""
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return to_one_line(redactor.truncate(text.strip(), MAX_VALUE_CHARS)).strip() or None
