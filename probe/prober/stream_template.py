"""Events that differ from an earlier one only in the text of their token.

Model servers repeat everything else: id, model and time. Such an event need not be parsed, which
takes half of the CPU time of a token.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from probe.http.stream import StreamEvent
from probe.prober.stream_paths import EventDocument

# The text of a JSON string without escapes.
_PLAIN_TEXT = re.compile(rb'[^"\\\x00-\x1f]*+')


class EventTemplate(NamedTuple):
    """The bytes of an event around its text."""

    type: str
    """The type of the event."""
    before: bytes
    after: bytes

    def find_text(self, event: StreamEvent) -> str | None:
        """Return the text of `event` if nothing else differs; None if it must be parsed."""
        end = len(event.data) - len(self.after)
        if (
            event.type != self.type
            or event.is_error
            or end < len(self.before)
            or not event.data.startswith(self.before)
            or not event.data.endswith(self.after)
        ):
            return None
        text = event.data[len(self.before) : end]
        if not _PLAIN_TEXT.fullmatch(text):
            return None
        try:
            return text.decode()
        except UnicodeDecodeError:
            return None


def find_template(
    event: StreamEvent, document: EventDocument, found: Mapping[str, Sequence[Any]]
) -> EventTemplate | None:
    """Return the template of an event with the values `found`; None if its text is ambiguous.

    The text must be the only value, so that all other events of the template have no other value,
    either. Without a backslash, it is written as it is. If it is written once, that is its place.
    """
    if event.is_error or found.keys() != {"content"}:
        return None
    (text, *others) = found["content"]
    if others or not text or not isinstance(text, str) or text == document.type:
        return None
    data = event.data
    # JSON that begins like this is UTF-8, whatever follows.
    if not data.startswith(b'{"') or b"\\" in data:
        return None
    written = b'"%s"' % text.encode(errors="surrogatepass")
    start = data.find(written)
    # Not `count`, because the places may overlap: `":":"`.
    if start < 0 or start != data.rfind(written):
        return None
    return EventTemplate(event.type, data[: start + 1], data[start + len(written) - 1 :])
